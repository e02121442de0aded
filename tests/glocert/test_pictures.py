from __future__ import annotations

import numpy as np
import pytest

from glocert import pictures
from glocert.pictures import OPEN, PROVEN, WRONG, Stretch

GREY = np.array([[[0.0, 1.0], [0.5, 0.25]]])


def pixels(picture) -> np.ndarray:
    return np.asarray(picture).astype(int)


def test_a_tiny_image_is_enlarged_without_blur():
    picture = pixels(pictures.comparison(GREY, 1 - GREY, ["a", "b", "c"], lower=0, upper=1))
    tile = picture[12:180, 12:180]
    assert (tile[:84, :84] == 0).all()
    assert (tile[:84, 84:] == 255).all()
    assert (tile[84:, :84] == 128).all()


def test_the_difference_is_amplified_around_grey():
    other = GREY.copy()
    other[0, 0, 0] += 0.01
    other[0, 1, 1] -= 0.005
    picture = pixels(pictures.comparison(GREY, other, ["a", "b", "c"], lower=0, upper=1))
    tile = picture[12:180, 2 * (168 + 12) + 12 :][:, :168]
    assert (tile[:84, :84] == 255).all()
    assert (tile[:84, 84:] == 128).all()
    assert (tile[84:, 84:] == 64).all()


def test_equal_images_have_a_grey_difference():
    picture = pixels(pictures.comparison(GREY, GREY, ["a", "b", "c"], lower=0, upper=1))
    assert (picture[12:180, 2 * (168 + 12) + 12 :][:, :168] == 128).all()


def test_colours_and_the_domain_are_kept():
    colours = np.zeros((3, 4, 6))
    colours[1] = 2.0
    picture = pixels(pictures.comparison(colours, colours, ["", "", ""], lower=-2, upper=2))
    assert picture[12, 12].tolist() == [128, 255, 128]


def test_the_bar_says_what_is_proven_where():
    bar = [Stretch(0.0, 0.5, PROVEN), Stretch(0.75, 1.0, WRONG)]
    picture = pictures.strip([GREY] * 9, [f"{n}" for n in range(9)], bar, lower=0, upper=1)
    line = pixels(picture)[picture.height - 16 - 3 * 12]
    inside = line[12:-12]
    colours = [tuple(inside[int(share * (len(inside) - 1))]) for share in (0.01, 0.48, 0.6, 0.73, 0.77, 0.99)]
    assert colours == [PROVEN, PROVEN, OPEN, OPEN, WRONG, WRONG]


def test_a_legend_says_what_the_colours_mean():
    picture = pictures.strip([GREY] * 9, [""] * 9, [], lower=0, upper=1)
    under_the_bar = pixels(picture)[picture.height - 16 :].reshape(-1, 3)
    found = {tuple(int(level) for level in pixel) for pixel in under_the_bar}
    assert {colour for colour, _ in pictures.LEGEND} <= found


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((1, 8, 8), True), ((3, 8, 8), True), ((4, 8, 8), True), ((2, 8, 8), False), ((64,), False)],
)
def test_only_images_are_drawn(shape, expected):
    assert pictures.drawable(shape) is expected
