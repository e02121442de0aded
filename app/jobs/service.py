"""What happens to jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import rfc8785
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app import paging
from app.errors import IdempotencyMismatch, JobFinished, JobNotResumable, NotFound, TooManyJobs
from app.jobs import finishing, generators, gloro, planning, repository
from app.jobs.schemas import SEGMENT, JobBody, JobFilter
from app.keys.service import Caller
from app.paging import Page
from app.settings import Settings
from app.storage import Blob
from app.units import service as units
from glocert.errors import DeadlineExceeded, GlocertError, WorkerLost
from models import Job, JobStatus, TrainingEpoch, now

TRAININGS = frozenset({gloro.TRAINING, generators.KIND})
"""Kinds with a learning curve."""
INTERRUPTED = {f"/problems/{error.code}" for error in (DeadlineExceeded, WorkerLost)}
"""types of the errors after which a job can go on"""


def create(session: Session, caller: Caller, body: JobBody, key: str | None, settings: Settings) -> Job:
    """Check a request against its network and data, and queue it; a repeated key gives the first job back.

    Raises:
        IdempotencyMismatch: the key came before with another body.
        NotFound: there is no such network or data set.
        NetworkNotReady: it is not inspected yet, or rejected.
        DatasetNotReady: likewise.
        InvalidSpec: request, network and data do not fit together.
        LimitExceeded: a training would make a model more than the caller may have.
        TooManyJobs: the caller has as many unfinished jobs as the settings allow.
    """
    digest = _digest(body)
    if key is not None and (known := repository.by_key(session, caller.owner, key)) is not None:
        return _same(known, digest)
    plan = planning.plan(session, caller, body, settings)
    _refuse_too_many(session, caller, settings)
    job = _new(caller, body, plan)
    job.idempotency_key, job.body_sha256 = key, digest
    try:
        repository.add(session, job, plan.networks)
    except IntegrityError:
        if key is not None and (known := repository.by_key(session, caller.owner, key)) is not None:
            return _same(known, digest)
        planning.plan(session, caller, body, settings)  # what it needs was deleted meanwhile
        raise
    for file in plan.files:
        blob = Blob(file.sha256, file.size_bytes)
        repository.add_file(session, job.id, file.index, file.name, file.media_type, blob)
    units.queue_job(session, job, plan.indices)
    return job


def get(session: Session, caller: Caller, job_id: str) -> Job:
    """Return a job of the caller's.

    Raises:
        NotFound: there is none.
    """
    job = repository.get(session, caller.owner, job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    return job


def follow(session: Session, caller: Caller, job_id: str, epochs: int) -> tuple[Job, Sequence[TrainingEpoch]]:
    """Return a job of the caller's, and its learning curve behind so many epochs.

    Raises:
        NotFound: there is none.
    """
    job = get(session, caller, job_id)
    curve = repository.epochs(session, job_id, epochs) if job.kind in TRAININGS else ()
    return job, curve


def list_jobs(session: Session, caller: Caller, wanted: JobFilter, limit: int) -> Page[Job]:
    """Return a page of the caller's jobs."""
    rows = repository.page(session, caller.owner, wanted, paging.read_after(wanted.cursor), limit + 1)
    return paging.page(rows, limit, lambda row: paging.encode(row.created_at.isoformat(), row.id))


def cancel(session: Session, caller: Caller, job_id: str) -> Job:
    """Ask for the end of a job; asking again changes nothing.

    Raises:
        NotFound: there is none.
        JobFinished: it has ended.
    """
    job = get(session, caller, job_id)
    if JobStatus(job.status).final:
        raise JobFinished(f"The job is {job.status}.")
    units.cancel(session, job)
    return job


def resume(session: Session, caller: Caller, job_id: str, settings: Settings) -> Job:
    """Queue what is left of a job that was interrupted; while it waits, asking again changes nothing.

    Raises:
        NotFound: there is none.
        JobNotResumable: it was not interrupted, is of another kind, or its model or data are gone.
        TooManyJobs: the caller has as many unfinished jobs as the settings allow.
    """
    job = get(session, caller, job_id)
    if _waits(job):
        return job
    _refuse_unresumable(job)
    _refuse_without_generator(session, job)
    _refuse_too_many(session, caller, settings)
    if not units.resume(session, job) and not _waits(job):  # it has changed meanwhile
        _refuse_unresumable(job)
        raise JobNotResumable(f"The job is {job.status}.")
    return job


def _waits(job: Job) -> bool:
    return job.status == JobStatus.QUEUED and not job.cancel_requested


