"""Putting right what crashes, lost messages and lost workers left; safe to run anywhere, at any time.

Every step is a transaction of its own per row, so that one bad row does not keep the others waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from app.jobs import service as jobs
from app.settings import Settings
from app.units import outcomes, repository, service
from app.units.leases import seconds_left
from glocert.errors import DeadlineExceeded
from models import UnitKind, now

log = structlog.get_logger(__name__)

LONGEST_SILENCE_S = 900.0


class Reaper:
    """One look over all units and jobs; ``kinds`` are those that this process would work on, if any."""

    def __init__(self, sessions: sessionmaker[Session], settings: Settings, kinds: Collection[UnitKind] = ()):
        self._sessions = sessions
        self._settings = settings
        self._kinds = frozenset(kinds)

    def take_back_all(self) -> None:
        """Take back every unit at once; only for a process that knows to be the only worker."""
        with self._sessions() as session, session.begin():
            repository.end_leases(session, now())
        self.reap()

    def reap(self, *, idle: bool = False) -> None:
        """Do all of it; an ``idle`` worker rings for what waits without regard to how long it waits."""
        self._give_back_expired()
        self._ring_again(idle=idle)
        self._each(repository.complete_jobs, self._finish)
        self._each(repository.stopped_jobs, service.settle_cancelled)
        self._each(_overdue, fail_overdue)

    def _give_back_expired(self) -> None:
        with self._sessions() as session:
            lost = repository.expired(session, now())
        for unit_id, kind, subject, token, attempt in lost:
            if token is None:
                raise RuntimeError(f"{unit_id} runs without a token")
            with self._apart(unit_id), self._sessions() as session, session.begin():
                if attempt >= self._settings.max_attempts:
                    outcomes.give_up(session, unit_id, UnitKind(kind), subject, token, attempt)
                elif repository.expire(session, unit_id, token, now()):
                    priority = repository.subject_priority(session, subject) or 0
                    service.ring(session, UnitKind(kind), subject, priority)
            log.warning("unit.lost", unit=unit_id, subject=subject, attempt=attempt)

    def _ring_again(self, *, idle: bool) -> None:
        before = now() - timedelta(seconds=self._settings.reap_s if idle else self._settings.republish_s)
        with self._sessions() as session:
            waiting = repository.unheard(session, before)
        for subject, kind, priority, publications, published_at in waiting:
            wanted = idle and kind in self._kinds
            if wanted or self._silent_too_long(publications, published_at):
                with self._apart(subject), self._sessions() as session, session.begin():
                    units = repository.note_publication(session, subject, before, now())
                    for _ in range(min(units, 1 if idle else service.MAX_DOORBELLS)):
                        service.ring(session, UnitKind(kind), subject, priority)

    def _silent_too_long(self, publications: int, published_at: datetime | None) -> bool:
        if published_at is None:
            return True
        doublings = min(max(publications - 1, 0), 16)
        patience_s = min(self._settings.republish_s * 2**doublings, LONGEST_SILENCE_S)
        return now() - published_at > timedelta(seconds=patience_s)

    def _each(
        self, find: Callable[[Session], Collection[str]], repair: Callable[[Session, str], Any]
    ) -> None:
        with self._sessions() as session:
            subjects = find(session)
        for subject in subjects:
            with self._apart(subject), self._sessions() as session, session.begin():
                repair(session, subject)

    @staticmethod
    @contextmanager
    def _apart(row: str) -> Iterator[None]:
        try:
            yield
        except OperationalError:
            raise  # the database is away: the next round will tell
        except Exception:  # one row that cannot be repaired must not keep the others waiting
            log.exception("reaper.row_failed", row=row)

    @staticmethod
    def _finish(session: Session, job_id: str) -> None:
        if repository.lock_job(session, job_id):
            job = repository.job(session, job_id)
            if job is not None and job.units_done >= job.units_total:
                jobs.finish(session, job)


def fail_overdue(session: Session, job_id: str) -> None:
    """End a job whose budget is used up, unless it has begun anew."""
    job = repository.job(session, job_id) if repository.hold_job(session, job_id) else None
    if job is not None and seconds_left(job) <= 0:
        outcomes.fail_job(session, job_id, deadline_problem())


def deadline_problem() -> dict[str, Any]:
    """Return the problem of a job whose budget is used up."""
    return DeadlineExceeded(
        "The job's budget of seconds was used up before all inputs were done; results so far stay readable."
    ).to_problem()


def _overdue(session: Session) -> list[str]:
    return [job.id for job in repository.running_jobs(session) if seconds_left(job) <= 0]
