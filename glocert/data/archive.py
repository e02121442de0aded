"""Zip archives, judged by their directory before anything is inflated."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from glocert.data.limits import DataLimits
from glocert.errors import DatasetTooLarge, UnreadableDataset

READ_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""the others take memory as their headers say"""
_JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db")


@contextmanager
def opened(path: Path, limits: DataLimits) -> Iterator[zipfile.ZipFile]:
    """Open an archive whose members are all within ``limits``.

    Raises:
        UnreadableDataset: not a zip archive, cut short, encrypted, damaged, or a member points outside.
        DatasetTooLarge: it would unpack to too much.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive, limits)
            yield archive
    except READ_ERRORS as error:
        raise UnreadableDataset(f"not a readable zip archive: {error}") from error


def files(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the members that are files, without what desktop systems leave behind."""
    return [
        member
        for member in archive.infolist()
        if not member.is_dir() and not any(part in _JUNK for part in PurePosixPath(member.filename).parts)
    ]


def _check(archive: zipfile.ZipFile, limits: DataLimits) -> None:
    members = archive.infolist()
    if len(members) > limits.members:
        raise DatasetTooLarge(f"the archive has {len(members)} members, {limits.members} are accepted")
    total = sum(member.file_size for member in members)
    if total > limits.unpacked_bytes:
        raise DatasetTooLarge(f"the archive expands to {total} bytes, {limits.unpacked_bytes} are accepted")
    for member in members:
        _check_member(member, limits)


def _check_member(member: zipfile.ZipInfo, limits: DataLimits) -> None:
    name = PurePosixPath(member.filename)
    if name.is_absolute() or ".." in name.parts or "\\" in member.filename:
        raise UnreadableDataset(f"member {member.filename!r} points outside the archive")
    if member.flag_bits & _ENCRYPTED:
        raise UnreadableDataset(f"member {member.filename!r} is encrypted")
    if member.compress_type not in _METHODS:
        raise UnreadableDataset(f"member {member.filename!r} must be stored or deflated")
    if member.file_size > max(2**20, limits.expansion * member.compress_size):
        raise DatasetTooLarge(
            f"member {member.filename!r} expands too much: {member.compress_size} to {member.file_size} bytes"
        )
