"""Read an uploaded data set and leave plain arrays; runs inside the locked-down child."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

from glocert.data.archive import files, opened
from glocert.data.arrays import read_npy, read_npz
from glocert.data.limits import DataLimits
from glocert.data.photographs import read_pictures
from glocert.data.store import INPUTS, LABELS
from glocert.data.table import read_csv
from glocert.errors import GlocertError, UnreadableDataset

Reader = Callable[[Path, Path, DataLimits], dict[str, Any]]
_ZIP, _NPY = (b"PK\x03\x04", b"PK\x05\x06"), b"\x93NUMPY"
_KNOWN = ".npz, .npy, .zip of PNG or JPEG pictures, .csv"


def inspect_dataset(path: Path, out: Path, *, filename: str, limits: DataLimits) -> dict[str, Any]:
    """Check an upload and write ``inputs.npy`` and, for labelled data, ``labels.npy``.

    Args:
        path: the upload.
        out: existing folder.
        filename: the user's name for it; its suffix must agree with the bytes.
        limits: what is accepted.

    Returns:
        ``format`` (npz, npy, zip, csv), ``items``, ``shape`` (of one item), ``dtype`` (uint8 or float32),
        ``source_dtype``, ``values`` (``min``, ``max`` and their first rows ``min_row``, ``max_row``) and
        ``labels``: ``None`` or ``count``, ``min``, ``max``, ``min_row``, ``max_row``, ``classes``. Both files
        can be read with ``np.load(mmap_mode="r", allow_pickle=False)``; inputs are uint8 or float32, finite,
        first axis = item; labels are int64, not negative. Nothing is left behind after an error.

    Raises:
        UnreadableDataset, InvalidImages, InvalidLabels, DatasetTooLarge: what is wrong, and in which row.
    """
    try:
        return _reader(path, filename, limits)(path, out, limits)
    except GlocertError:
        for name in (INPUTS, LABELS):
            (out / name).unlink(missing_ok=True)
        raise


def _reader(path: Path, filename: str, limits: DataLimits) -> Reader:
    """Choose by the first bytes; the suffix only has to agree."""
    suffix = PurePath(filename).suffix.lower()
    with path.open("rb") as file:
        start = file.read(8)
    if not start:
        raise UnreadableDataset("the file is empty")
    if start.startswith(_NPY):
        return _agreeing(read_npy, suffix, {".npy"})
    if start.startswith(_ZIP):
        with opened(path, limits) as archive:
            reader = read_npz if _holds_arrays(archive) else read_pictures
        return _agreeing(reader, suffix, {".npz", ".zip"})
    if suffix in {".csv", ".txt"}:
        return read_csv
    raise UnreadableDataset(f"{_claimed(suffix)}; known formats are {_KNOWN}")


def _holds_arrays(archive: zipfile.ZipFile) -> bool:
    return any(member.filename.endswith(".npy") for member in files(archive))


def _agreeing(reader: Reader, suffix: str, suffixes: set[str]) -> Reader:
    if suffix and suffix not in suffixes:
        raise UnreadableDataset(f"{_claimed(suffix)} but one of {' or '.join(sorted(suffixes))}")
    return reader


def _claimed(suffix: str) -> str:
    return (
        f"the file is named {suffix} but is not a {suffix.lstrip('.')} archive or file"
        if suffix
        else "unknown format"
    )
