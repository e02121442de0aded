"""What inspection left of a data set: plain arrays, opened as memory maps and never copied whole."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.errors import NotAPicture

Array = NDArray[Any]


def open_array(path: Path) -> Array:
    """Map an ``.npy`` file; it holds numbers only, nothing in it is executed."""
    array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def label_outside(path: Path, indices: list[int], classes: int) -> tuple[int, int] | None:
    """Return index and label of the first row whose label is not in ``0..classes - 1``."""
    labels = open_array(path)[indices]
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    return (indices[int(wrong[0])], int(labels[wrong[0]])) if len(wrong) else None


def png_of(item: Array) -> bytes:
    """Draw an item; floats are taken to lie between 0 and 1, or are stretched where they do not.

    Raises:
        NotAPicture: it has not one or three channels.
    """
    picture = Image.fromarray(_levels(_height_width_channels(item)))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _height_width_channels(item: Array) -> Array:
    if item.ndim == 2 and 1 not in item.shape:
        return item
    if item.ndim == 3 and item.shape[2] in {1, 3}:
        return item[:, :, 0] if item.shape[2] == 1 else item
    if item.ndim == 3 and item.shape[0] in {1, 3}:
        return item[0] if item.shape[0] == 1 else item.transpose(1, 2, 0)
    raise NotAPicture(f"Items of shape {tuple(item.shape)} are not pictures.")


def _levels(pixels: Array) -> Array:
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    values = np.nan_to_num(pixels.astype(np.float64))
    low, high = min(0.0, float(values.min())), max(1.0, float(values.max()))
    return np.ascontiguousarray(np.rint((values - low) / (high - low) * 255).astype(np.uint8))
