"""Files that take long to make, made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return the bytes at ``path``; make and keep them where there are none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.part")
        beside.write_bytes(make())
        beside.replace(path)
    return path.read_bytes()
