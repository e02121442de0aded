"""Claiming units and keeping them: a lease is extended by heartbeats and fenced by a token."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy.orm import Session

from app.units import repository, service
from models import Job, JobStatus, UnitKind, UnitStatus, now


class LeaseLost(Exception):  # nothing is wrong: the work is somebody else's now
    """The unit is no longer ours: the transaction must be rolled back and the work dropped."""


class Pulse(Enum):
    """What a heartbeat brings back."""

    GO_ON = "go-on"
    CANCEL = "cancel"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Lease:
    """A unit in the hands of one worker."""

    unit_id: str
    kind: UnitKind
    subject: str
    token: str
    attempt: int
    priority: int
    payload: dict[str, Any]
    seconds_left: float
    """of the budget of the whole job"""

    @property
    def indices(self) -> list[int]:
        """Inputs of a job's unit."""
        return list(self.payload.get("indices", ()))

    @property
    def of_job(self) -> bool:
        """Whether the subject is a job, not an upload."""
        return self.kind.of_job


def claim(session: Session, subject: str, worker: str, lease_s: float) -> Lease | None:
    """Take the next queued unit of a subject, or None when nothing is left."""
    moment = now()
    if not repository.has(session, subject, UnitStatus.QUEUED):
        return None
    repository.start_job(session, subject, moment)
    token = secrets.token_hex(16)
    unit = repository.claim(session, subject, worker, token, _until(moment, lease_s))
    if unit is None:
        return None
    job = repository.job(session, subject)
    left_s = seconds_left(job) if job is not None else float("inf")
    return Lease(
        unit.id, UnitKind(unit.kind), subject, token, unit.attempt, unit.priority, unit.payload, left_s
    )


def beat(session: Session, lease: Lease, lease_s: float) -> Pulse:
    """Extend a lease and learn whether to go on."""
    if not repository.hold(session, lease.unit_id, lease.token, _until(now(), lease_s)):
        return Pulse.LOST
    job = repository.job(session, lease.subject) if lease.of_job else None
    if job is None:
        return Pulse.LOST if lease.of_job else Pulse.GO_ON
    if JobStatus(job.status).final:
        return Pulse.LOST
    return Pulse.CANCEL if job.cancel_requested else Pulse.GO_ON


def release(session: Session, lease: Lease, *, failed: bool = False) -> None:
    """Give a unit back; ``failed`` counts the attempt. Someone else is called to it."""
    if repository.put_back(session, lease.unit_id, lease.token, counts=failed, moment=now()):
        service.ring(session, lease.kind, lease.subject, lease.priority)


def withdraw(session: Session, lease: Lease) -> None:
    """Drop a unit of a job that is to be cancelled, and cancel the job when it was the last one."""
    if repository.lock_job(session, lease.subject):
        repository.close(session, lease.unit_id, lease.token, UnitStatus.CANCELLED, now())
        service.settle_cancelled(session, lease.subject)


def seconds_left(job: Job) -> float:
    """Return what is left of the budget of the whole job; infinity where it has none."""
    budget_s = (job.spec.get("budget") or {}).get("seconds")
    if budget_s is None or job.started_at is None:
        return float("inf")
    return float(budget_s) - (now() - job.started_at).total_seconds()


def _until(moment: datetime, lease_s: float) -> datetime:
    return moment + timedelta(seconds=lease_s)
