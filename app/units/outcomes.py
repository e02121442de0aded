"""Writing down what units bring back. Every function raises LeaseLost when the unit is no longer ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.datasets import service as datasets
from app.jobs import service as jobs
from app.networks import service as networks
from app.results import repository as results
from app.storage import Blob
from app.units import repository, service
from app.units.leases import Lease, LeaseLost, release
from glocert.errors import GlocertError, InspectionFailed, WorkerLost
from models import Job, UnitKind, UnitStatus, now

File = tuple[str, str, Blob]
"""name, media type, where the bytes are"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a unit found about one input.

    Attributes:
        index: of the input.
        row: of the results.
        files: that belong to it.
    """

    index: int
    row: dict[str, Any]
    files: Sequence[File]


def save_results(session: Session, lease: Lease, answers: Sequence[Answer], lease_until: Any) -> None:
    """Write the answers about some inputs, each once: a second copy changes nothing."""
    if not repository.lock_job(session, lease.subject):
        raise LeaseLost(lease.unit_id)
    _hold(session, lease, lease_until)
    rows = {answer.index: answer.row for answer in answers}
    new = results.add_results(session, lease.subject, rows, now())
    files = [(answer.index, file) for answer in answers if answer.index in new for file in answer.files]
    results.add_artifacts(session, [artifact_row(lease.subject, index, file) for index, file in files])
    results.drop_partials(session, lease.subject, list(rows))


def save_partial(session: Session, lease: Lease, index: int, state: dict[str, Any], lease_until: Any) -> None:
    """Keep what is proven of an input that has no answer yet, in the place of what was kept before."""
    if not repository.hold_job(session, lease.subject):
        raise LeaseLost(lease.unit_id)
    _hold(session, lease, lease_until)
    results.put_partial(session, lease.subject, index, state)


def save_accuracy(session: Session, lease: Lease, outcome: dict[str, Any], lease_until: Any) -> None:
    """Write the accuracy at the original inputs."""
    if not repository.lock_job(session, lease.subject):
        raise LeaseLost(lease.unit_id)
    _hold(session, lease, lease_until)
    jobs.record_accuracy(session, required_job(session, lease.subject), outcome)


def save_precheck(session: Session, lease: Lease, outcome: dict[str, Any], lease_until: Any) -> None:
    """Write what a precheck found; a second copy takes the place of the first."""
    if not repository.lock_job(session, lease.subject):
        raise LeaseLost(lease.unit_id)
    _hold(session, lease, lease_until)
    jobs.record_precheck(session, required_job(session, lease.subject), outcome)


def save_progress(session: Session, lease: Lease, done: int, lease_until: Any) -> None:
    """Write how many inputs a unit has looked at."""
    if not repository.lock_job(session, lease.subject, inputs_done=done):
        raise LeaseLost(lease.unit_id)
    _hold(session, lease, lease_until)


def complete(session: Session, lease: Lease) -> None:
    """End a unit of a job; whoever ends the last one finishes the job."""
    if repository.closed_by(session, lease.unit_id, lease.token):
        return  # our commit got through although its answer did not
    counted = repository.count_unit_done(session, lease.subject)
    if counted is None or not repository.close(session, lease.unit_id, lease.token, UnitStatus.DONE, now()):
        raise LeaseLost(lease.unit_id)
    done, total = counted
    job = required_job(session, lease.subject)
    service.queue_next(session, job, lease.kind, lease.indices)
    if done >= total:
        jobs.finish(session, job)
    elif job.cancel_requested:
        service.settle_cancelled(session, job.id)  # the rest was withdrawn: nobody else comes by


def record_inspection(
    session: Session, lease: Lease, report: dict[str, Any] | None, problem: dict[str, Any] | None,
    digests: Mapping[str, str],
) -> None:  # fmt: skip
    """End an inspection with a report and the digests of what it wrote, or with a problem."""
    if repository.closed_by(session, lease.unit_id, lease.token):
        return
    if not repository.close(session, lease.unit_id, lease.token, UnitStatus.DONE, now()):
        raise LeaseLost(lease.unit_id)
    _inspected(session, lease.kind, lease.subject, report, problem, digests)


def fail_attempt(session: Session, lease: Lease, error: GlocertError, max_attempts: int) -> None:
    """Try a unit again, or give up when it has failed too often."""
    if lease.attempt < max_attempts:
        release(session, lease, failed=True)
    elif lease.of_job:
        fail_held_job(session, lease, error.to_problem())
    else:
        record_inspection(session, lease, None, error.to_problem(), {})


def fail_held_job(session: Session, lease: Lease, problem: dict[str, Any]) -> None:
    """End the job of a unit with a problem that its worker has found.

    A worker that has lost its unit must not end a job that was resumed meanwhile.
    """
    _fail_job_of(session, lease.unit_id, lease.subject, lease.token, problem)


def _fail_job_of(session: Session, unit_id: str, job_id: str, token: str, problem: dict[str, Any]) -> None:
    if repository.hold_job(session, job_id):
        if not repository.close(session, unit_id, token, UnitStatus.CANCELLED, now()):
            raise LeaseLost(unit_id)
        fail_job(session, job_id, problem)


def fail_job(session: Session, job_id: str, problem: dict[str, Any]) -> None:
    """End a job with a problem; the rows so far stay."""
    if repository.lock_job(session, job_id):
        jobs.fail(session, required_job(session, job_id), problem)
        session.flush()
        repository.cancel_open(session, job_id, [UnitStatus.QUEUED, UnitStatus.RUNNING], now())


def give_up(session: Session, unit_id: str, kind: UnitKind, subject: str, token: str, attempts: int) -> None:
    """End for good a unit that has lost its worker too often; the reaper's part."""
    if kind.of_job:
        detail = f"A unit of this job lost its worker or its process {attempts} times."
        _fail_job_of(session, unit_id, subject, token, WorkerLost(detail).to_problem())
    elif repository.close(session, unit_id, token, UnitStatus.FAILED, now()):
        problem = InspectionFailed(f"The inspection lost its worker or its process {attempts} times.")
        _inspected(session, kind, subject, None, problem.to_problem(), {})


