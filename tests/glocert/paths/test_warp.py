from __future__ import annotations

from fractions import Fraction
from zlib import crc32

import numpy as np
import pytest
import torch
from torch.nn.functional import affine_grid, grid_sample

from glocert.errors import InvalidSpec
from glocert.paths.motions import Joined, Rotation, Scaling, Shear, Translation
from glocert.paths.warp import Warp
from tests.glocert.paths.warping import excess, rows, true_pixel

CPU = torch.device("cpu")
MOTIONS = [
    Rotation(-45.0, 45.0),
    Rotation(0.0, 30.0),
    Rotation(170.0, -200.0),
    Scaling(0.5, 1.7),
    Scaling(1.0, 0.9),
    Shear(-1.0, 0.3),
    Translation((0.0, 0.0), (2.0, -1.25)),
    Translation((0.0, 0.0), (0.0, 3.0)),
]
SHAPES = [(1, 1, 1), (1, 2, 3), (3, 5, 4), (2, 6, 6)]
WIDTHS = [0.4, 0.1, 0.02, 2.0**-8, 2.0**-14, 2.0**-20, 2.0**-45, 0.0]
SHARES = [Fraction(-1), Fraction(1), Fraction(0), Fraction(1, 3), Fraction(-7, 9)]


def _warp(image, motion, radius=0.0):
    return Warp(image, np.full(image.shape, radius), motion)


def _worst(path, middle, half, rng, count=4):
    """Return the largest share of the error that random true pixels use up."""
    enclosure = path.loaded(CPU).enclose(*rows([(middle, half)]))
    assert bool(torch.isfinite(enclosure.error).all())
    worst = 0.0
    for _ in range(count):
        u = [SHARES[at] for at in rng.integers(0, len(SHARES), len(middle))]
        t = [Fraction(m) + Fraction(h) * v for m, h, v in zip(middle, half, u, strict=True)]
        place = tuple(int(rng.integers(n)) for n in path.shape)
        truth = true_pixel(path.image, path.motion, t, place)
        worst = max(worst, float(excess(enclosure, 0, place, u, truth)))
    return worst


