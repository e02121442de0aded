from __future__ import annotations

import numpy as np
import pytest

from glocert.errors import InvalidSpec
from glocert.paths.items import Items, arrangement, to_image_domain
from glocert.spec import Preprocessing

C, H, W = 3, 4, 5
IMAGE = np.arange(C * H * W, dtype=np.uint8).reshape(C, H, W)
LAST = IMAGE.transpose(1, 2, 0)


@pytest.mark.parametrize(
    ("stored", "network", "layout"),
    [
        (IMAGE, (C, H, W), "NCHW"),
        (LAST, (C, H, W), "NCHW"),
        (IMAGE, (H, W, C), "NHWC"),
        (LAST, (H, W, C), "NHWC"),
        (IMAGE.ravel(), (C, H, W), "NCHW"),
        (LAST.ravel(), (H, W, C), "NHWC"),
        (IMAGE.reshape(-1, 1), (C, H, W), "NCHW"),
        (IMAGE, (C * H * W,), "NCHW"),
        (LAST, (C * H * W, 1), "NCHW"),
    ],
)
def test_every_form_of_an_image_reaches_the_domain(stored, network, layout):
    image = to_image_domain(stored, network, Preprocessing(layout=layout, scale=False))
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, IMAGE)


@pytest.mark.parametrize(
    ("item", "network", "layout", "shape"),
    [
        ((28, 28), (1, 28, 28), "NCHW", (1, 28, 28)),
        ((28, 28), (784, 1), "NCHW", (1, 28, 28)),
        ((28, 28), (28, 28), "NHWC", (1, 28, 28)),
        ((784,), (28, 28), "NHWC", (1, 28, 28)),
        ((784,), (784, 1), "NCHW", (784,)),
        ((784, 1), (784,), "NCHW", (784,)),
        ((5,), (5,), "NCHW", (5,)),
        ((5,), (1, 4, 4), "NCHW", (5,)),
        ((3, 3, 3), (3, 3, 3), "NCHW", (3, 3, 3)),
        ((27, 28, 1), (1, 28, 28), "NCHW", (1, 27, 28)),
    ],
)
def test_shape_of_the_domain(item, network, layout, shape):
    assert arrangement(item, network, layout).shape == shape


@pytest.mark.parametrize("item", [(), (2, 3, 4, 5), (7, 8, 9)])
def test_what_is_no_image_is_refused_with_its_shape(item):
    with pytest.raises(InvalidSpec, match=str(item).replace("(", r"\(").replace(")", r"\)")):
        arrangement(item, (1, 28, 28), "NCHW")


def test_integers_are_divided_in_float32_and_floats_are_left_alone():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    scaled = to_image_domain(levels, (1, 16, 16), Preprocessing())
    np.testing.assert_array_equal(scaled[0], levels.astype(np.float32) / np.float32(255))
    floats = np.full((2, 2), 0.3, dtype=np.float32)
    np.testing.assert_array_equal(to_image_domain(floats, (1, 2, 2), Preprocessing())[0], floats)


def test_items_refuse_what_is_not_there():
    items = Items(np.zeros((2, 4, 4), np.uint8), (1, 4, 4), Preprocessing())
    assert len(items) == 2
    assert items.shape == items[1].shape == (1, 4, 4)
    for index in (-1, 2):
        with pytest.raises(InvalidSpec, match="2 items"):
            items[index]
