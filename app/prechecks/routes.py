"""``/v1/models/{id}/precheck``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request, Response, Security
from sqlalchemy.orm import Session

from app import waiting
from app.deps import PartsDep, SessionDep, SettingsDep, get_caller
from app.jobs import precheck, showing
from app.jobs.parts import Identity
from app.jobs.precheck import PrecheckJob, PrecheckStart, PrecheckSummary
from app.jobs.routes import ANSWER, RETRY_AFTER_S
from app.jobs.schemas import JobRead
from app.keys.service import Caller
from app.prechecks import service
from app.prechecks.schemas import PrecheckLink, PrecheckRead
from app.prechecks.service import Seen
from app.problems import problems

router = APIRouter(prefix="/v1/models/{model_id}/precheck", tags=["Models"])
Reader = Annotated[Caller, Security(get_caller, scopes=["models:read", "jobs:read"])]
Writer = Annotated[Caller, Security(get_caller, scopes=["jobs:write"])]
DataId = Annotated[Identity | None, Query(description="The data set that the model is checked with.")]
EXAMPLES: dict[str, Any] = {"first 200 items": {"value": {"dataset_id": precheck.EXAMPLE["dataset_id"]}}}
FACTS = ("family", "parameters", "nonlinear_units", "nonlinear_units_by_operator", "input", "outputs")


async def wait_for_precheck(
    model_id: str,
    request: Request,
    caller: Reader,
    parts: PartsDep,
    dataset_id: DataId = None,
    wait: waiting.Wait = 0.0,
) -> None:
    """Hold the answer back while a precheck is under way."""

    def settled(session: Session) -> bool:
        return service.settled(session, caller, model_id, dataset_id)

    if wait:
        await waiting.until(request, parts, wait, settled)


@router.post(
    "",
    status_code=202,
    operation_id="startPrecheck",
    responses=ANSWER | problems(400, 404, 409, 413, 415, 429),
)
def start_precheck(
    model_id: Identity,
    body: Annotated[PrecheckStart, Body(openapi_examples=EXAMPLES)],
    caller: Writer,
    session: SessionDep,
    settings: SettingsDep,
    response: Response,
) -> JobRead:
    """Queue a precheck: is the preprocessing right, and what would a job cost?

    The same model, data set, inputs and mutation give the same job while it has not failed.
    """
    asked = PrecheckJob.model_validate(
        {"kind": "precheck", "model_id": model_id} | body.model_dump(by_alias=True)
    )
    job = service.start(session, caller, asked, settings)
    response.headers.update({"Location": f"/v1/jobs/{job.id}", "ETag": showing.etag(job)})
    response.headers["Retry-After"] = RETRY_AFTER_S
    return showing.read(job)


@router.get(
    "", operation_id="getPrecheck", responses=problems(404, 409), dependencies=[Depends(wait_for_precheck)]
)
def get_precheck(
    model_id: str, caller: Reader, session: SessionDep, dataset_id: DataId = None
) -> PrecheckRead:
    """Show what is known of a model: methods that admit it and, with `dataset_id`, its newest precheck.

    `wait` holds the answer back while a precheck with that data set is under way.
    """
    return _read(service.look(session, caller, model_id, dataset_id), dataset_id)


def _read(seen: Seen, dataset_id: str | None) -> PrecheckRead:
    facts: dict[str, Any] = {name: seen.facts.get(name) for name in FACTS}
    latest, finished = seen.latest, seen.finished
    summary = showing.summary(finished) if finished is not None else None
    return PrecheckRead(
        model_id=seen.network.id,
        role=seen.network.role,
        methods=seen.facts.get("methods") or {},
        preprocessing=seen.network.preprocessing,
        notes=seen.facts.get("notes") or [],
        dataset_id=dataset_id,
        job=PrecheckLink(id=latest.id, status=latest.status, href=f"/v1/jobs/{latest.id}")
        if latest
        else None,
        summary=summary if isinstance(summary, PrecheckSummary) else None,
        **facts,
    )
