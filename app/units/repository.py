"""SQL of units.

Lock order in every transaction: the row of the job first, then units. Transactions of one job therefore take
turns, and two of them never wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, exists, func, null, or_, select, update
from sqlalchemy.orm import Session

from app.db import put
from models import (
    Job,
    JobStatus,
    Unit,
    UnitStatus,
    Worker,
)

ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)
OPEN = (UnitStatus.QUEUED, UnitStatus.RUNNING)
ROWS = 500


def add(session: Session, units: Iterable[Unit]) -> None:
    """Insert units."""
    session.add_all(units)
    session.flush()


def claim(session: Session, subject: str, worker: str, token: str, lease_until: datetime) -> Unit | None:
    """Take the first queued unit of a subject; no two get the same one, and none waits for another."""
    free = (
        select(Unit.id)
        .where(Unit.subject == subject, Unit.status == UnitStatus.QUEUED)
        .order_by(Unit.ordinal)
        .limit(1)
        .with_for_update(skip_locked=True)  # SQLite has one writer at a time and leaves this out
    )
    return session.scalar(
        update(Unit)
        .where(Unit.id == free.scalar_subquery(), Unit.status == UnitStatus.QUEUED)
        .values(
            status=UnitStatus.RUNNING,
            attempt=Unit.attempt + 1,
            worker=worker,
            token=token,
            lease_until=lease_until,
        )
        .returning(Unit)
        .execution_options(synchronize_session=False, populate_existing=True)
    )


def start_job(session: Session, job_id: str, moment: datetime) -> None:
    """Mark a queued job as running."""
    session.execute(
        update(Job)
        .where(Job.id == job_id, Job.status == JobStatus.QUEUED)
        .values(
            status=JobStatus.RUNNING,
            started_at=moment,
            inputs_done_before=Job.inputs_done,
            version=Job.version + 1,
        )
        .execution_options(synchronize_session=False)
    )


def reopen_job(session: Session, job_id: str) -> bool:
    """Queue again a job that has failed or was cancelled, unless its model or its data are gone."""
    done = session.execute(
        update(Job)
        .where(
            Job.id == job_id,
            Job.status.in_([JobStatus.FAILED, JobStatus.CANCELLED]),
            Job.network_id.is_not(None),
            Job.dataset_id.is_not(None),
        )
        .values(
            status=JobStatus.QUEUED,
            cancel_requested=False,
            error=null(),
            started_at=None,
            finished_at=None,
            version=Job.version + 1,
        )
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    return done.first() is not None


def reopen_units(session: Session, job_id: str, moment: datetime) -> int:
    """Queue again the units of a job that are not done, as if they were new, and return how many."""
    done = session.execute(
        update(Unit)
        .where(Unit.subject == job_id, Unit.status != UnitStatus.DONE)
        .values(
            status=UnitStatus.QUEUED,
            attempt=0,
            token=None,
            worker=None,
            lease_until=None,
            finished_at=None,
            published_at=moment,
            publications=1,
        )
        .returning(Unit.id)
        .execution_options(synchronize_session=False)
    )
    return len(done.all())


def job(session: Session, job_id: str) -> Job | None:
    """Return a job as the database has it now."""
    return session.get(Job, job_id, populate_existing=True)


def lock_job(session: Session, job_id: str, **changes: Any) -> bool:
    """Count a visible change of an active job, and lock it until the transaction ends."""
    done = session.execute(
        update(Job)
        .where(Job.id == job_id, Job.status.in_(ACTIVE))
        .values(version=Job.version + 1, **changes)
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    return done.first() is not None


def hold_job(session: Session, job_id: str, *, to_cancel: bool = False) -> bool:
    """Lock an active job until the transaction ends; nothing that its document shows changes.

    With ``to_cancel`` only a job whose end was asked for.
    """
    active = select(Job.id).where(Job.id == job_id, Job.status.in_(ACTIVE))
    if to_cancel:
        active = active.where(Job.cancel_requested.is_(True))
    return session.scalar(active.with_for_update(key_share=True)) is not None


def hold(session: Session, unit_id: str, token: str, lease_until: datetime) -> bool:
    """Extend the lease; False when the unit is no longer this token's."""
    return _fenced(session, unit_id, token, lease_until=lease_until)


