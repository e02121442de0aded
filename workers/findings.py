"""Taking over what a child leaves behind.

An inspection child has read hostile bytes: nothing that it says is trusted.
"""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from app.settings import Settings
from app.storage import Blob, BlobStore
from glocert.errors import InspectionFailed
from models import UnitKind
from workers.conversation import Garbled

LEFT_BEHIND: Mapping[UnitKind, Mapping[str, str]] = {
    UnitKind.INSPECT_NETWORK: {"graph": "graph.safetensors"},
    UnitKind.INSPECT_DATASET: {"inputs": "inputs.npy", "labels": "labels.npy"},
}
OPTIONAL = frozenset({"labels"})
MEDIA_TYPES: Mapping[str, str] = {
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
"""All others are bytes: tables of the system know suffixes of weights as something else."""
LONGEST_TEXT = 2_000
MOST_ERRORS = 1_000
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Inspection:
    """An inspection's report, and the digests of the files that it wrote."""

    report: dict[str, Any]
    digests: dict[str, str]


def inspection(store: BlobStore, kind: UnitKind, report: Any, out: Path) -> Inspection:
    """Take over report and files of an inspection.

    Raises:
        Garbled: the report is no object, or a file is missing or no regular file.
    """
    if not isinstance(report, dict):
        raise Garbled("the report is not an object")
    digests = {}
    for what, name in LEFT_BEHIND[kind].items():
        blob = _taken(store, out / name, missing=what in OPTIONAL)
        if blob is not None:
            digests[what] = blob.sha256
    return Inspection(report, digests)


def pictures(store: BlobStore, folder: Path, names: Sequence[str]) -> list[tuple[str, str, Blob]]:
    """Take over the files of one input, or of the whole job."""
    accepted = []
    for name in names:
        if PurePosixPath(name).name != name:
            raise Garbled(f"{name!r} is not the name of a file")
        media_type = MEDIA_TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")
        accepted.append((name, media_type, taken(store, folder / name)))
    return accepted


def taken(store: BlobStore, path: Path) -> Blob:
    """Take over one file.

    Raises:
        Garbled: it is missing or no regular file.
    """
    blob = _taken(store, path, missing=False)
    assert blob is not None
    return blob


def problem(reported: Any) -> dict[str, Any]:
    """Return a reported problem with known members of bounded length only."""
    if not isinstance(reported, dict):
        return InspectionFailed("The process that read the upload reported nonsense.").to_problem()
    members: dict[str, Any] = {
        key: str(reported.get(key, ""))[:LONGEST_TEXT] for key in ("type", "title", "detail")
    }
    errors = reported.get("errors")
    if isinstance(errors, list):
        members["errors"] = [
            {str(key)[:100]: str(value)[:LONGEST_TEXT] for key, value in error.items()}
            for error in errors[:MOST_ERRORS]
            if isinstance(error, dict)
        ]
    return members


def cause_of_death(code: int | None, settings: Settings) -> tuple[str, bool]:
    """Say why a child ended by itself, and whether it would do so again."""
    if code == -signal.SIGXCPU:
        return f"It used more than {settings.inspection_s:g} s of processor time.", True
    if code == -signal.SIGXFSZ:
        return "It wrote more than it may.", True
    if code is not None and code < 0:
        return f"It was ended by signal {signal.Signals(-code).name}.", False
    return f"It ended with code {code}.", False


def _taken(store: BlobStore, path: Path, *, missing: bool) -> Blob | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        if missing:
            return None
        raise Garbled(f"{path.name} is missing") from None
    except OSError as error:
        raise Garbled(f"{path.name} cannot be taken over") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Garbled(f"{path.name} is not a regular file")
    return store.put(_chunks(descriptor))


def _chunks(descriptor: int) -> Iterator[bytes]:
    with open(descriptor, "rb") as file:
        while chunk := file.read(BLOCK_BYTES):
            yield chunk
