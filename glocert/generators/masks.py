"""Where a local mutation is meant to act: a rectangle or a picture, brought to the size of the images.

A mask as JSON is one of::

    {"type": "rectangle", "top": 4, "left": 2, "height": 3, "width": 9, "of": [28, 28]}
    {"type": "picture", "png": base64}

Rows and columns count from the upper left corner. ``of`` says for which height and width the rectangle was
drawn; other sizes are scaled to, linearly. A pixel of a picture is inside where any colour is above half and
nothing is transparent; the nearest pixel decides at another size.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from glocert.errors import InvalidSpec, Offence

Mask = NDArray[np.bool_]
MOST_PIXELS = 2**24
_HALF = 127
_IMAGE = 3
_UNREADABLE = (
    binascii.Error,
    Image.DecompressionBombError,
    UnidentifiedImageError,
    OSError,
    SyntaxError,
    ValueError,
)


def mask_of(data: Mapping[str, Any], shape: Sequence[int]) -> Mask:
    """Return a mask for images of a shape: bool, shape (1, height, width), True inside.

    Args:
        data: the JSON of the module's description.
        shape: of an image, ``(channels, height, width)``.

    Raises:
        InvalidSpec: the images have no rows and columns; the mask is empty, covers everything, or is no
            picture.
    """
    if len(shape) != _IMAGE:
        raise _unfit(f"A mask needs images, these have shape {list(shape)}.")
    height, width = shape[1:]
    inside = _rectangle(data, height, width) if data["type"] == "rectangle" else _picture(data, height, width)
    if not inside.any():
        raise _unfit(f"The mask has no pixel of the images, which have {height} rows and {width} columns.")
    if inside.all():
        raise _unfit("The mask covers the whole image: for that there is the mode global.")
    return inside[None]


def _rectangle(data: Mapping[str, Any], height: int, width: int) -> Mask:
    rows, columns = data.get("of") or (height, width)
    top, bottom = _scaled(data["top"], data["height"], height / rows)
    left, right = _scaled(data["left"], data["width"], width / columns)
    inside = np.zeros((height, width), dtype=np.bool_)
    inside[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = True
    return inside


def _scaled(start: int, length: int, factor: float) -> tuple[int, int]:
    """Scale an interval and round its ends to pixels."""
    return round(start * factor), round((start + length) * factor)


def _picture(data: Mapping[str, Any], height: int, width: int) -> Mask:
    try:
        with Image.open(io.BytesIO(base64.b64decode(data["png"], validate=True)), formats=["PNG"]) as image:
            if image.width * image.height > MOST_PIXELS:
                raise _unfit(f"The picture of the mask has more than {MOST_PIXELS} pixels.")
            levels = np.asarray(image.convert("RGBA"))
    except _UNREADABLE as error:
        raise _unfit("The picture of the mask is not a PNG that can be read.") from error
    inside = (levels[..., :3].max(axis=2) > _HALF) & (levels[..., 3] > _HALF)
    rows, columns = (
        (np.arange(wanted) * 2 + 1) * size // (2 * wanted)
        for wanted, size in zip((height, width), inside.shape, strict=True)
    )
    return np.ascontiguousarray(inside[np.ix_(rows, columns)])


def _unfit(detail: str) -> InvalidSpec:
    return InvalidSpec(detail, [Offence("/mask", detail)])
