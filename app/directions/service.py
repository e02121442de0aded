"""What happens to directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app import paging
from app.blobs import service as blobs
from app.db import store_of
from app.directions import repository
from app.directions.schemas import DirectionFilter, preview_of
from app.errors import LimitExceeded, NotFound
from app.keys.service import Caller
from app.paging import Page
from models import Direction, Job


def get(session: Session, caller: Caller, direction_id: str) -> Direction:
    """Return a direction of the caller's.

    Raises:
        NotFound: there is none.
    """
    direction = repository.get(session, caller.owner, direction_id)
    if direction is None:
        raise NotFound(f"There is no direction {direction_id}.")
    return direction


def list_directions(session: Session, caller: Caller, wanted: DirectionFilter, limit: int) -> Page[Direction]:
    """Return a page of the caller's directions."""
    rows = repository.page(session, caller.owner, wanted, paging.read_after(wanted.cursor), limit + 1)
    return paging.page(rows, limit, lambda row: paging.encode(row.created_at.isoformat(), row.id))


def preview(session: Session, caller: Caller, direction_id: str) -> tuple[str, Path]:
    """Return digest and place of a direction's picture.

    Raises:
        NotFound: there is no such direction, or its images cannot be drawn.
    """
    digest = get(session, caller, direction_id).preview_sha256
    if digest is None:
        raise NotFound("The direction has no picture: its images are neither grey nor coloured.")
    return digest, store_of(session).path(digest)


def delete(session: Session, caller: Caller, direction_id: str) -> None:
    """Delete a direction; certifications along it keep its vector.

    Raises:
        NotFound: there is none.
    """
    direction = get(session, caller, direction_id)
    repository.remove(session, direction)
    blobs.release_after_commit(session, [direction.preview_sha256])


def refuse_too_many(session: Session, caller: Caller, more: int, limit: int) -> None:
    """Refuse more directions than an owner may keep.

    Raises:
        LimitExceeded: they would be too many.
    """
    if repository.count(session, caller.owner) + more > limit:
        detail = f"You may keep {limit} directions, and have too many for {more} more."
        raise LimitExceeded(detail, extra={"limit": limit, "setting": "max_kept_directions"})


def told(direction: Direction) -> dict[str, Any]:
    """Return what the summary of a mining says of a direction."""
    return {
        "id": direction.id,
        **{name: getattr(direction, name) for name in ("name", "energy", "leakage", "extent")},
        "preview": None if direction.preview_sha256 is None else preview_of(direction.id),
    }


def add_found(
    session: Session,
    job: Job,
    generator_id: str,
    found: Sequence[Mapping[str, Any]],
    files: Mapping[str, str],
) -> list[Direction]:
    """Add what a mining has found.

    Args:
        session: the transaction, which holds the job.
        job: the mining.
        generator_id: whose directions they are.
        found: as the engine tells them, in order.
        files: name of a file of the job -> digest, for the pictures.
    """
    rows = [
        Direction(
            owner=job.owner,
            generator_id=generator_id,
            job_id=job.id,
            position=position,
            mode=job.spec["mode"],
            mask=job.spec["mask"],
            preview_sha256=files.get(one["preview"] or ""),
            **{name: one[name] for name in ("name", "vector", "extent", "scale", "energy", "leakage")},
            measures=one["measures"],
        )
        for position, one in enumerate(found)
    ]
    repository.add(session, rows)
    return rows
