"""Zip archives of PNG and JPEG pictures, with labels in an optional ``labels.csv``."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from glocert.data.archive import files, opened
from glocert.data.limits import DataLimits
from glocert.data.store import Inputs, write_labels
from glocert.errors import DatasetTooLarge, InvalidImages, InvalidLabels, Offence, UnreadableDataset

SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
LABELS_FILE = "labels.csv"
_GREY, _COLOUR = {"1", "L"}, {"P", "RGB"}
_UNREADABLE = (UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError)


def read_pictures(path: Path, out: Path, limits: DataLimits) -> dict[str, Any]:
    """Read pictures in the order of ``labels.csv`` (``name,label``), else of their names.

    Raises:
        DatasetRejected: a leaf of it that says what is wrong.
    """
    with opened(path, limits) as archive:
        members = {member.filename: member for member in files(archive)}
        table = _labels(archive, members, limits)
        names = _names(members) if table is None else [name for name, _ in table]
        colour, size = _common_form(archive, names, limits)
        shape = (len(names), size[1], size[0], *((3,) if colour else ()))
        with Inputs(out, shape, np.dtype(np.uint8), limits) as inputs:
            for name in names:
                inputs.append(_pixels(archive, name, "RGB" if colour else "L")[None])
            report = {"format": "zip", **inputs.finish(), "labels": None}
    if table is not None:
        report["labels"] = write_labels(out, np.array([label for _, label in table]), len(names))
    return report


def _names(members: dict[str, zipfile.ZipInfo]) -> list[str]:
    """Return the pictures by name; anything else among them is an error, not a surprise."""
    others = [name for name in sorted(members) if PurePosixPath(name).suffix.lower() not in SUFFIXES]
    if others:
        offences = [Offence(name, "neither PNG nor JPEG nor labels.csv") for name in others[:20]]
        raise UnreadableDataset(
            f"{len(others)} members are not pictures, the first one {others[0]!r}", offences
        )
    if not members:
        raise InvalidImages("the data set is empty")
    return sorted(members)


def _labels(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], limits: DataLimits
) -> list[tuple[str, int]] | None:
    """Take ``labels.csv`` out of ``members`` and return its rows; names are relative to its folder."""
    found = next((name for name in members if PurePosixPath(name).name == LABELS_FILE), None)
    if found is None:
        return None
    if members.pop(found).file_size > 1000 * limits.items:
        raise DatasetTooLarge(f"{found} is larger than {limits.items} rows can be")
    try:
        rows = [row for row in csv.reader(io.StringIO(archive.read(found).decode("utf-8-sig"))) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidLabels(f"{found} is not a readable CSV (encoding or quotes)") from error
    if rows and not _is_label(rows[0]):
        rows = rows[1:]
    folder = PurePosixPath(found).parent
    return [_labelled(number, row, folder, members) for number, row in enumerate(rows)]


def _is_label(row: Sequence[str]) -> bool:
    return len(row) == 2 and row[1].strip().lstrip("-").isdecimal()


def _labelled(
    number: int, row: Sequence[str], folder: PurePosixPath, members: dict[str, zipfile.ZipInfo]
) -> tuple[str, int]:
    if not _is_label(row):
        raise InvalidLabels(f"row {number} of {LABELS_FILE} is not a name and an integer")
    name = str(folder / row[0].strip())
    if name not in members:
        raise InvalidLabels(f"row {number} of {LABELS_FILE} names a picture that is not in the archive")
    return name, int(row[1])


def _common_form(
    archive: zipfile.ZipFile, names: Sequence[str], limits: DataLimits
) -> tuple[bool, tuple[int, int]]:
    """Read only the pictures' headers: return whether any has colour, and the size of all."""
    if not names:
        raise InvalidImages("the data set is empty")
    colour, sizes = False, {}
    for row, name in enumerate(names):
        with _opened_picture(archive, name) as picture:
            if picture.mode not in _GREY | _COLOUR:
                raise InvalidImages(f"{name} has the mode {picture.mode}; save it as grey or RGB (row {row})")
            if picture.width * picture.height * 3 > limits.item_elements:
                raise DatasetTooLarge(f"{name} has {picture.width} x {picture.height} pixels (row {row})")
            colour |= picture.mode in _COLOUR
            sizes[picture.size] = row
        if len(sizes) > 1:
            first, other = list(sizes)[:2]
            raise InvalidImages(f"pictures of different sizes: {first} and {other} (row {row})")
    return colour, next(iter(sizes))


def _opened_picture(archive: zipfile.ZipFile, name: str) -> Image.Image:
    kind = SUFFIXES.get(PurePosixPath(name).suffix.lower())
    if kind is None:
        raise InvalidImages(f"{name} is neither PNG nor JPEG")
    try:
        return Image.open(io.BytesIO(archive.read(name)), formats=[kind])
    except _UNREADABLE as error:
        raise InvalidImages(f"{name} is not a readable {kind}") from error


def _pixels(archive: zipfile.ZipFile, name: str, mode: str) -> NDArray[np.uint8]:
    with _opened_picture(archive, name) as picture:
        try:
            return np.asarray(picture.convert(mode), dtype=np.uint8)
        except (*_UNREADABLE, OSError) as error:
            raise InvalidImages(f"{name} is not a readable picture") from error
