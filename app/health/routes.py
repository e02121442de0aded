"""``/healthz``, ``/readyz``, ``/metrics`` and the documentation of problems."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Response, Security
from fastapi.responses import PlainTextResponse

from app.deps import PartsDep, get_caller
from app.errors import NotFound
from app.health import service
from app.keys.service import Caller
from app.problems import Responses, describe, problems
from app.schemas import Answer

router = APIRouter(tags=["Service"])
Scraper = Annotated[Caller, Security(get_caller, scopes=["metrics:read"])]
TEXT = {"schema": {"type": "string"}, "example": 'glocert_jobs{status="queued"} 1.0'}
METRICS: Responses = {200: {"content": {"text/plain": TEXT}, "description": "Metrics"}}


class Health(Answer):
    status: Literal["ok"] = "ok"


class Readiness(Answer):
    ready: bool
    checks: dict[str, bool]
    workers: int
    """that reported lately; without any, jobs wait"""


class ProblemPage(Answer):
    type: str
    code: str
    title: str
    status: int
    description: str
    way_out: str


@router.get("/healthz", operation_id="getHealth", responses=problems())
def get_health() -> Health:
    """Say that the process lives."""
    return Health()


NOT_READY: Responses = {
    503: {"model": Readiness, "description": "Something that the service needs is missing"}
}


@router.get("/readyz", operation_id="getReadiness", responses=NOT_READY | problems())
def get_readiness(parts: PartsDep, response: Response) -> Readiness:
    """Say whether requests can be served: database, schema and storage."""
    checks = service.readiness(parts.reading)
    ready = all(checks.values())
    response.status_code = 200 if ready else 503
    workers = service.workers(parts.reading, parts.settings) if ready else 0
    return Readiness(ready=ready, checks=checks, workers=workers)


@router.get(
    "/metrics", operation_id="getMetrics", response_class=PlainTextResponse, responses=METRICS | problems()
)
def get_metrics(_: Scraper, parts: PartsDep) -> PlainTextResponse:
    """Give metrics in Prometheus' text format; a key needs the scope `metrics:read`."""
    return PlainTextResponse(parts.metrics.render(), media_type="text/plain; version=0.0.4")


@router.get("/problems/{code}", operation_id="getProblem", responses=problems(404))
def get_problem(code: str) -> ProblemPage:
    """Explain a problem: what it means and what to do about it."""
    found = describe(code)
    if found is None:
        raise NotFound("There is no such problem.")
    return ProblemPage.model_validate(found)