@pytest.mark.parametrize("motion", MOTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_true_pixels_are_in_the_enclosure(shape, motion):
    rng = np.random.default_rng(crc32(str((shape, motion)).encode()))
    path = _warp(rng.random(shape) * 2 - 0.7, motion)
    for half in WIDTHS:
        middle = half + rng.random() * (1 - 2 * half)
        assert _worst(path, [middle], [half], rng) <= 1.0


@pytest.mark.parametrize("shape", [(1, 2, 3), (1, 5, 5), (1, 4, 6)], ids=str)
@pytest.mark.parametrize("degrees", [-180.0, -90.0, 0.0, 90.0, 180.0, 270.0, 45.0])
@pytest.mark.parametrize("half", [0.1, 1e-4, 1e-12, 0.0])
def test_quarter_turns_where_every_place_is_on_a_grid_line(shape, degrees, half):
    rng = np.random.default_rng(3)
    path = _warp(rng.random(shape), Rotation(degrees - 90.0, degrees + 90.0))
    assert _worst(path, [0.5], [half], rng, 12) <= 1.0


def test_rows_at_the_start_where_nothing_has_moved_yet():
    image = np.random.default_rng(0).random((2, 6, 5))
    for motion in (Rotation(0.0, 20.0), Scaling(1.0, 2.0), Shear(0.0, 1.0), Translation((0, 0), (1, 1))):
        path = _warp(image, motion)
        found = path.loaded(CPU).enclose(*rows([([0.0], [0.0])]))
        assert float((found.lines[0, 0] - torch.from_numpy(image)).abs().max()) < 1e-13
        assert float(found.error.max()) < 1e-10
        assert np.array_equal(path.at([0.0]), image)


@pytest.mark.parametrize(
    "motion",
    [
        Joined((Rotation(-10.0, 25.0), Translation((-1.0, 0.5), (1.0, 0.0)))),
        Joined((Scaling(0.7, 1.4), Shear(0.0, 0.5), Rotation(0.0, 90.0))),
        Joined((Translation((-2.0, 0.0), (2.0, 0.0)), Translation((0.0, -2.0), (0.0, 2.0)))),
    ],
    ids=str,
)
@pytest.mark.parametrize("half", [0.3, 0.05, 1e-3, 1e-7, 0.0])
def test_true_pixels_of_boxes_of_several_parameters(motion, half):
    rng = np.random.default_rng(7)
    path = _warp(rng.random((2, 5, 6)), motion)
    for _ in range(3):
        middle = (half + rng.random(motion.dimensions) * (1 - 2 * half)).tolist()
        assert _worst(path, middle, [half] * motion.dimensions, rng, 12) <= 1.0


def test_the_radius_of_the_image_is_part_of_the_error():
    rng = np.random.default_rng(2)
    exact = rng.random((1, 5, 5))
    radius = 0.01 * rng.random(exact.shape)
    path = Warp(exact + radius * rng.choice([-1.0, 1.0], exact.shape), radius, Rotation(0.0, 40.0))
    for half in (0.2, 0.01, 0.0):
        found = path.loaded(CPU).enclose(*rows([([0.5], [half])]))
        for row, column in np.ndindex(5, 5):
            truth = true_pixel(exact, path.motion, [Fraction(0.5)], (0, row, column))
            assert excess(found, 0, (0, row, column), [Fraction(0)], truth) <= 1.0


def test_the_error_falls_with_the_square_of_the_width():
    path = _warp(np.random.default_rng(0).random((1, 8, 8)), Rotation(0.0, 90.0))
    halves = [2.0**-n for n in range(5, 16)]
    errors = path.loaded(CPU).enclose(*rows([([0.3], [half]) for half in halves])).error.flatten(1)
    assert float(errors[-1].max()) < 1e-6  # no pixel crosses a grid line there
    inside = errors[-1] > 1e-11  # the corners show nothing but what lies outside
    assert int(inside.sum()) > 50
    falls = (errors[-4:-1] / errors[-3:])[:, inside]
    assert float(falls.min()) > 3.2
    assert float(falls.max()) < 4.8


def test_the_error_is_attained():
    """The bounds are no larger than they must be: some point of some pixel is at the end of its error."""
    rng = np.random.default_rng(0)
    path = _warp(rng.random((1, 8, 8)), Rotation(0.0, 90.0))
    for half in (0.02, 2.0**-9):
        found = path.loaded(CPU).enclose(*rows([([0.3], [half])]))
        u = np.linspace(-1, 1, 41)
        images = np.stack([path.at([0.3 + half * v]) for v in u])
        line = found.lines[0].numpy() + found.lines[1].numpy() * u[:, None, None, None]
        assert (np.abs(images - line) / found.error.numpy()).max() > 0.95


def test_a_motion_is_seen_as_people_say_it():
    picture = np.zeros((1, 5, 5))
    picture[0, 0, 2] = 1.0  # a dot at the top
    assert _warp(picture, Rotation(0.0, 90.0)).at([1.0])[0, 2, 0] == 1.0  # counter-clockwise: now on the left
    assert _warp(picture, Translation((0, 0), (1, 2))).at([1.0])[0, 2, 3] == 1.0  # right and down
    assert _warp(picture, Shear(0.0, 0.5)).at([1.0])[0, 0, 3] == 1.0  # the upper half leans to the right
    assert _warp(picture, Scaling(1.0, 0.5)).at([1.0])[0, 1, 2] == 1.0  # smaller: nearer to the centre
    assert _warp(picture, Scaling(1.0, 0.5)).at([1.0]).sum() == 1.0


@pytest.mark.parametrize("motion", MOTIONS, ids=str)
@pytest.mark.parametrize("shape", [(1, 1, 2), (3, 5, 4)], ids=str)
def test_the_resampler_is_the_usual_one(shape, motion):
    rng = np.random.default_rng(1)
    image = rng.random(shape)
    _, height, width = shape
    for t in (0.0, 0.25, 0.7, 1.0):
        matrix = motion.at([t])
        sizes = np.array([max(width - 1, 1) / 2, max(height - 1, 1) / 2])
        x, y = matrix @ np.stack(
            [
                *(axis.ravel() for axis in np.meshgrid(np.arange(width) - (width - 1) / 2,
                                                       np.arange(height) - (height - 1) / 2)),
                np.ones(width * height),
            ]
        )  # fmt: skip
        places = np.stack([x / sizes[0], y / sizes[1]], -1).reshape(1, height, width, 2)
        if width == 1 or height == 1:
            places = np.stack([2 * x / width, 2 * y / height], -1).reshape(1, height, width, 2)
        there = grid_sample(
            torch.from_numpy(image)[None],
            torch.from_numpy(places),
            padding_mode="zeros",
            align_corners=width > 1 and height > 1,
        )
        assert np.allclose(there[0].numpy(), _warp(image, motion).at([t]), atol=1e-9)


def test_a_rotation_is_that_of_torch():
    image = np.random.default_rng(1).random((1, 9, 9))
    for degrees in (20.0, -33.0):
        radians = np.deg2rad(degrees)
        matrix = np.array([[np.cos(radians), -np.sin(radians), 0], [np.sin(radians), np.cos(radians), 0]])
        grid = affine_grid(torch.from_numpy(matrix)[None], [1, 1, 9, 9], align_corners=True)
        there = grid_sample(torch.from_numpy(image)[None], grid, align_corners=True)[0]
        assert np.allclose(there.numpy(), _warp(image, Rotation(0.0, degrees)).at([1.0]), atol=1e-12)


def test_wide_rows_are_between_the_pixels_in_reach():
    path = _warp(np.random.default_rng(0).random((1, 9, 9)), Rotation(0.0, 360.0))
    found = path.loaded(CPU).enclose(*rows([([0.5], [0.5])]))
    high = found.lines[0] + found.lines[1].abs() + found.error
    low = found.lines[0] - found.lines[1].abs() - found.error
    assert 0.9 < float(high.max()) < 1.01
    assert -0.01 < float(low.min()) < 0.1


def test_a_path_is_cut_where_its_corners_have_moved_by_a_pixel():
    image = np.zeros((1, 28, 28))
    assert _warp(image, Translation((0.0, 0.0), (3.5, 0.0))).joints == (0.25, 0.5, 0.75)
    assert _warp(image, Rotation(0.0, 0.1)).joints == ()
    assert len(_warp(image, Rotation(-45.0, 45.0)).joints) == 31
    assert len(_warp(image, Rotation(-360.0, 360.0)).joints) == 63
    assert _warp(image[:, :1, :1], Rotation(0.0, 90.0)).joints == ()


def test_only_images_move():
    with pytest.raises(InvalidSpec, match="only images"):
        Warp(np.zeros(4), np.zeros(4), Rotation(0.0, 1.0))
