"""The only table of error class and HTTP status, and the only handlers: RFC 9457 problems."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app import errors as service
from app.headers import protect
from app.jobs.schemas import KINDS
from app.pointers import offences_of
from glocert import errors as core
from glocert.errors import GlocertError, InvalidSpec, Offence

MEDIA_TYPE = "application/problem+json"
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Row:
    """What a class of errors is over HTTP."""

    status: int
    way_out: str
    headers: Mapping[str, str] = field(default_factory=dict)


REUPLOAD = "Correct the file and upload it again; `errors` names everything that is wrong with it."
TABLE: dict[type[GlocertError], Row] = {
    GlocertError: Row(500, "Try again; if it comes back, report the request id of the answer."),
    core.InvalidSpec: Row(422, "Change the fields that `errors` points to."),
    core.ModelRejected: Row(422, REUPLOAD),
    core.UnreadableModel: Row(422, REUPLOAD),
    core.UnsupportedOperators: Row(
        422, "Export the network without the named nodes; `/v1/capabilities` lists what is taken."
    ),
    core.InvalidGraph: Row(422, REUPLOAD),
    core.NonFiniteWeights: Row(422, REUPLOAD),
    core.UnsupportedInput: Row(422, "Export the network with one float input, or give `input_shape`."),
    core.UnsupportedOutput: Row(422, "Export the network with one output of class scores."),
    core.ModelTooLarge: Row(422, "Use a smaller network, or raise the limit in the settings."),
    core.ImportMismatch: Row(422, "Report it: the importer misreads this network, so nothing was certified."),
    core.NoDirection: Row(
        422, "Use another mask or mode, or a generator that was trained with such a mutation."
    ),
    core.UnverifiedArtifact: Row(422, "Take the files of one gloro-wrap job as they are, manifest included."),
    core.DatasetRejected: Row(422, REUPLOAD),
    core.UnreadableDataset: Row(422, REUPLOAD),
    core.InvalidImages: Row(422, REUPLOAD),
    core.InvalidLabels: Row(422, REUPLOAD),
    core.DatasetTooLarge: Row(422, "Upload fewer rows, or raise the limit in the settings."),
    core.InspectionFailed: Row(422, "Upload a smaller file, or raise the limits of the inspection."),
    core.SandboxUnavailable: Row(503, "Run the worker where the sandbox works, or set `GLOCERT_SANDBOX`."),
    core.UnfaithfulArithmetic: Row(
        503, "Leave libraries at full precision where the worker runs, as `detail` says."
    ),
    core.TrainingDiverged: Row(422, "Send the job again with a smaller `rate`."),
    core.DeadlineExceeded: Row(422, "Send the job again with fewer inputs or a larger `budget.seconds`."),
    core.WorkerLost: Row(500, "Look at the worker's log; a network that exhausts memory does this."),
    service.ServiceError: Row(500, "Try again; if it comes back, report the request id of the answer."),
    service.InvalidRequest: Row(422, "Change the fields, parameters or headers that `errors` names."),
    service.InvalidCursor: Row(422, "Pass `next` of the page before unchanged, with the same filters."),
    service.ReferenceUnresolved: Row(422, "Correct the reference, or the service's access to the registry."),
    service.MalformedRequest: Row(400, "Send a complete JSON document or multipart form."),
    service.UnsupportedMediaType: Row(415, "Send the media type that the documentation of the route names."),
    service.NotAPicture: Row(422, "Only items of one or three channels can be shown."),
    service.PayloadTooLarge: Row(413, "Send less, or raise the limit in the settings."),
    service.Unauthorized: Row(401, "Send `Authorization: Bearer <key>`.", {"WWW-Authenticate": "Bearer"}),
    service.Forbidden: Row(403, "Use a key with the scope that is named."),
    service.ForeignOrigin: Row(403, "Configure API keys (`GLOCERT_ADMIN_KEY`) to be reached from elsewhere."),
    service.ReferenceForbidden: Row(
        403, "Upload the file, or add the reference to the setting that `setting` names."
    ),
    service.ReferenceUnavailable: Row(502, "Try again later."),
    service.NotFound: Row(404, "Check the address; things of other owners look as if they were not there."),
    service.MethodNotAllowed: Row(405, "The header `Allow` names the methods."),
    service.Conflict: Row(409, "Look at the present state first."),
    service.InUse: Row(409, "Wait for the jobs that are named, or cancel them."),
    service.NetworkNotReady: Row(409, "Wait until the model is `ready`; correct it when it is `rejected`."),
    service.DatasetNotReady: Row(
        409, "Wait until the data set is `ready`; correct it when it is `rejected`."
    ),
    service.JobFinished: Row(409, "Nothing needs to be done."),
    service.JobNotResumable: Row(
        409, "Wait for a job that runs; send the request of another one as a new job."
    ),
    service.CertificateNotIssued: Row(409, "Wait until the job has succeeded."),
    service.IdempotencyMismatch: Row(422, "Use a new key for a new request."),
    service.LimitExceeded: Row(409, "Delete what is not needed any more, or raise the limit."),
    service.TooManyJobs: Row(429, "Wait for a job to finish.", {"Retry-After": "10"}),
    service.KindNotOffered: Row(422, "Use one of the kinds in `offered`."),
}

OF_REQUESTS = (InvalidSpec, service.InvalidRequest, service.ReferenceForbidden)
"""Errors whose offences lie in the request, not in an upload."""


def error_tree(root: type[GlocertError] = GlocertError) -> Iterator[type[GlocertError]]:
    """Yield ``root`` and every class below it."""
    yield root
    for child in root.__subclasses__():
        yield from error_tree(child)


def render(error: GlocertError, request: Request | None = None) -> JSONResponse:
    """Return the answer for an error."""
    row = TABLE[type(error)]
    problem = error.to_problem() | {"status": row.status}
    if isinstance(error, OF_REQUESTS) and error.offences:
        problem["errors"] = [_place(offence) for offence in error.offences]
    if request is not None:
        problem["instance"] = quote(request.scope["path"])
        problem["request_id"] = request.scope.get("request_id", "")
    return JSONResponse(problem, row.status, dict(row.headers), MEDIA_TYPE)


def describe(code: str) -> dict[str, Any] | None:
    """Return the documentation of a problem, or ``None`` for an unknown code."""
    for cls in error_tree():
        if cls.code == code:
            row = TABLE[cls]
            meaning = (inspect.getdoc(cls) or "").replace("``", "`")
            members = {"status": row.status, "description": meaning, "way_out": row.way_out}
            return {"type": f"/problems/{code}", "code": code, "title": cls.title, **members}
    return None


Responses = dict[int | str, dict[str, Any]]
"""What a route declares about its answers."""


def problems(*statuses: int) -> Responses:
    """Return what a route declares: these statuses carry a problem."""
    return {status: _declared(status) for status in sorted({*statuses, 401, 403, 422})}


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(GlocertError, _on_deliberate)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(Exception, _on_unexpected)


def _declared(status: int) -> dict[str, Any]:
    codes = sorted({cls.code for cls, row in TABLE.items() if row.status == status and cls in error_tree()})
    text = f"Problem: {', '.join(codes)}" if len(codes) < 4 else "Problem; `type` says which"
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": text, "content": {MEDIA_TYPE: {"schema": schema}}}


def _place(offence: Offence) -> dict[str, str]:
    name = "pointer" if offence.where.startswith("/") or not offence.where else "field"
    members = {name: offence.where, "detail": offence.detail}
    return members | ({"way_out": offence.way_out} if offence.way_out else {})


def _on_deliberate(request: Request, error: Exception) -> Response:
    assert isinstance(error, GlocertError)
    return render(error, request)


def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    places = {item["loc"][0] for item in found}
    if places == {"path"}:
        return render(service.NotFound(f"There is nothing at {request.url.path}."), request)
    if any(item["type"] == "json_invalid" for item in found):
        return render(service.MalformedRequest("The body is not a JSON document."), request)
    if any(_is_unknown_kind(item) for item in found):
        extra = {"offered": list(KINDS), "errors": [{"pointer": "/kind", "detail": "It is not offered."}]}
        return render(
            service.KindNotOffered(f"This release offers {', '.join(KINDS)}.", extra=extra), request
        )
    if isinstance(error.body, bytes) and places == {"body"}:
        kind = request.headers.get("content-type", "no Content-Type")
        return render(service.UnsupportedMediaType(f"JSON is needed here, not {kind}."), request)
    return render(
        service.InvalidRequest("The request is not valid; see errors.", extra=offences_of(error)), request
    )


def _is_unknown_kind(item: Mapping[str, Any]) -> bool:
    told = item["type"] == "union_tag_invalid" and item["loc"] == ("body",)
    return told and str(item["ctx"]["discriminator"]) == "'kind'"


def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    where = request.url.path
    known: dict[int, GlocertError] = {
        400: service.MalformedRequest("The body is not a JSON document."),
        404: service.NotFound(f"There is nothing at {where}."),
        405: service.MethodNotAllowed(f"{where} does not answer to {request.method}."),
    }
    answer = render(known.get(error.status_code, GlocertError("The request could not be served.")), request)
    answer.headers.update(error.headers or {})
    return answer


def _on_disconnect(request: Request, _: Exception) -> Response:
    return render(service.MalformedRequest("The request ended early."), request)


def _on_unexpected(request: Request, error: Exception) -> Response:
    log.error("request.crashed", path=request.url.path, exc_info=error)
    answer = render(GlocertError("Something went wrong on our side; the log has the details."), request)
    protect(answer.headers, request.scope)  # this one does not pass our middleware
    answer.headers["Connection"] = (
        "close"  # the server hangs up after a crash: say so, or the next request is lost
    )
    return answer