def _refuse_unresumable(job: Job) -> None:
    if job.kind != SEGMENT:
        raise JobNotResumable(f"Jobs of the kind {job.kind} cannot be resumed.")
    failed = job.status == JobStatus.FAILED
    interrupted = job.status == JobStatus.CANCELLED or (
        failed and (job.error or {}).get("type") in INTERRUPTED
    )
    if not interrupted:
        detail = (
            "The job failed for a reason that would come back." if failed else f"The job is {job.status}."
        )
        raise JobNotResumable(detail, extra={"status": job.status})
    gone = [name for name, kept in (("model", job.network_id), ("data set", job.dataset_id)) if kept is None]
    if gone:
        raise JobNotResumable(f"The {' and the '.join(gone)} of the job was deleted meanwhile.")


def _refuse_without_generator(session: Session, job: Job) -> None:
    """Refuse to go on with a mutation through a network that was deleted."""
    asked = job.spec["mutation"]
    first = (asked.get("mutations") or [asked])[0]
    needed = [role for role in ("generator", "encoder") if first.get(f"{role}_id")]
    gone = [role for role in needed if role not in repository.networks(session, job.id)]
    if gone:
        raise JobNotResumable(f"The {' and the '.join(gone)} of the job was deleted meanwhile.")


def record_accuracy(session: Session, job: Job, outcome: Mapping[str, Any]) -> None:
    """Write down the clean accuracy and what is wrong with it."""
    job.clean_accuracy = outcome.get("clean_accuracy")
    warning = outcome.get("warning")
    if warning and warning not in job.warnings:  # the unit may be done twice
        job.warnings = [*job.warnings, warning]
    job.version = _next_version()
    session.flush()


def record_precheck(session: Session, job: Job, outcome: Mapping[str, Any]) -> None:
    """Write down what a precheck found."""
    job.summary = dict(outcome)
    job.warnings = list(outcome["warnings"])
    job.clean_accuracy = next((one["accuracy"] for one in outcome["guesses"] if one["current"]), None)
    job.version = _next_version()
    session.flush()


def record_made(session: Session, job: Job, outcome: Mapping[str, Any]) -> None:
    """Write down what a unit says of the whole job; members of earlier units stay."""
    job.summary = {**(job.summary or {}), **outcome}
    known = set(map(str, job.warnings))
    job.warnings = [*job.warnings, *(one for one in outcome.get("warnings", ()) if one not in known)]
    if job.clean_accuracy is None:
        job.clean_accuracy = (outcome.get("validation") or outcome).get("clean_accuracy")
    job.version = _next_version()
    session.flush()


def finish(session: Session, job: Job) -> None:
    """End a job whose units are all done: summary, files, certificate, status."""
    if JobStatus(job.status).final:
        return
    session.flush()
    job.finished_at = now()
    try:
        finishing.FINISH[job.kind](session, job)
    except GlocertError as error:
        fail(session, job, error.to_problem())
    else:
        _end(session, job, JobStatus.SUCCEEDED)


def fail(session: Session, job: Job, problem: Mapping[str, Any]) -> None:
    """End a job with the problem that stopped it."""
    if JobStatus(job.status).final:
        return
    job.error = dict(problem)
    job.finished_at = now()
    _end(session, job, JobStatus.FAILED)


def _end(session: Session, job: Job, status: JobStatus) -> None:
    job.status = status
    job.version = _next_version()
    session.flush()


def _next_version() -> Any:
    return Job.version + 1  # counted by the database: workers count it up as well


def _digest(body: JobBody) -> str:
    return hashlib.sha256(rfc8785.dumps(body.model_dump(mode="json", by_alias=True))).hexdigest()


def _same(job: Job, digest: str) -> Job:
    if job.body_sha256 != digest:
        raise IdempotencyMismatch(f"The key made {job.id} from another body.", extra={"job_id": job.id})
    return job


def _refuse_too_many(session: Session, caller: Caller, settings: Settings) -> None:
    limit = settings.max_active_jobs
    if repository.count_unfinished(session, caller.owner) >= limit:
        extra = {"limit": limit, "setting": "max_active_jobs"}
        raise TooManyJobs(f"You have {limit} queued and running jobs, which is the limit.", extra=extra)


def _new(caller: Caller, body: JobBody, plan: planning.Plan) -> Job:
    return Job(
        owner=caller.owner,
        kind=body.kind,
        spec=plan.spec,
        network_id=plan.network_id,
        dataset_id=plan.dataset_id,
        validation_dataset_id=plan.validation_dataset_id,
        tags=dict(body.tags),
        priority=body.priority,
        inputs_total=plan.total,
    )
