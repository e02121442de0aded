"""SQL of API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, tuple_, update
from sqlalchemy.orm import Session

from app.paging import After
from models import ApiKey, now


def by_digest(session: Session, sha256: str) -> ApiKey | None:
    """Return the key with this digest."""
    return session.scalar(select(ApiKey).where(ApiKey.sha256 == sha256))


def get(session: Session, key_id: str) -> ApiKey | None:
    """Return a key."""
    return session.get(ApiKey, key_id)


def any_valid(session: Session) -> bool:
    """Whether there is a key that opens anything."""
    expired = ApiKey.expires_at.is_not(None) & (ApiKey.expires_at <= now())
    return session.scalar(select(ApiKey.id).where(ApiKey.revoked_at.is_(None), ~expired).limit(1)) is not None


def page(session: Session, after: After | None, limit: int) -> Sequence[ApiKey]:
    """Return keys from the newest to the oldest."""
    query = select(ApiKey).order_by(ApiKey.created_at.desc(), ApiKey.id.desc()).limit(limit)
    if after is not None:
        query = query.where(tuple_(ApiKey.created_at, ApiKey.id) < (after.created_at, after.id))
    return session.scalars(query).all()


def note_use(session: Session, key_id: str, moment: datetime) -> None:
    """Record when a key was used."""
    session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=moment))


def add(session: Session, key: ApiKey) -> None:
    """Insert a key."""
    session.add(key)
    session.flush()
