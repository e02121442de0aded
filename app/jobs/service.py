"""What happens to jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app import paging
from app.certificates import service as certificates
from app.datasets import service as datasets
from app.db import store_of
from app.errors import IdempotencyMismatch, JobFinished, NotFound, TooManyJobs
from app.jobs import fitting, precheck, repository
from app.jobs.precheck import PrecheckJob
from app.jobs.schemas import JobFilter, SegmentCertification
from app.jobs.summary import summarise
from app.keys.service import Caller
from app.networks import service as networks
from app.paging import Page
from app.settings import Settings
from app.units import service as units
from glocert.errors import GlocertError
from models import Job, JobStatus, now

DEFAULT_S = 3600.0


Request = SegmentCertification | PrecheckJob


def create(session: Session, caller: Caller, body: Request, key: str | None, settings: Settings) -> Job:
    """Check a request against its network and data, and queue it; a repeated key gives the first job back.

    Raises:
        IdempotencyMismatch: the key came before with another body.
        NotFound: there is no such network or data set.
        NetworkNotReady: it is not inspected yet, or rejected.
        DatasetNotReady: likewise.
        InvalidSpec: request, network and data do not fit together.
        TooManyJobs: the caller has as many unfinished jobs as the settings allow.
    """
    digest = _digest(body)
    if key is not None and (known := repository.by_key(session, caller.owner, key)) is not None:
        return _same(known, digest)
    network = networks.get(session, caller, body.model_id)
    dataset = datasets.get(session, caller, body.dataset_id)
    of = fitting.subject(network, dataset, store_of(session))
    chosen = fitting.indices(body, of, settings)
    fitting.check(body, of, chosen, settings)
    _refuse_too_many(session, caller, settings)
    job = _new(caller, body, len(chosen), settings)
    job.idempotency_key, job.body_sha256 = key, digest
    try:
        repository.add(session, job)
    except IntegrityError:
        if key is not None and (known := repository.by_key(session, caller.owner, key)) is not None:
            return _same(known, digest)
        networks.get(session, caller, body.model_id)  # one of them was deleted meanwhile
        datasets.get(session, caller, body.dataset_id)
        raise
    units.queue_job(session, job, chosen)
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


def record_accuracy(session: Session, job: Job, outcome: Mapping[str, Any]) -> None:
    """Write down the clean accuracy and what is wrong with it."""
    job.clean_accuracy = outcome.get("clean_accuracy")
    if warning := outcome.get("warning"):
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


def finish(session: Session, job: Job) -> None:
    """End a job whose units are all done: summary, certificate, status; a precheck certifies nothing."""
    if JobStatus(job.status).final:
        return
    session.flush()
    if job.kind == precheck.KIND:
        _finish_precheck(session, job)
        return
    results = repository.rows(session, job.id)
    if len(results) != job.inputs_total:
        lost = GlocertError(f"{job.inputs_total - len(results)} of {job.inputs_total} results are missing.")
        fail(session, job, lost.to_problem())
        return
    rows = [result.row for result in results]
    job.finished_at = now()
    job.summary = summarise(rows, job.clean_accuracy, job.spec["arithmetic"])
    job.certificate_sha256 = certificates.issue(session, job, rows)
    _end(session, job, JobStatus.SUCCEEDED)


def _finish_precheck(session: Session, job: Job) -> None:
    if job.summary is None:
        fail(session, job, GlocertError("The precheck ended without an answer.").to_problem())
        return
    job.finished_at, job.inputs_done = now(), job.inputs_total
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


def _digest(body: Request) -> str:
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


def _new(caller: Caller, body: Request, inputs: int, settings: Settings) -> Job:
    if isinstance(body, PrecheckJob):
        spec = body.stored(settings.max_job_s)
    else:
        spec = body.stored(body.budget.seconds or min(DEFAULT_S, settings.max_job_s))
    return Job(
        owner=caller.owner,
        kind=body.kind,
        spec=spec,
        network_id=body.model_id,
        dataset_id=body.dataset_id,
        tags=dict(body.tags),
        priority=body.priority,
        inputs_total=inputs,
    )
