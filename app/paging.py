"""Pages of lists: opaque cursors and a stable order."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from app.errors import InvalidCursor

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and where the next ones begin."""

    items: Sequence[T]
    next: str | None


@dataclass(frozen=True, slots=True)
class After:
    """The last row of the page before: lists go from the newest to the oldest."""

    created_at: datetime
    id: str


def encode(*parts: str | int) -> str:
    """Return an opaque cursor."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def read_after(cursor: str | None) -> After | None:
    """Read the cursor of a list of things.

    Raises:
        InvalidCursor: it is not one of ours.
    """
    if cursor is None:
        return None
    moment, identity = _decode(cursor, (str, str))
    try:
        created_at = datetime.fromisoformat(moment)
    except ValueError as error:
        raise InvalidCursor("The cursor is not one that this service gave.") from error
    if created_at.tzinfo is None or not identity.isprintable():
        raise InvalidCursor("The cursor is not one that this service gave.")
    return After(created_at, identity)


def read_index(cursor: str | None) -> int:
    """Read the cursor of a list that goes by index; without one it begins before 0.

    Raises:
        InvalidCursor: it is not one of ours.
    """
    if cursor is None:
        return -1
    (index,) = _decode(cursor, (int,))
    if not -1 <= index < 2**31:
        raise InvalidCursor("The cursor is not one that this service gave.")
    return int(index)


def read_index_and_name(cursor: str | None) -> tuple[int, str] | None:
    """Read the cursor of a list of files.

    Raises:
        InvalidCursor: it is not one of ours.
    """
    if cursor is None:
        return None
    index, name = _decode(cursor, (int, str))
    if not -1 <= index < 2**31 or not name.isprintable():
        raise InvalidCursor("The cursor is not one that this service gave.")
    return index, name


def page(rows: Sequence[T], limit: int, cursor_of: Callable[[T], str]) -> Page[T]:
    """Cut ``limit + 1`` fetched rows to a page."""
    if len(rows) <= limit:
        return Page(rows, None)
    return Page(rows[:limit], cursor_of(rows[limit - 1]))


def _decode(cursor: str, types: tuple[type, ...]) -> list[Any]:
    try:
        parts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise InvalidCursor("The cursor is not one that this service gave.") from error
    if not isinstance(parts, list) or [type(part) for part in parts] != list(types):
        raise InvalidCursor("The cursor is not one that this service gave.")
    return parts
