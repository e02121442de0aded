"""SQL of directions."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, delete, func, select, tuple_
from sqlalchemy.orm import Session

from app.directions.schemas import DirectionFilter
from app.paging import After
from models import Direction


def get(session: Session, owner: str, direction_id: str) -> Direction | None:
    """Return an owner's direction."""
    return session.scalar(select(Direction).where(Direction.id == direction_id, Direction.owner == owner))


def count(session: Session, owner: str) -> int:
    """Return how many directions an owner has."""
    return session.scalar(select(func.count()).select_from(Direction).where(Direction.owner == owner)) or 0


def of_job(session: Session, job_id: str) -> Sequence[Direction]:
    """Return what a job has found, in its order."""
    query = select(Direction).where(Direction.job_id == job_id)
    return session.scalars(query.order_by(Direction.position)).all()


def previews_of(session: Session, generator_id: str) -> list[str]:
    """Return the digests of the pictures of a generator's directions."""
    query = select(Direction.preview_sha256).where(Direction.generator_id == generator_id)
    return [digest for digest in session.scalars(query) if digest is not None]


def add(session: Session, directions: Sequence[Direction]) -> None:
    """Insert directions."""
    session.add_all(directions)
    session.flush()


def remove(session: Session, direction: Direction) -> None:
    """Delete a direction."""
    session.execute(delete(Direction).where(Direction.id == direction.id))


def page(
    session: Session, owner: str, wanted: DirectionFilter, after: After | None, limit: int
) -> Sequence[Direction]:
    """Return directions from the newest to the oldest."""
    query: Select[Direction] = select(Direction).where(Direction.owner == owner)
    for column, value in (
        (Direction.generator_id, wanted.generator_id),
        (Direction.job_id, wanted.job_id),
        (Direction.name, wanted.name),
    ):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(tuple_(Direction.created_at, Direction.id) < (after.created_at, after.id))
    return session.scalars(
        query.order_by(Direction.created_at.desc(), Direction.id.desc()).limit(limit)
    ).all()
