"""Who may do what."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from app import paging
from app.errors import InvalidRequest, NotFound, Unauthorized
from app.keys import repository
from app.paging import Page
from app.settings import Settings
from glocert.errors import Offence
from models import ApiKey, now

ADMIN = "admin"
SCOPES = (
    "models:read", "models:write", "datasets:read", "datasets:write", "jobs:read", "jobs:write",
    "metrics:read", ADMIN,
)  # fmt: skip
PREFIX = "glc_"
SHOWN = 12
SHORTEST = 20
USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request."""

    owner: str
    scopes: frozenset[str]
    key_id: str | None = None

    def may(self, scope: str) -> bool:
        """Whether the caller has the scope; ``admin`` has all of them."""
        return scope in self.scopes or ADMIN in self.scopes


LOCAL = Caller("local", frozenset(SCOPES))
"""Everybody, where the service runs open on this machine."""


class NoKeys(RuntimeError):
    """The service would be open to other machines."""


def authenticate(session: Session, key: str) -> tuple[Caller, bool]:
    """Return whose key it is, and whether its use was noted lately.

    The lookup is by digest, so its time says nothing about how much of a key was right.

    Raises:
        Unauthorized: unknown, revoked or expired.
    """
    row = repository.by_digest(session, digest(key))
    moment = now()
    if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= moment):
        raise Unauthorized("The API key is not valid.")
    used_lately = row.last_used_at is not None and moment - row.last_used_at < USE_NOTED_EVERY
    return Caller(row.owner, frozenset(row.scopes), row.id), used_lately


def note_use(session: Session, caller: Caller) -> None:
    """Record that the caller's key was used."""
    if caller.key_id is not None:
        repository.note_use(session, caller.key_id, now())


def create(
    session: Session,
    caller: Caller,
    name: str,
    scopes: list[str],
    owner: str | None,
    expires_at: datetime | None,
) -> tuple[ApiKey, str]:
    """Make a key and return its row and the key itself, which is stored nowhere.

    Raises:
        InvalidRequest: it would be expired from the start.
    """
    if expires_at is not None and expires_at <= now():
        raise InvalidRequest("The key would be expired.", [Offence("/expires_at", "It lies in the past.")])
    key = PREFIX + secrets.token_urlsafe(32)
    row = _row(key, owner or caller.owner, name, sorted(set(scopes)), expires_at)
    repository.add(session, row)
    return row, key


def get(session: Session, key_id: str) -> ApiKey:
    """Return a key.

    Raises:
        NotFound: there is none.
    """
    row = repository.get(session, key_id)
    if row is None:
        raise NotFound(f"There is no API key {key_id}.")
    return row


def list_keys(session: Session, cursor: str | None, limit: int) -> Page[ApiKey]:
    """Return a page of all owners' keys."""
    rows = repository.page(session, paging.read_after(cursor), limit + 1)
    return paging.page(rows, limit, lambda row: paging.encode(row.created_at.isoformat(), row.id))


def revoke(session: Session, key_id: str) -> None:
    """Make a key useless; its row stays.

    Raises:
        NotFound: there is none.
    """
    row = get(session, key_id)
    row.revoked_at = row.revoked_at or now()


def prepare(session: Session, settings: Settings) -> bool:
    """Make the key of the settings and return whether the service may run open.

    Raises:
        NoKeys: the service listens beyond this machine and nobody has a key, or the key is too easy to guess.
    """
    if settings.admin_key:
        _make_admin(session, settings.admin_key)
        return False
    if repository.any_valid(session):
        return False
    if not settings.on_loopback:
        raise NoKeys(
            f"GloCert listens on {settings.host}, where other machines can reach it, and there is no API "
            "key: set GLOCERT_ADMIN_KEY, or GLOCERT_HOST=127.0.0.1"
        )
    return True


def digest(key: str) -> str:
    """Return the form in which a key is stored."""
    return hashlib.sha256(key.encode()).hexdigest()


def _make_admin(session: Session, key: str) -> None:
    if len(key) < SHORTEST:
        raise NoKeys(f"GLOCERT_ADMIN_KEY has fewer than {SHORTEST} characters: it would be easy to guess")
    if repository.by_digest(session, digest(key)) is None:
        repository.add(session, _row(key, "admin", "GLOCERT_ADMIN_KEY", [ADMIN], None))


def _row(key: str, owner: str, name: str, scopes: list[str], expires_at: datetime | None) -> ApiKey:
    return ApiKey(
        owner=owner, name=name, prefix=key[:SHOWN], sha256=digest(key), scopes=scopes, expires_at=expires_at
    )
