"""``/v1/models``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response, Security
from fastapi.responses import FileResponse
from sqlalchemy.orm import Session

from app import forms, waiting
from app.deps import PartsDep, SessionDep, SettingsDep, get_caller
from app.errors import InvalidRequest
from app.keys.service import Caller
from app.networks import service
from app.networks.schemas import NetworkFilter, NetworkForm, NetworkPage, NetworkRead
from app.problems import Responses, problems
from app.uploads import Limit, Upload, receive
from glocert.errors import Offence
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
        "input_shape": {
            "type": "string",
            "description": "JSON: shape of one sample.",
        },
        "classes": {"type": "string", "description": "JSON: names of the classes."},
        "preprocessing": {"type": "string", "description": "JSON: `PreprocessingBody`."},
    },
}


BYTES: Responses = {200: {"content": {"application/octet-stream": {}}, "description": "The bytes"}}
KNOWN: Responses = {200: {"model": NetworkRead, "description": "The same upload is there already"}}


async def receive_form(request: Request, _: Writer, parts: PartsDep) -> AsyncIterator[Upload]:
    """Read the upload of a caller who may send one."""
    if request.headers.get("content-type", "").startswith("application/json"):
        detail = "References to models in registries are not offered by this release: upload the file."
        raise InvalidRequest(detail, [Offence("/uri", detail)])
    limit = Limit(parts.settings.max_model_bytes, "max_model_bytes")
    async with receive(request, parts.store, limit, FIELDS) as upload:
        yield upload


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
    responses=KNOWN | problems(400, 409, 413, 415),
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM}}}},
)
def upload_model(
    upload: Annotated[Upload, Depends(receive_form, scope="function")],
    caller: Writer,
    session: SessionDep,
    parts: PartsDep,
    response: Response,
) -> NetworkRead:
    """Upload a network.

    The service stores the bytes and queues their inspection; `GET` of the `Location` tells the outcome.
    The same bytes with the same settings, save for the name, are the same model: 200 and its id.
    """
    form = forms.read(NetworkForm, upload.fields)
    network, new = service.create(
        session, caller, upload.file, upload.filename, form, parts.settings.max_models
    )
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
