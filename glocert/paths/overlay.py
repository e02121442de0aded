"""The far end of a blend: a constant level, an item of the data set or a picture from the request."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from glocert.errors import InvalidSpec
from glocert.paths.items import Items
from glocert.paths.segment import Float64
from glocert.spec import Preprocessing

_UNREADABLE = (
    binascii.Error,
    Image.DecompressionBombError,
    UnidentifiedImageError,
    OSError,
    SyntaxError,
    ValueError,
)


def overlay_image(overlay: Any, items: Items, shape: tuple[int, ...]) -> Float64:
    """Return the overlay in the image domain.

    Args:
        overlay: ``{"item": index}``, ``{"level": number}`` or ``{"png": base64}``.
        items: the data set.
        shape: of the image domain.

    Returns:
        float64, broadcasts to ``shape``.

    Raises:
        InvalidSpec: none of the three, no such item, not a PNG, or a PNG of another size: a picture is never
            stretched, because the certificate would then be about a picture that nobody has seen.
    """
    if (
        not isinstance(overlay, Mapping)
        or len(overlay) != 1
        or not overlay.keys() <= {"item", "level", "png"}
    ):
        raise InvalidSpec('overlay must be {"item": index}, {"level": number} or {"png": base64}')
    if "level" in overlay:
        return np.asarray(float(overlay["level"]), dtype=np.float64)
    if "item" in overlay:
        return items[int(overlay["item"])].astype(np.float64)
    return _picture(str(overlay["png"]), shape, items.preprocessing)


def _picture(text: str, shape: tuple[int, ...], preprocessing: Preprocessing) -> Float64:
    if len(shape) != 3 or shape[0] not in {1, 3}:
        raise InvalidSpec(f"a picture cannot be laid over items of shape {shape}")
    channels, height, width = shape
    try:
        data = base64.b64decode(text, validate=True)
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            if picture.size != (width, height):
                raise InvalidSpec(
                    f"the overlay is {picture.width} x {picture.height} pixels, items are {width} x {height}"
                )
            pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"), dtype=np.float32)
    except _UNREADABLE as error:
        raise InvalidSpec("the overlay is not a readable base64 PNG") from error
    if preprocessing.scale:
        pixels = pixels / np.float32(255)
    return pixels.reshape(height, width, channels).transpose(2, 0, 1).astype(np.float64)
