from __future__ import annotations

import base64
import io
import zlib

import numpy as np
import pytest
from PIL import Image

from glocert.errors import InvalidSpec
from glocert.paths.items import Items
from glocert.paths.overlay import overlay_image
from glocert.spec import Preprocessing

GREY = Items(np.zeros((2, 2, 3), np.uint8), (1, 2, 3), Preprocessing())
LEVELS = np.array([[0, 51, 102], [153, 204, 255]], dtype=np.uint8)


def png(array: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_a_picture_becomes_an_image_of_the_domain():
    image = overlay_image({"png": png(LEVELS)}, GREY, (1, 2, 3))
    np.testing.assert_array_equal(image[0], (LEVELS.astype(np.float32) / np.float32(255)).astype(np.float64))


def test_a_colour_picture_keeps_its_channels_apart():
    colours = np.stack([LEVELS, LEVELS // 2, LEVELS // 3], axis=-1)
    items = Items(np.zeros((1, 2, 3, 3), np.uint8), (3, 2, 3), Preprocessing(scale=False))
    np.testing.assert_array_equal(overlay_image({"png": png(colours)}, items, (3, 2, 3))[1], LEVELS // 2)


def test_a_picture_of_another_size_is_refused_with_both_sizes():
    with pytest.raises(InvalidSpec, match="4 x 2 pixels, items are 3 x 2"):
        overlay_image({"png": png(np.zeros((2, 4), np.uint8))}, GREY, (1, 2, 3))


@pytest.mark.parametrize(
    "text", ["", "not base64!", base64.b64encode(b"GIF89a....").decode(), png(LEVELS)[:60]]
)
def test_what_is_no_picture_is_refused(text):
    with pytest.raises(InvalidSpec, match="not a readable base64 PNG"):
        overlay_image({"png": text}, GREY, (1, 2, 3))


def test_a_header_of_huge_size_is_refused_before_decoding():
    data = bytearray(base64.b64decode(png(LEVELS)))
    data[16:24] = (100_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(InvalidSpec):
        overlay_image({"png": base64.b64encode(data).decode()}, GREY, (1, 2, 3))


@pytest.mark.parametrize("overlay", [None, {}, {"item": 1, "level": 2}, {"colour": 1}, 3])
def test_an_overlay_is_one_of_three_things(overlay):
    with pytest.raises(InvalidSpec, match="overlay must be"):
        overlay_image(overlay, GREY, (1, 2, 3))


def test_features_take_no_picture():
    with pytest.raises(InvalidSpec, match=r"\(6,\)"):
        overlay_image({"png": png(LEVELS)}, GREY, (6,))