def put_back(session: Session, unit_id: str, token: str, *, counts: bool, moment: datetime) -> bool:
    """Give a unit back to the queue; ``counts`` says whether this was an attempt that failed."""
    attempt = Unit.attempt if counts else Unit.attempt - 1
    return _fenced(
        session,
        unit_id,
        token,
        status=UnitStatus.QUEUED,
        attempt=attempt,
        token=None,
        worker=None,
        lease_until=None,
        published_at=moment,
    )


def close(session: Session, unit_id: str, token: str, status: UnitStatus, moment: datetime) -> bool:
    """End a unit. It keeps its token, so that the owner can tell a repeated call from a lost lease."""
    return _fenced(session, unit_id, token, status=status, lease_until=None, finished_at=moment)


def closed_by(session: Session, unit_id: str, token: str) -> bool:
    """Whether this very token has ended the unit."""
    mine = select(Unit.id).where(Unit.id == unit_id, Unit.token == token, Unit.status == UnitStatus.DONE)
    return session.scalar(mine) is not None


def cancel_open(session: Session, subject: str, statuses: Collection[UnitStatus], moment: datetime) -> None:
    """Withdraw the units of a subject that are in one of ``statuses``."""
    session.execute(
        update(Unit)
        .where(Unit.subject == subject, Unit.status.in_(statuses))
        .values(status=UnitStatus.CANCELLED, token=None, lease_until=None, finished_at=moment)
        .execution_options(synchronize_session=False)
    )


def has(session: Session, subject: str, status: UnitStatus) -> bool:
    """Whether a subject has a unit in this state."""
    return session.scalar(select(exists().where(Unit.subject == subject, Unit.status == status))) or False


def count_queued(session: Session, subject: str) -> int:
    """Return how many units of a subject wait."""
    waiting = select(func.count()).where(Unit.subject == subject, Unit.status == UnitStatus.QUEUED)
    return session.scalar(waiting) or 0


def count_unit_done(session: Session, job_id: str) -> Row[int, int] | None:
    """Count one more unit of a running job and return (done, total); None when the job is over."""
    return session.execute(
        update(Job)
        .where(Job.id == job_id, Job.status.in_(ACTIVE))
        .values(units_done=Job.units_done + 1, version=Job.version + 1)
        .returning(Job.units_done, Job.units_total)
        .execution_options(synchronize_session=False)
    ).first()


def waits_for(session: Session, kinds: Collection[str], besides: str, priority: int) -> bool:
    """Whether another subject has a queued unit that is at least as urgent."""
    waiting = exists().where(
        Unit.status == UnitStatus.QUEUED,
        Unit.kind.in_(kinds),
        Unit.subject != besides,
        Unit.priority >= priority,
    )
    return session.scalar(select(waiting)) or False


def more_urgent(session: Session, kinds: Collection[str], priority: int) -> Row[str, str, int] | None:
    """Return (subject, kind, priority) of the most urgent queued unit above ``priority``."""
    return session.execute(
        select(Unit.subject, Unit.kind, Unit.priority)
        .where(Unit.status == UnitStatus.QUEUED, Unit.kind.in_(kinds), Unit.priority > priority)
        .order_by(Unit.priority.desc(), Unit.created_at, Unit.id)
        .limit(1)
    ).first()


def subject_priority(session: Session, subject: str) -> int | None:
    """Return the priority of a subject's queued units, None when nothing waits."""
    waiting = (Unit.subject == subject, Unit.status == UnitStatus.QUEUED)
    return session.scalar(select(Unit.priority).where(*waiting).limit(1))


def expired(session: Session, moment: datetime) -> Sequence[Row[str, str, str, str | None, int]]:
    """Return (id, kind, subject, token, attempt) of running units whose lease has run out."""
    return session.execute(
        select(Unit.id, Unit.kind, Unit.subject, Unit.token, Unit.attempt)
        .where(Unit.status == UnitStatus.RUNNING, Unit.lease_until < moment)
        .order_by(Unit.lease_until)
        .limit(ROWS)
    ).all()


