"""``/v1/models``."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from pydantic import ValidationError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app import forms, waiting
from app.deps import PartsDep, SessionDep, SettingsDep, get_caller
from app.errors import MalformedRequest
from app.keys.service import Caller
from app.limits import Limit
from app.networks import service
from app.networks.schemas import (
    NetworkFilter,
    NetworkForm,
    NetworkPage,
    NetworkRead,
    NetworkReference,
    NetworkSettings,
)
from app.problems import Responses, problems
from app.references import service as references
from app.storage import Incoming
from app.uploads import receive
from models import Network, UploadStatus

router = APIRouter(prefix="/v1/models", tags=["Models"])
Reader = Annotated[Caller, Security(get_caller, scopes=["models:read"])]
Writer = Annotated[Caller, Security(get_caller, scopes=["models:write"])]
FIELDS = frozenset(NetworkForm.model_fields)
FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {"type": "string", "format": "binary", "minLength": 1},
        "name": {"type": "string", "maxLength": 200, "pattern": r"^[^\x00-\x1f\x7f]*$"},
        "role": {"enum": ["classifier", "regressor", "generator", "encoder"], "default": "classifier"},
        "format": {"enum": ["onnx", "torchscript", "pt2"], "description": "Found out by default."},
        "output": {
            "type": "string",
            "maxLength": 200,
            "pattern": r"^[^\x00-\x1f\x7f]*$",
            "description": "Name or position of the output to use; the first by default.",
        },
        "threshold": {
            "type": "string",
            "description": "Of a classifier with one output: label 1 where it is greater than this number.",
        },
        "decision": {"enum": ["max", "min"], "default": "max", "description": "Which score decides."},
        "prior": {
            "enum": ["normal", "uniform"],
            "description": "Of a generator: the law of its codes; normal by default, uniform is on [-1, 1].",
        },
        "input_shape": {
            "type": "string",
            "description": "JSON: shape of one sample.",
        },
        "classes": {"type": "string", "description": "JSON: names of the classes."},
        "preprocessing": {"type": "string", "description": "JSON: `PreprocessingBody`."},
    },
}


REFERENCE = NetworkReference.model_json_schema(ref_template="#/components/schemas/{model}")
REFERENCE.pop("$defs")  # the answers bring them along
EXAMPLE = {"uri": "hf://myorg/digits@v1.2/digits.onnx", "name": "digits"}
CONTENT = {
    "multipart/form-data": {"schema": FORM},
    "application/json": {"schema": REFERENCE, "example": EXAMPLE},
}
BYTES: Responses = {200: {"content": {"application/octet-stream": {}}, "description": "The bytes"}}
KNOWN: Responses = {200: {"model": NetworkRead, "description": "The same upload is there already"}}


@dataclass(frozen=True, slots=True)
class Received:
    """A network's bytes, not kept yet, and what is said of them."""

    file: Incoming
    filename: str
    said: NetworkSettings
    reference: dict[str, str] | None = None


async def receive_network(request: Request, _: Writer, parts: PartsDep) -> AsyncIterator[Received]:
    """Read the upload of a caller who may send one, or fetch what the caller refers to."""
    limit = Limit(parts.settings.max_model_bytes, "max_model_bytes")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        wanted = _read_reference(await request.body())
        with parts.store.incoming() as file:
            fetched = await run_in_threadpool(references.fetch, wanted.uri, parts.settings, file, limit)
            yield Received(file, fetched.filename, wanted, fetched.reference)
        return
    async with receive(request, parts.store, limit, FIELDS) as upload:
        yield Received(upload.file, upload.filename, forms.read(NetworkForm, upload.fields))


def _read_reference(data: bytes) -> NetworkReference:
    try:
        body = json.loads(data)
    except ValueError:
        raise MalformedRequest("The body is not JSON.") from None
    try:
        return NetworkReference.model_validate(body)
    except ValidationError as error:
        found = [item | {"loc": ("body", *item["loc"])} for item in error.errors(include_url=False)]
        raise RequestValidationError(found, body=body) from error


async def wait_for_inspection(
    model_id: str, request: Request, caller: Reader, parts: PartsDep, wait: waiting.Wait = 0.0
) -> None:
    """Hold the answer back while the inspection is still to come."""

    def settled(session: Session) -> bool:
        return service.get(session, caller, model_id).status != UploadStatus.UPLOADED

    if wait:
        await waiting.until(request, parts, wait, settled)


@router.post(
    "",
    status_code=201,
    operation_id="uploadModel",
    responses=KNOWN | problems(400, 409, 413, 415, 502),
    openapi_extra={"requestBody": {"required": True, "content": CONTENT}},
)
def upload_model(
    received: Annotated[Received, Depends(receive_network, scope="function")],
    caller: Writer,
    session: SessionDep,
    parts: PartsDep,
    response: Response,
) -> NetworkRead:
    """Upload a network, or name one in a registry that the service may read (`GLOCERT_REFERENCES`).

    The service stores the bytes and queues their inspection; `GET` of the `Location` tells the outcome.
    The same bytes with the same settings, save for the name, are the same model: 200 and its id.
    """
    network, new = service.create(
        session, caller, received.file, received.filename, received.said, parts.settings.max_models,
        received.reference,
    )  # fmt: skip
    if new:
        parts.metrics.upload_bytes.labels("model").inc(network.size_bytes)
    response.status_code = 201 if new else 200
    response.headers["Location"] = f"/v1/models/{network.id}"
    return NetworkRead.model_validate(network)


@router.get("", operation_id="listModels", responses=problems())
def list_models(
    caller: Reader, query: Annotated[NetworkFilter, Query()], session: SessionDep, settings: SettingsDep
) -> NetworkPage:
    """List models from the newest to the oldest."""
    found = service.list_networks(session, caller, query, min(query.limit, settings.max_page))
    return NetworkPage.model_validate(found)


@router.get(
    "/{model_id}",
    operation_id="getModel",
    responses=problems(404),
    dependencies=[Depends(wait_for_inspection)],
)
def get_model(model_id: str, caller: Reader, session: SessionDep) -> NetworkRead:
    """Show a model and what inspection found; `wait` holds the answer back while it is `uploaded`."""
    return NetworkRead.model_validate(service.get(session, caller, model_id))


@router.get(
    "/{model_id}/file",
    operation_id="downloadModel",
    response_class=FileResponse,
    responses=BYTES | problems(404),
)
def download_model(model_id: str, caller: Reader, session: SessionDep, parts: PartsDep) -> FileResponse:
    """Give the uploaded bytes back."""
    network: Network = service.get(session, caller, model_id)
    headers = {"ETag": f'"{network.sha256}"'}
    path = parts.store.path(network.sha256)
    return FileResponse(
        path, headers=headers, media_type="application/octet-stream", filename=network.filename
    )


@router.delete("/{model_id}", status_code=204, operation_id="deleteModel", responses=problems(404, 409))
def delete_model(model_id: str, caller: Writer, session: SessionDep) -> None:
    """Delete a model; finished jobs keep what they found."""
    service.delete(session, caller, model_id)
