"""Queueing and withdrawing work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from app.broker import Task, doorbells_of, ring_after_commit
from app.jobs import generators, gloro, lipschitz, mining, precheck, prediction
from app.units import repository
from app.units.sizing import (
    PREDICTION_UNIT,
    inputs_per_latent_unit,
    inputs_per_lipschitz_unit,
    inputs_per_unit,
)
from models import Dataset, Job, JobStatus, Network, Unit, UnitKind, UnitStatus, now

INSPECTION_PRIORITY = 9
"""uploads are short, and jobs wait for them"""
MAX_DOORBELLS = 8
"""messages of one subject at a time: as many workers come, and each rings again while units are left"""
TASKS = {
    UnitKind.INSPECT_NETWORK: Task.INSPECT,
    UnitKind.INSPECT_DATASET: Task.INSPECT,
    UnitKind.ACCURACY: Task.CERTIFY,
    UnitKind.SEGMENT: Task.CERTIFY,
    UnitKind.PRECHECK: Task.CERTIFY,
    UnitKind.LIPSCHITZ_BOUND: Task.CERTIFY,
    UnitKind.LIPSCHITZ: Task.CERTIFY,
    UnitKind.GLORO_WRAP: Task.CERTIFY,
    UnitKind.GLORO_TRAINING: Task.CERTIFY,
    UnitKind.GLORO_PREDICTION: Task.CERTIFY,
    UnitKind.GENERATOR_TRAINING: Task.CERTIFY,
    UnitKind.DIRECTION_MINING: Task.CERTIFY,
}
ALONE = {
    precheck.KIND: UnitKind.PRECHECK,
    gloro.WRAP: UnitKind.GLORO_WRAP,
    gloro.TRAINING: UnitKind.GLORO_TRAINING,
    generators.KIND: UnitKind.GENERATOR_TRAINING,
    mining.KIND: UnitKind.DIRECTION_MINING,
}
"""Kinds of jobs that are one unit."""


def queue_inspection(session: Session, kind: UnitKind, subject: str) -> None:
    """Queue the inspection of an upload."""
    unit = Unit(kind=kind, subject=subject, priority=INSPECTION_PRIORITY, published_at=now(), publications=1)
    repository.add(session, [unit])
    ring_after_commit(session, TASKS[kind], subject, INSPECTION_PRIORITY)


def queue_job(session: Session, job: Job, indices: Sequence[int]) -> None:
    """Cut a job into units and queue those that can be begun at once."""
    session.add(job)
    session.flush()
    units = list(_units(session, job, indices))
    job.units_total, job.inputs_total = len(units), job.inputs_total or len(indices)
    if job.kind == lipschitz.KIND or _wraps_first(job):
        job.units_total += len(_cut(session, job, indices))
    _queue(session, job, units)


def queue_next(session: Session, job: Job, ended: UnitKind, indices: Sequence[int]) -> None:
    """Queue what had to wait for a unit that has ended: the inputs of a certification or a prediction.

    Args:
        session: the transaction, which holds the job.
        job: whose unit has ended, counted already.
        ended: what the unit did.
        indices: its inputs.
    """
    waited = {UnitKind.LIPSCHITZ_BOUND: UnitKind.LIPSCHITZ}
    if job.kind == prediction.KIND:
        waited = {UnitKind.GLORO_WRAP: UnitKind.GLORO_PREDICTION}
    if ended in waited and not job.cancel_requested:
        cut = enumerate(_cut(session, job, indices), start=1)
        _queue(session, job, [_unit(job, waited[ended], ordinal, some) for ordinal, some in cut])


def _wraps_first(job: Job) -> bool:
    """Whether a prediction begins with wrapping its model."""
    return job.kind == prediction.KIND and job.spec["model_id"] is not None


def _queue(session: Session, job: Job, units: Sequence[Unit]) -> None:
    repository.add(session, units)
    ring_after_commit(session, Task.CERTIFY, job.id, job.priority, min(len(units), MAX_DOORBELLS))


def _cut(session: Session, job: Job, indices: Sequence[int]) -> list[Sequence[int]]:
    """Return the inputs of each unit of a Lipschitz certification or a prediction."""
    usual = PREDICTION_UNIT if job.kind == prediction.KIND else inputs_per_lipschitz_unit(job.spec)
    size = doorbells_of(session).settings.unit_inputs or usual
    return [indices[first : first + size] for first in range(0, len(indices), size)]


def cancel(session: Session, job: Job) -> None:
    """Ask for the end of a job: nothing new is begun, and what runs is stopped at its next heartbeat.

    A job that has ended is left as it is; one on which nobody works is cancelled at once.
    """
    if repository.lock_job(session, job.id, cancel_requested=True):
        repository.cancel_open(session, job.id, [UnitStatus.QUEUED], now())
        settle_cancelled(session, job.id)
    session.refresh(job)


def resume(session: Session, job: Job) -> bool:
    """Queue again what is not done of a job that has ended, with a deadline of its own.

    Returns False when the job is no longer as it was read: it runs, or what it needs is gone.
    """
    reopened = repository.reopen_job(session, job.id)
    if reopened:
        waiting = repository.reopen_units(session, job.id, now())
        ring_after_commit(session, Task.CERTIFY, job.id, job.priority, min(waiting, MAX_DOORBELLS))
    session.refresh(job)
    return reopened


def settle_cancelled(session: Session, job_id: str) -> None:
    """Cancel for good a job that is still to be cancelled and on which nobody works any more."""
    to_cancel = repository.hold_job(session, job_id, to_cancel=True)
    if to_cancel and not repository.has(session, job_id, UnitStatus.RUNNING):
        moment = now()
        repository.cancel_open(session, job_id, [UnitStatus.QUEUED], moment)
        repository.lock_job(session, job_id, status=JobStatus.CANCELLED, finished_at=moment)


def ring(session: Session, kind: UnitKind, subject: str, priority: int) -> None:
    """Ring once for a subject after the commit."""
    ring_after_commit(session, TASKS[kind], subject, priority)


def _units(session: Session, job: Job, indices: Sequence[int]) -> Iterator[Unit]:
    """Yield units; of a segment certification, a classifier's accuracy on labelled data comes first."""
    if job.kind in ALONE:
        yield _unit(job, ALONE[job.kind], 0, indices)
        return
    if job.kind == lipschitz.KIND:
        yield _unit(job, UnitKind.LIPSCHITZ_BOUND, 0, indices)
        return
    if job.kind == prediction.KIND:
        if _wraps_first(job):
            yield _unit(job, UnitKind.GLORO_WRAP, 0, indices)
            return
        for ordinal, some in enumerate(_cut(session, job, indices)):
            yield _unit(job, UnitKind.GLORO_PREDICTION, ordinal, some)
        return
    network = session.get(Network, job.network_id)
    dataset = session.get(Dataset, job.dataset_id)
    classifier = network is None or network.role == "classifier"
    if classifier and dataset is not None and dataset.labels_sha256 is not None:
        yield _unit(job, UnitKind.ACCURACY, 0, indices)
    facts = network.inspection if network is not None else None
    size = doorbells_of(session).settings.unit_inputs or _inputs_per_unit(session, job, facts)
    for ordinal, first in enumerate(range(0, len(indices), size), start=1):
        yield _unit(job, UnitKind.SEGMENT, ordinal, indices[first : first + size])


def _inputs_per_unit(session: Session, job: Job, facts: Mapping[str, Any] | None) -> int:
    """Return the size of a unit of a segment certification."""
    asked = job.spec["mutation"]
    first = (asked.get("mutations") or [asked])[0]
    if first["type"] != "latent":
        return inputs_per_unit(facts)
    generator = session.get(Network, first["generator_id"])
    return inputs_per_latent_unit(facts, generator.inspection if generator else None, first["encoding"])


def _unit(job: Job, kind: UnitKind, ordinal: int, indices: Sequence[int]) -> Unit:
    return Unit(
        kind=kind,
        subject=job.id,
        ordinal=ordinal,
        payload={"indices": list(indices)},
        priority=job.priority,
        published_at=now(),
        publications=1,
    )
