from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch

from glocert.errors import InvalidSpec
from glocert.paths.blur import Blur, shifts
from tests.glocert.paths.warping import between, excess, number, rows

CPU = torch.device("cpu")
U = [Fraction(-1), Fraction(1), Fraction(0), Fraction(2, 7)]


def _blur(image, start=0.0, stop=1.5, radius=0.0):
    return Blur(image, np.full(image.shape, radius), start, stop)


def true_pixel(path: Blur, t: Fraction, place: tuple[int, int, int]) -> mpmath.mpf:
    """Return one blurred pixel to forty digits, by the definition."""
    sigma, reach = between(path.start, path.stop, t), path.reach
    bell = [mpmath.exp(-mpmath.mpf(i * i) / (2 * sigma * sigma)) if sigma else mpmath.mpf(i == 0)
            for i in range(-reach, reach + 1)]  # fmt: skip
    whole = sum(bell)
    channel, row, column = place
    _, height, width = path.shape

    def reflected(at: int, length: int) -> int:
        at %= 2 * length
        return min(at, 2 * length - 1 - at)

    total = mpmath.mpf(0)
    for i, down in enumerate(bell, -reach):
        line = path.image[channel, reflected(row + i, height)]
        total += down * sum(
            right * number(float(line[reflected(column + j, width)])) for j, right in enumerate(bell, -reach)
        )
    return total / whole**2


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 2, 3), (1, 7, 5)], ids=str)
@pytest.mark.parametrize("ends", [(0.0, 1.5), (0.7, 0.2), (0.0, 0.3)], ids=str)
@pytest.mark.parametrize("half", [0.5, 0.1, 1e-2, 1e-3, 1e-6, 0.0])
def test_true_pixels_are_in_the_enclosure(shape, ends, half):
    rng = np.random.default_rng(4)
    path = _blur(rng.random(shape) - 0.3, *ends)
    middles = [half, 1 - half, half + 0.4 * (1 - 2 * half)]
    found = path.loaded(CPU).enclose(*rows([([m], [half]) for m in middles]))
    assert bool(torch.isfinite(found.error).all())
    for row, middle in enumerate(middles):
        for u in U:
            place = tuple(int(rng.integers(n)) for n in shape)
            truth = true_pixel(path, Fraction(middle) + Fraction(half) * u, place)
            assert excess(found, row, place, [u], truth) <= 1.0


def test_the_image_itself_comes_first():
    image = np.random.default_rng(0).random((2, 6, 5))
    path = _blur(image)
    found = path.loaded(CPU).enclose(*rows([([0.0], [0.0]), ([0.02], [0.02])]))
    assert np.array_equal(path.at([0.0]), image)
    assert float((found.lines[0] - torch.from_numpy(image)).abs().max()) < 1e-14
    assert float(found.error.max()) < 1e-11


def test_a_constant_image_stays_what_it_is():
    found = _blur(np.full((1, 4, 4), 0.75), 0.0, 3.0).loaded(CPU).enclose(*rows([([0.6], [0.3])]))
    assert float((found.lines[0] - 0.75).abs().max()) < 1e-12
    assert float(found.error.max()) < 1e-9


def test_the_error_falls_with_the_square_of_the_width():
    path = _blur(np.random.default_rng(0).random((1, 8, 8)))
    halves = [2.0**-n for n in range(9, 14)]
    errors = path.loaded(CPU).enclose(*rows([([0.6], [half]) for half in halves])).error.amax((1, 2, 3))
    falls = errors[:-1] / errors[1:]
    assert float(falls.min()) > 3.5
    assert float(falls.max()) < 5.2


def test_the_radius_of_the_image_is_part_of_the_error():
    image = np.random.default_rng(0).random((1, 5, 5))
    found = _blur(image + 0.01, radius=0.01).loaded(CPU).enclose(*rows([([0.5], [0.01])]))
    truth = true_pixel(_blur(image), Fraction(0.5), (0, 1, 1))
    assert excess(found, 0, (0, 1, 1), [Fraction(0)], truth) <= 1.0


def test_the_blur_is_that_of_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    image = np.random.default_rng(0).random((12, 9))
    for sigma in (0.5, 1.0, 2.0):
        there = ndimage.gaussian_filter(image, sigma, mode="reflect", truncate=4.0)
        assert np.allclose(there, _blur(image[None], 0.0, sigma).at([1.0])[0], atol=1e-12)


def test_shifts_reflect_however_far_they_go():
    found = shifts(3, 8)
    assert np.array_equal(found[0], np.eye(3))
    assert (found[1:].sum(2) == 2).all()
    assert np.array_equal(found[1] @ np.array([1.0, 2.0, 4.0]), [1 + 2, 1 + 4, 2 + 4])


def test_only_images_are_blurred():
    with pytest.raises(InvalidSpec, match="only images"):
        _blur(np.zeros(3))
