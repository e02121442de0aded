"""SQL about the state of the service."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from models import Job, Unit, UnitStatus, Worker


def answers(session: Session) -> bool:
    """Whether the database answers."""
    return bool(session.scalar(text("SELECT 1")))


def jobs_by_status(session: Session) -> dict[str, int]:
    """Count all jobs."""
    return dict(session.execute(select(Job.status, func.count()).group_by(Job.status)).all())


def units_by_status(session: Session) -> dict[str, int]:
    """Count all units."""
    return dict(session.execute(select(Unit.status, func.count()).group_by(Unit.status)).all())


def oldest_queued_unit(session: Session) -> datetime | None:
    """Return since when the unit that has waited longest is there."""
    return session.scalar(select(func.min(Unit.created_at)).where(Unit.status == UnitStatus.QUEUED))


def workers_since(session: Session, moment: datetime) -> int:
    """Count the workers that reported since then."""
    return session.scalar(select(func.count()).select_from(Worker).where(Worker.beat_at >= moment)) or 0
