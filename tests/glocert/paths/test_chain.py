from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from glocert.errors import InvalidSpec
from glocert.paths.blur import Blur
from glocert.paths.chain import Chain
from glocert.paths.motions import Rotation, Translation
from glocert.paths.rounded import Rounded
from glocert.paths.segment import Segment
from glocert.paths.warp import Warp
from tests.glocert.paths.warping import excess, number, rows, true_pixel

CPU = torch.device("cpu")


def turned(x: Rounded) -> Warp:
    return Warp(x.value, x.radius, Rotation(0.0, 40.0))


def brighter(x: Rounded) -> Segment:
    return Segment(x.value, x.value + 0.5, x.radius)


def blurred(x: Rounded) -> Blur:
    return Blur(x.value, x.radius, 0.0, 0.8)


def moved(x: Rounded) -> Warp:
    return Warp(x.value, x.radius, Translation((0.0, 0.0), (0.5, 0.25)))


CHAINS = [
    (turned, brighter),
    (brighter, turned, blurred),
    (brighter, blurred, moved, turned, brighter, moved, turned),
]


def _chain(*steps, shape=(2, 5, 6)):
    image = np.random.default_rng(0).random(shape)
    return Chain.of(Rounded.exact(image), steps, (0.0, 1.0))


@pytest.mark.parametrize("steps", CHAINS, ids=len)
@pytest.mark.parametrize("half", [0.5, 0.2, 0.03, 1e-3, 1e-6, 1e-16, 0.0])
def test_points_of_every_row_are_in_the_enclosure(steps, half):
    path = _chain(*steps)
    middles = [half, 1 - half, *(min(max(t, half), 1 - half) for t in (*path.joints, 0.1, 0.4, 0.77))]
    found = path.loaded(CPU).enclose(*rows([([m], [half]) for m in middles]))
    assert bool(torch.isfinite(found.error).all())
    for u in (-1.0, -0.999, -0.3, 0.0, 0.2, 1.0):
        points = np.stack([path.at([min(max(m + half * u, 0.0), 1.0)]) for m in middles])
        line = (found.lines[0] + found.lines[1] * u).clamp(0, 1).numpy()
        assert (np.abs(points - line) - found.error.numpy()).max() < 2e-14


def test_rows_that_end_at_a_joint_are_as_narrow_as_any():
    """Rows overlap the joint by a few roundings; that must cost no more than rounding."""
    path = _chain(brighter, turned, brighter)
    joint = path.ends[1]
    pairs = [([joint - 1e-4], [1e-4]), ([joint + 1e-4], [1e-4]), ([joint], [0.0]), ([joint - 3e-4], [1e-4])]
    errors = path.loaded(CPU).enclose(*rows(pairs)).error.amax((1, 2, 3))
    assert float(errors.max()) < 1e-3


def test_the_second_step_is_the_true_motion_of_the_last_image():
    """Half a pixel to the right and a quarter down, twice: exactly."""
    image = np.random.default_rng(5).integers(0, 256, (1, 4, 5)) / 256
    path = Chain.of(Rounded.exact(image), (moved, moved), (0.0, 1.0))
    end = np.array([[[float(true_pixel(image, Translation((0, 0), (0.5, 0.25)), [Fraction(1)], (0, r, c)))
                      for c in range(5)] for r in range(4)]])  # fmt: skip
    found = path.loaded(CPU).enclose(*rows([([0.8], [0.05]), ([0.8], [1e-9])]))
    for row, half in enumerate((0.05, 1e-9)):
        for u in (Fraction(-1), Fraction(1, 3), Fraction(1)):
            t = 2 * (Fraction(0.8) + Fraction(half) * u) - 1
            for place in ((0, 0, 0), (0, 2, 3), (0, 3, 4)):
                truth = true_pixel(end, Translation((0, 0), (0.5, 0.25)), [t], place)
                assert excess(found, row, place, [u], truth) <= 1.0


def test_images_are_clamped_between_steps_and_the_path_has_no_jump():
    path = _chain(brighter, turned)
    assert path.joints[0] == 0.5
    assert path.joints[1:] == tuple(0.5 + t / 2 for t in path.steps[1].joints)
    assert path.at([0.5]).max() == 1.0
    before, after = path.at([0.5 - 1e-9]), path.at([0.5 + 1e-9])
    assert np.abs(before - after).max() < 1e-7


def test_the_radius_is_carried_through_every_step():
    image = np.full((1, 4, 4), 0.5)
    path = Chain.of(Rounded(image, np.full_like(image, 0.01)), (turned, blurred, moved), (0.0, 1.0))
    error = path.loaded(CPU).enclose(*rows([([0.9], [0.0])])).error
    assert 0.01 <= float(error[0, 0, 2, 2]) < 0.0101
    assert number(float(error.max())) < 0.0101


def test_steps_must_fit():
    image = np.zeros((1, 3, 3))
    with pytest.raises(InvalidSpec, match="follow each other"):
        Chain((turned(Rounded.exact(image)), turned(Rounded.exact(np.zeros((1, 2, 2))))), (0.0, 1.0))