def end_leases(session: Session, moment: datetime) -> None:
    """Let every lease run out, and every message count as never sent."""
    running = Unit.status == UnitStatus.RUNNING
    for state, values in (
        (running, {"lease_until": moment}),
        (Unit.status == UnitStatus.QUEUED, {"published_at": None}),
    ):
        session.execute(
            update(Unit).where(state).values(**values).execution_options(synchronize_session=False)
        )


def expire(session: Session, unit_id: str, token: str, moment: datetime) -> bool:
    """Take a unit away from its silent worker, unless that has spoken meanwhile."""
    done = session.execute(
        update(Unit)
        .where(
            Unit.id == unit_id,
            Unit.token == token,
            Unit.status == UnitStatus.RUNNING,
            Unit.lease_until < moment,
        )
        .values(status=UnitStatus.QUEUED, token=None, worker=None, lease_until=None, published_at=moment)
        .returning(Unit.id)
        .execution_options(synchronize_session=False)
    )
    return done.first() is not None


def unheard(session: Session, before: datetime) -> Sequence[Row[str, str, int, int, datetime | None]]:
    """Return (subject, kind, priority, publications, oldest message) of what waits unheard since ``before``.

    One row per subject; ``kind`` is any of its waiting units', they are all served by the same task.
    """
    return session.execute(
        select(
            Unit.subject,
            func.min(Unit.kind),
            func.max(Unit.priority),
            func.min(Unit.publications),
            func.min(Unit.published_at),
        )
        .where(*_unheard(before))
        .group_by(Unit.subject)
        .order_by(func.max(Unit.priority).desc(), func.min(Unit.created_at))
    ).all()


def note_publication(session: Session, subject: str, before: datetime, moment: datetime) -> int:
    """Write down that a subject rings again, and return for how many units; 0 when another was faster."""
    session.execute(select(Job.id).where(Job.id == subject).with_for_update())
    done = session.execute(
        update(Unit)
        .where(Unit.subject == subject, *_unheard(before))
        .values(published_at=moment, publications=Unit.publications + 1)
        .returning(Unit.id)
        .execution_options(synchronize_session=False)
    )
    return len(done.all())


def _unheard(before: datetime) -> tuple[ColumnElement[bool], ...]:
    silent = or_(Unit.published_at < before, Unit.published_at.is_(None))
    return Unit.status == UnitStatus.QUEUED, silent


def complete_jobs(session: Session) -> Sequence[str]:
    """Return active jobs whose units are all done: whoever should have finished them has died."""
    query = select(Job.id).where(Job.status.in_(ACTIVE), Job.units_total <= Job.units_done)
    return session.scalars(query.limit(ROWS)).all()


def stopped_jobs(session: Session) -> Sequence[str]:
    """Return active jobs that are to be cancelled and on which nobody works."""
    running = exists().where(Unit.subject == Job.id, Unit.status == UnitStatus.RUNNING)
    query = select(Job.id).where(Job.status.in_(ACTIVE), Job.cancel_requested.is_(True), ~running)
    return session.scalars(query.limit(ROWS)).all()


def running_jobs(session: Session) -> Sequence[Job]:
    """Return jobs that have started and not ended."""
    return session.scalars(select(Job).where(Job.status == JobStatus.RUNNING)).all()


def beat(session: Session, row: dict[str, Any]) -> None:
    """Write down that a worker is alive."""
    put(session, Worker.__table__, row, ("name",), kept={"started_at"})


def workers_since(session: Session, moment: datetime) -> int:
    """Count the workers that reported since then."""
    return session.scalar(select(func.count()).select_from(Worker).where(Worker.beat_at >= moment)) or 0


def forget_worker(session: Session, name: str) -> None:
    """Remove a worker that has gone in good order."""
    session.execute(delete(Worker).where(Worker.name == name))


def forget_silent_workers(session: Session, before: datetime) -> None:
    """Remove workers that have not been heard of."""
    session.execute(delete(Worker).where(Worker.beat_at < before))


def _fenced(session: Session, unit_id: str, held: str, **values: Any) -> bool:
    done = session.execute(
        update(Unit)
        .where(Unit.id == unit_id, Unit.token == held, Unit.status == UnitStatus.RUNNING)
        .values(**values)
        .returning(Unit.id)
        .execution_options(synchronize_session=False)
    )
    return done.first() is not None
