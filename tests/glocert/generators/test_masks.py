from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from glocert.errors import InvalidSpec
from glocert.generators.masks import mask_of

SHAPE = (3, 8, 6)


def png(levels: np.ndarray, mode: str = "L") -> str:
    buffer = io.BytesIO()
    Image.fromarray(levels.astype(np.uint8), mode).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def rectangle(top: int, left: int, height: int, width: int, **more: object) -> dict[str, object]:
    return {"type": "rectangle", "top": top, "left": left, "height": height, "width": width, **more}


def test_a_rectangle_is_rows_and_columns_from_its_corner() -> None:
    wanted = np.zeros((1, 8, 6), dtype=bool)
    wanted[0, 2:5, 1:3] = True
    assert np.array_equal(mask_of(rectangle(2, 1, 3, 2), SHAPE), wanted)


def test_a_rectangle_that_was_drawn_for_another_size_is_scaled() -> None:
    scaled = mask_of(rectangle(8, 4, 12, 8, of=[32, 24]), SHAPE)
    assert np.array_equal(scaled, mask_of(rectangle(2, 1, 3, 2), SHAPE))


def test_what_lies_outside_the_image_is_cut_off() -> None:
    assert np.array_equal(mask_of(rectangle(6, 4, 50, 50), SHAPE), mask_of(rectangle(6, 4, 2, 2), SHAPE))
    assert np.array_equal(mask_of(rectangle(-3, -1, 5, 3), SHAPE), mask_of(rectangle(0, 0, 2, 2), SHAPE))


def test_a_picture_is_inside_where_it_is_bright() -> None:
    levels = np.zeros((8, 6))
    levels[2:5, 1:3] = 255
    assert np.array_equal(
        mask_of({"type": "picture", "png": png(levels)}, SHAPE), mask_of(rectangle(2, 1, 3, 2), SHAPE)
    )
    large = np.kron(levels, np.ones((4, 4)))
    assert np.array_equal(
        mask_of({"type": "picture", "png": png(large)}, SHAPE), mask_of(rectangle(2, 1, 3, 2), SHAPE)
    )


def test_transparent_pixels_are_outside() -> None:
    levels = np.full((8, 6, 4), 255)
    levels[:4, :, 3] = 0
    assert np.array_equal(
        mask_of({"type": "picture", "png": png(levels, "RGBA")}, SHAPE), mask_of(rectangle(4, 0, 4, 6), SHAPE)
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (rectangle(8, 0, 2, 2), "no pixel"),
        (rectangle(0, 0, 8, 6), "whole image"),
        (rectangle(0, 0, 1, 1, of=[800, 600]), "no pixel"),
        ({"type": "picture", "png": png(np.zeros((8, 6)))}, "no pixel"),
        ({"type": "picture", "png": png(np.full((2, 2), 255))}, "whole image"),
        ({"type": "picture", "png": "AAAA"}, "not a PNG"),
        ({"type": "picture", "png": "%"}, "not a PNG"),
    ],
    ids=["outside", "everything", "less than a pixel", "black", "white", "no picture", "no base64"],
)
def test_masks_that_are_none(data: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message) as caught:
        mask_of(data, SHAPE)
    assert caught.value.offences[0].where == "/mask"


def test_rows_of_features_have_no_mask() -> None:
    with pytest.raises(InvalidSpec, match="needs images"):
        mask_of(rectangle(0, 0, 1, 1), (48,))
