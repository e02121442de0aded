"""Content-addressed files: a blob is found by the sha256 of its bytes, and never changes."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Blob:
    """What is known of a stored file."""

    sha256: str
    size_bytes: int


class Incoming:
    """A file that is being written: digest and size run along, and nothing is stored before ``keep``."""

    def __init__(self, store: BlobStore, path: Path) -> None:
        self._store, self._path = store, path
        self._file = path.open("xb")
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        """Digest of what was written so far."""
        return self._digest.hexdigest()

    def write(self, chunk: bytes | memoryview) -> None:
        """Append bytes."""
        self._digest.update(chunk)
        self.size_bytes += self._file.write(chunk)

    def keep(self) -> Blob:
        """Sync the file and give it its place; it cannot be written any more."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._store.settle(self._path, self.sha256)
        return Blob(self.sha256, self.size_bytes)

    def drop(self) -> None:
        """Remove what was not kept."""
        self._file.close()
        self._path.unlink(missing_ok=True)


class BlobStore:
    """A folder ``blobs/ab/abcd…`` that API and workers share.

    A blob is written under a temporary name, synced and renamed, so that a reader never sees half of one and
    a crash leaves nothing but a temporary file, which ``sweep`` removes.
    """

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._incoming = root / "incoming"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._incoming.mkdir(parents=True, exist_ok=True)

    def path(self, sha256: str) -> Path:
        """Return where a blob lies, whether it is there or not."""
        return self._blobs / sha256[:2] / sha256

    @contextmanager
    def incoming(self) -> Iterator[Incoming]:
        """Open a file for writing; it is gone at the end unless it was kept."""
        incoming = Incoming(self, self._incoming / secrets.token_hex(16))
        try:
            yield incoming
        finally:
            incoming.drop()

    def put(self, chunks: Iterable[bytes]) -> Blob:
        """Store what ``chunks`` yields; an exception from it leaves nothing behind."""
        with self.incoming() as incoming:
            for chunk in chunks:
                incoming.write(chunk)
            return incoming.keep()

    def put_file(self, path: Path) -> Blob:
        """Store a copy of a file."""
        with path.open("rb") as file:
            return self.put(iter(lambda: file.read(1 << 20), b""))

    def delete(self, sha256: str) -> None:
        """Remove a blob that no row refers to any more."""
        self.path(sha256).unlink(missing_ok=True)

    def digests(self) -> Iterator[str]:
        """Yield the digest of every blob."""
        return (path.name for folder in self._blobs.iterdir() for path in folder.iterdir())

    def age_s(self, sha256: str) -> float:
        """Return how many seconds ago a blob was stored; 0 for one that is not there."""
        return max(0.0, time.time() - _changed_at(self.path(sha256)))

    def sweep(self, older_than_s: float) -> int:
        """Remove temporary files that a crash left behind and return their number."""
        limit = time.time() - older_than_s
        stale = [path for path in self._incoming.iterdir() if _changed_at(path) < limit]
        for path in stale:
            path.unlink(missing_ok=True)
        return len(stale)

    def settle(self, temporary: Path, sha256: str) -> None:
        """Give a finished temporary file its place."""
        target = self.path(sha256)
        target.parent.mkdir(exist_ok=True)
        temporary.chmod(0o644)
        temporary.replace(target)


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
