"""NumPy files: the header is read and judged, the data streamed; nothing is ever unpickled."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from glocert.data.archive import files, opened
from glocert.data.limits import DataLimits
from glocert.data.store import Inputs, write_labels
from glocert.errors import DatasetTooLarge, InvalidLabels, UnreadableDataset

IMAGES_KEYS, LABELS_KEYS = ("images", "x"), ("labels", "y")
_WHOLE_BYTES = 256 * 2**20
_HEADER_ERRORS = (ValueError, TypeError, EOFError, SyntaxError, TokenError, RecursionError)
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npz(path: Path, out: Path, limits: DataLimits) -> dict[str, Any]:
    """Read ``images`` (or ``x``) and, if present, ``labels`` (or ``y``) of an archive of arrays.

    Raises:
        DatasetRejected: a leaf of it that says what is wrong.
    """
    with opened(path, limits) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in files(archive)}
        images, labels = (_first(members, keys) for keys in (IMAGES_KEYS, LABELS_KEYS))
        if images is None or (labels is None and len(members) > 1):
            names = ", ".join(sorted(members))
            raise UnreadableDataset(f"arrays 'images' and 'labels' (or x and y) are required; found {names}")
        with archive.open(images) as stream:
            report = _copy_inputs(stream, out, limits)
        report["labels"] = None
        if labels is not None:
            with archive.open(labels) as stream:
                report["labels"] = write_labels(out, _whole_labels(stream, limits), report["items"])
    return {"format": "npz", **report}


def read_npy(path: Path, out: Path, limits: DataLimits) -> dict[str, Any]:
    """Read one array of unlabelled inputs.

    Raises:
        DatasetRejected: a leaf of it that says what is wrong.
    """
    with path.open("rb") as stream:
        return {"format": "npy", **_copy_inputs(stream, out, limits), "labels": None}


def _first(members: dict[str, zipfile.ZipInfo], keys: tuple[str, ...]) -> zipfile.ZipInfo | None:
    return next((members[key] for key in keys if key in members), None)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether the order is Fortran's, and dtype."""
    try:
        version = npy.read_magic(stream)
        if version not in _HEADERS:
            raise UnreadableDataset(f"NumPy file version {version} is not supported")
        shape, fortran, dtype = _HEADERS[version](stream)
    except _HEADER_ERRORS as error:
        raise UnreadableDataset(f"not a readable NumPy array: {error}") from error
    return tuple(shape), bool(fortran), dtype


def _copy_inputs(stream: IO[bytes], out: Path, limits: DataLimits) -> dict[str, Any]:
    shape, fortran, dtype = _header(stream)
    with Inputs(out, shape, dtype, limits) as inputs:
        if fortran:
            inputs.append(_whole(stream, shape, dtype).reshape(shape, order="F"))
        else:
            for rows in _blocks(stream, shape, dtype, limits.block_bytes):
                inputs.append(rows)
        return inputs.finish()


def _blocks(
    stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], block_bytes: int
) -> Iterator[NDArray[Any]]:
    """Yield the rows of an array in C order, some at a time."""
    row_bytes = dtype.itemsize * math.prod(shape[1:])
    step = max(1, block_bytes // row_bytes)
    for first in range(0, shape[0], step):
        count = min(step, shape[0] - first)
        block = np.frombuffer(_exactly(stream, count * row_bytes), dtype)
        yield block.reshape(count, *shape[1:])


def _whole_labels(stream: IO[bytes], limits: DataLimits) -> NDArray[Any]:
    shape, fortran, dtype = _header(stream)
    if dtype.kind not in "iu":
        raise InvalidLabels(f"labels must be integers, not {dtype.name}")
    if math.prod(shape) > limits.items:
        raise DatasetTooLarge(f"labels have the shape {shape}, {limits.items} of them are accepted")
    return _whole(stream, shape, dtype).reshape(shape, order="F" if fortran else "C")


def _whole(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    size = dtype.itemsize * math.prod(shape)
    if size > _WHOLE_BYTES:
        raise DatasetTooLarge("an array of this size must be saved in C order")
    return np.frombuffer(_exactly(stream, size), dtype)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise UnreadableDataset("the array is shorter than its header says: the file is cut short")
    return data
