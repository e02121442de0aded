"""Content-addressed files: a blob is found by the sha256 of its bytes, and never changes."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Blob:
    """What is known of a stored file."""

    sha256: str
    size_bytes: int


class BlobStore:
    """A folder ``blobs/ab/abcd…`` that API and workers share.

    A blob is written under a temporary name, synced and renamed, so that a reader never sees half of one and a
    crash leaves nothing but a temporary file, which ``sweep`` removes.
    """

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._incoming = root / "incoming"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._incoming.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """Return where a blob lies, whether it is there or not."""
        return self._blobs / sha256[:2] / sha256

    def put(self, chunks: Iterable[bytes]) -> Blob:
        """Store what ``chunks`` yields; an exception from it leaves nothing behind."""
        temporary = self._incoming / secrets.token_hex(16)
        digest, size = hashlib.sha256(), 0
        try:
            with temporary.open("xb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    size += file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            self._settle(temporary, digest.hexdigest())
        finally:
            temporary.unlink(missing_ok=True)
        return Blob(digest.hexdigest(), size)

    def put_file(self, path: Path) -> Blob:
        """Store a copy of a file."""
        with path.open("rb") as file:
            return self.put(iter(lambda: file.read(1 << 20), b""))

    def delete(self, sha256: str) -> None:
        """Remove a blob that no row refers to any more."""
        self.path(sha256).unlink(missing_ok=True)

    def _settle(self, temporary: Path, sha256: str) -> None:
        target = self.path(sha256)
        target.parent.mkdir(exist_ok=True)
        temporary.chmod(0o644)
        temporary.replace(target)
