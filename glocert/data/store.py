"""Write inputs and labels row by row as plain ``.npy`` files, checked on the way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocert.data.limits import DataLimits
from glocert.errors import DatasetTooLarge, InvalidImages, InvalidLabels, UnreadableDataset

INPUTS, LABELS = "inputs.npy", "labels.npy"


class Inputs:
    """``inputs.npy`` while it is written: uint8 or float32, first axis = item; a context closes it.

    It is written front to back, not through a memory map, because the child's address space is limited.

    Args:
        out: existing folder.
        shape: of all items together, first axis = item.
        dtype: of the source: booleans and floats become float32, integers uint8.
        limits: what is accepted.

    Raises:
        InvalidImages: a dtype, rank or size that cannot be used.
        DatasetTooLarge: too many items or bytes.
    """

    def __init__(self, out: Path, shape: Sequence[int], dtype: np.dtype[Any], limits: DataLimits) -> None:
        self.shape = tuple(int(size) for size in shape)
        self.source_dtype = np.dtype(dtype)
        self.dtype = np.dtype(np.uint8 if self.source_dtype.kind in "iu" else np.float32)
        _check_dtype(self.source_dtype)
        _check_shape(self.shape, self.dtype, limits)
        self._file = (out / INPUTS).open("wb")
        header = {"descr": self.dtype.str, "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(self._file, header)
        self._filled = 0
        self._lowest: tuple[float, int] = (np.inf, 0)
        self._highest: tuple[float, int] = (-np.inf, 0)

    def __enter__(self) -> Inputs:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, rows: NDArray[Any]) -> None:
        """Store the next rows.

        Raises:
            InvalidImages: a value is NaN or infinite, does not fit float32, or is an integer outside 0..255.
        """
        self._check_values(rows)
        with np.errstate(over="ignore"):
            stored = rows.astype(self.dtype)
        if self.dtype.kind == "f":
            _refuse_first(~np.isfinite(stored), self._filled, "images contain values too large for float32")
        self._file.write(stored.tobytes())
        self._note_range(stored)
        self._filled += len(rows)

    def finish(self) -> dict[str, Any]:
        """Return what the report says about the whole file."""
        if self._filled != self.shape[0]:
            raise UnreadableDataset(f"the data ends after {self._filled} of {self.shape[0]} rows")
        return {
            "items": self.shape[0],
            "shape": list(self.shape[1:]),
            "dtype": self.dtype.name,
            "source_dtype": self.source_dtype.name,
            "values": {
                "min": self._lowest[0],
                "min_row": self._lowest[1],
                "max": self._highest[0],
                "max_row": self._highest[1],
            },
        }

    def _check_values(self, rows: NDArray[Any]) -> None:
        if self.source_dtype.kind == "f":
            _refuse_first(~np.isfinite(rows), self._filled, "images contain NaN or infinity")
        elif self.source_dtype.kind in "iu" and self.source_dtype != np.uint8:
            outside = (rows < 0) | (rows > 255)
            _refuse_first(outside, self._filled, "integer images must lie in 0..255; save others as float32")

    def _note_range(self, rows: NDArray[Any]) -> None:
        flat = rows.reshape(len(rows), -1)
        least, most = flat.min(axis=1), flat.max(axis=1)
        low, high = int(least.argmin()), int(most.argmax())
        self._lowest = min(self._lowest, (float(least[low]), self._filled + low))
        if float(most[high]) > self._highest[0]:
            self._highest = (float(most[high]), self._filled + high)


def write_labels(out: Path, labels: NDArray[Any], items: int) -> dict[str, Any]:
    """Write ``labels.npy`` (int64) and return what the report says about it.

    Args:
        out: existing folder.
        labels: integers, shape ``(items,)`` or ``(items, 1)``.
        items: how many are expected.

    Returns:
        ``count``, ``min``, ``max``, their first rows ``min_row`` and ``max_row``, ``classes`` (different
        values).

    Raises:
        InvalidLabels: another dtype, rank or number, or a negative label.
    """
    if labels.dtype.kind not in "iu":
        raise InvalidLabels(f"labels must be integers, not {labels.dtype.name}")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise InvalidLabels(f"labels must be one number per image, not an array of shape {labels.shape}")
    if len(labels) != items:
        raise InvalidLabels(f"the numbers of images and labels differ: {items} and {len(labels)}")
    wrong = np.flatnonzero((labels < 0) | (labels > np.iinfo(np.int32).max))
    if wrong.size:
        raise InvalidLabels(f"label {labels[wrong[0]]} is out of range (row {wrong[0]})")
    np.save(out / LABELS, labels.astype(np.int64), allow_pickle=False)
    return {
        "count": items,
        "min": int(labels.min()),
        "min_row": int(labels.argmin()),
        "max": int(labels.max()),
        "max_row": int(labels.argmax()),
        "classes": int(np.unique(labels).size),
    }


def _check_dtype(dtype: np.dtype[Any]) -> None:
    if dtype.kind == "O":
        raise InvalidImages("object arrays are not accepted: they may run code when they are read")
    if dtype.kind == "c":
        raise InvalidImages("images must be real numbers, not complex ones")
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise InvalidImages(f"images must be numeric (integers or floats up to 64 bits), not {dtype}")


def _check_shape(shape: tuple[int, ...], dtype: np.dtype[Any], limits: DataLimits) -> None:
    if not 2 <= len(shape) <= 4:
        raise InvalidImages(f"images need two to four axes, the first one counting them; found shape {shape}")
    items, elements = shape[0], int(np.prod(shape[1:], dtype=object))
    if items < 1:
        raise InvalidImages("the data set is empty")
    if elements < 1:
        raise InvalidImages(f"images of shape {shape[1:]} have no values")
    if items > limits.items:
        raise DatasetTooLarge(f"the data set has {items} items, {limits.items} are accepted")
    if elements > limits.item_elements:
        raise DatasetTooLarge(f"one item has {elements} values, {limits.item_elements} are accepted")
    if items * elements * dtype.itemsize > limits.unpacked_bytes:
        raise DatasetTooLarge(
            f"the images take more than the {limits.unpacked_bytes} bytes that are accepted"
        )


def _refuse_first(wrong: NDArray[np.bool_], first_row: int, message: str) -> None:
    """Raise for the first row with a wrong value, counted from the start of the data."""
    rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
    if rows.size:
        raise InvalidImages(f"{message} (row {first_row + int(rows[0])})")