def _inspected(
    session: Session, kind: UnitKind, subject: str, report: dict[str, Any] | None,
    problem: dict[str, Any] | None, digests: Mapping[str, str],
) -> None:  # fmt: skip
    if kind is UnitKind.INSPECT_NETWORK:
        networks.record_inspection(session, subject, report, problem, digests.get("graph"))
    else:
        datasets.record_inspection(
            session, subject, report, problem, digests.get("inputs"), digests.get("labels")
        )


def held_job(session: Session, lease: Lease, lease_until: Any, **changes: Any) -> Job:
    """Count a visible change of a job, extend the lease on its unit, and return the job, locked.

    Raises:
        LeaseLost: the unit is no longer ours.
    """
    if not repository.lock_job(session, lease.subject, **changes):
        raise LeaseLost(lease.unit_id)
    _hold(session, lease, lease_until)
    return required_job(session, lease.subject)


def _hold(session: Session, lease: Lease, lease_until: Any) -> None:
    if not repository.hold(session, lease.unit_id, lease.token, lease_until):
        raise LeaseLost(lease.unit_id)


def required_job(session: Session, job_id: str) -> Job:
    """Return a job that a unit belongs to.

    Raises:
        LeaseLost: it is gone.
    """
    job = repository.job(session, job_id)
    if job is None:
        raise LeaseLost(job_id)
    return job


def artifact_row(job_id: str, index: int, file: File) -> dict[str, Any]:
    """Return the row of a file."""
    name, media_type, blob = file
    return {
        "job_id": job_id, "index": index, "name": name, "media_type": media_type,
        "sha256": blob.sha256, "size_bytes": blob.size_bytes,
    }  # fmt: skip
