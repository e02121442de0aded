"""Whether the service can do its work, and how busy it is."""

from __future__ import annotations

import os
from datetime import timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from app.db import store_of
from app.health import repository
from app.metrics import Load
from app.migrate import at_head
from app.settings import Settings
from models import now

log = structlog.get_logger()


def readiness(sessions: sessionmaker[Session]) -> dict[str, bool]:
    """Return what the service needs, and whether it is there."""
    with sessions() as session:
        database = _database(session)
        writable = os.access(store_of(session).path("0" * 64).parent.parent, os.W_OK)
        return {
            "database": database,
            "schema": database and at_head(session.connection()),
            "storage": writable,
        }


def workers(sessions: sessionmaker[Session], settings: Settings) -> int:
    """Count the workers that reported within their lease."""
    with sessions() as session:
        return repository.workers_since(session, now() - timedelta(seconds=settings.lease_s))


def load(sessions: sessionmaker[Session], settings: Settings) -> Load:
    """Return how busy the service is."""
    moment = now()
    with sessions() as session:
        oldest = repository.oldest_queued_unit(session)
        return Load(
            jobs=repository.jobs_by_status(session),
            units=repository.units_by_status(session),
            queue_age_s=(moment - oldest).total_seconds() if oldest else 0.0,
            workers=repository.workers_since(session, moment - timedelta(seconds=settings.lease_s)),
        )


def _database(session: Session) -> bool:
    try:
        return repository.answers(session)
    except SQLAlchemyError as error:
        log.warning("database.unreachable", error=str(error))
        session.rollback()
        return False
