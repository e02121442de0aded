"""``/v1/jobs``."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Body, Depends, Header, Query, Request, Response, Security
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app import waiting
from app.deps import Parts, PartsDep, SessionDep, SettingsDep, get_caller
from app.jobs import following, generators, gloro, lipschitz, mining, precheck, prediction, service, showing
from app.jobs.schemas import EXAMPLE, JobBody, JobFilter, JobPage, JobRead
from app.keys.service import Caller
from app.problems import Responses, problems
from models import Job, JobStatus, TrainingEpoch

router = APIRouter(prefix="/v1/jobs", tags=["Jobs"])
Reader = Annotated[Caller, Security(get_caller, scopes=["jobs:read"])]
Writer = Annotated[Caller, Security(get_caller, scopes=["jobs:write"])]
NoneMatch = Annotated[str | None, Header(alias="If-None-Match", max_length=1000)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[!-~]{1,255}$",
        description="The same key with the same body gives the job that it gave first.",
    ),
]
EXAMPLES: dict[str, Any] = {
    "brightness": {"value": EXAMPLE},
    "precheck": {"value": precheck.EXAMPLE},
    "lipschitz": {"value": lipschitz.EXAMPLE},
    "wrap": {"value": gloro.WRAP_EXAMPLE},
    "training": {"value": gloro.TRAINING_EXAMPLE},
    "generator": {"value": generators.EXAMPLE},
    "prediction": {"value": prediction.EXAMPLE},
    "directions": {"value": mining.EXAMPLE},
}
RETRY_AFTER_S = "1"
STREAM_S = 600.0
LOOK_S = 0.5
ANSWER: Responses = {
    202: {
        "headers": {
            "Location": {"schema": {"type": "string"}, "description": "The job."},
            "Retry-After": {"schema": {"type": "string"}, "description": "Seconds until a look is worth it."},
        }
    }
}
UNCHANGED: Responses = {304: {"description": "The caller has this version already"}}
STREAM: Responses = {
    200: {
        "content": {"text/event-stream": {}},
        "description": "Events `job`, each with the job's document; of a training also events `epoch`, each "
        "with a point of the learning curve",
    }
}


async def wait_for_change(
    job_id: str,
    request: Request,
    caller: Reader,
    parts: PartsDep,
    wait: waiting.Wait = 0.0,
    if_none_match: NoneMatch = None,
) -> None:
    """Hold the answer back until the job ends or, with `If-None-Match`, until it changes."""

    def settled(session: Session) -> bool:
        job = service.get(session, caller, job_id)
        changed = if_none_match is not None and not showing.unchanged(job, if_none_match)
        return JobStatus(job.status).final or changed

    if wait:
        await waiting.until(request, parts, wait, settled)


def require_job(job_id: str, caller: Reader, session: SessionDep) -> None:
    """Answer 404 before a stream begins."""
    service.get(session, caller, job_id)


@router.post(
    "", status_code=202, operation_id="createJob", responses=ANSWER | problems(400, 404, 409, 413, 415, 429)
)
def create_job(
    body: Annotated[JobBody, Body(discriminator="kind", openapi_examples=EXAMPLES)],
    caller: Writer,
    session: SessionDep,
    settings: SettingsDep,
    response: Response,
    idempotency_key: Key = None,
) -> JobRead:
    """Queue a job: a certification, a precheck, a wrapping or a training.

    Request, model and data set are compared before anything is queued; `errors` names all that does not fit.
    """
    job = service.create(session, caller, body, idempotency_key, settings)
    response.headers.update({"Location": f"/v1/jobs/{job.id}", "ETag": showing.etag(job)})
    response.headers["Retry-After"] = RETRY_AFTER_S
    return showing.read(job)


@router.get("", operation_id="listJobs", responses=problems())
def list_jobs(
    caller: Reader, query: Annotated[JobFilter, Query()], session: SessionDep, settings: SettingsDep
) -> JobPage:
    """List jobs from the newest to the oldest."""
    found = service.list_jobs(session, caller, query, min(query.limit, settings.max_page))
    return JobPage(items=[showing.read(job) for job in found.items], next=found.next)


@router.get(
    "/{job_id}",
    operation_id="getJob",
    response_model=JobRead,
    responses=UNCHANGED | problems(404),
    dependencies=[Depends(wait_for_change)],
)
def get_job(
    job_id: str, caller: Reader, session: SessionDep, response: Response, if_none_match: NoneMatch = None
) -> JobRead | Response:
    """Show a job.

    `wait` holds the answer back until the job ends; together with `If-None-Match` until it changes. `summary`
    and `certificate` are there once it has succeeded, `error` when it failed.
    """
    job = service.get(session, caller, job_id)
    headers = _headers(job)
    if showing.unchanged(job, if_none_match):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return showing.read(job)


@router.post("/{job_id}/cancel", status_code=202, operation_id="cancelJob", responses=problems(404, 409))
def cancel_job(job_id: str, caller: Writer, session: SessionDep, response: Response) -> JobRead:
    """Ask for the end of a job.

    A running job stops within seconds; rows that are there already stay.
    """
    job = service.cancel(session, caller, job_id)
    response.headers.update({"Location": f"/v1/jobs/{job.id}", "Retry-After": RETRY_AFTER_S})
    return showing.read(job)


@router.post(
    "/{job_id}/resume", status_code=202, operation_id="resumeJob", responses=ANSWER | problems(404, 409, 429)
)
def resume_job(
    job_id: str, caller: Writer, session: SessionDep, settings: SettingsDep, response: Response
) -> JobRead:
    """Go on with a segment certification that was cancelled, ran out of its budget or lost its worker.

    Rows that are there already stay and count; `budget.seconds` begins anew. An input that was being worked
    on goes on from what was proven of it.
    """
    job = service.resume(session, caller, job_id, settings)
    response.headers.update({"Location": f"/v1/jobs/{job.id}", "ETag": showing.etag(job)})
    response.headers["Retry-After"] = RETRY_AFTER_S
    return showing.read(job)


@router.get(
    "/{job_id}/events",
    operation_id="followJob",
    response_class=EventSourceResponse,
    responses=STREAM | problems(404),
    dependencies=[Depends(require_job)],
)
async def follow_job(
    job_id: str,
    request: Request,
    caller: Reader,
    parts: PartsDep,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", max_length=100)] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Follow a job: its present state first, then every change, until it has ended.

    A training also sends its learning curve: an event `epoch` for each that has ended, from the first on. The
    id of an event tells how far the caller has read; with it in `Last-Event-ID` nothing comes twice. The
    stream ends after ten minutes at the latest: connect again.
    """
    seen, deadline = following.read_id(last_event_id), time.monotonic() + STREAM_S
    while time.monotonic() < deadline:
        job, epochs = await run_in_threadpool(_look, parts, caller, job_id, seen.epochs)
        for epoch in epochs:
            seen = following.Seen(seen.version, epoch.number)
            yield ServerSentEvent(data=epoch.log, event="epoch", id=seen.id)
        if job.version != seen.version:
            seen = following.Seen(job.version, seen.epochs)
            yield ServerSentEvent(data=showing.read(job), event="job", id=seen.id)
        if JobStatus(job.status).final or await request.is_disconnected():
            return
        await anyio.sleep(LOOK_S)


def _look(parts: Parts, caller: Caller, job_id: str, epochs: int) -> tuple[Job, Sequence[TrainingEpoch]]:
    with parts.reading() as session:
        return service.follow(session, caller, job_id, epochs)


def _headers(job: Job) -> dict[str, str]:
    headers = {"ETag": showing.etag(job)}
    return headers if JobStatus(job.status).final else headers | {"Retry-After": RETRY_AFTER_S}
