"""``/v1/datasets``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response, Security
from sqlalchemy.orm import Session

from app import forms, waiting
from app.datasets import service
from app.datasets.schemas import DatasetFilter, DatasetForm, DatasetPage, DatasetRead
from app.deps import PartsDep, SessionDep, SettingsDep, get_caller
from app.keys.service import Caller
from app.limits import Limit
from app.problems import Responses, problems
from app.uploads import Upload, receive
from models import UploadStatus

router = APIRouter(prefix="/v1/datasets", tags=["Data sets"])
Reader = Annotated[Caller, Security(get_caller, scopes=["datasets:read"])]
Writer = Annotated[Caller, Security(get_caller, scopes=["datasets:write"])]
FIELDS = frozenset(DatasetForm.model_fields)
FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {"type": "string", "format": "binary", "minLength": 1},
        "name": {"type": "string", "maxLength": 200, "pattern": r"^[^\x00-\x1f\x7f]*$"},
    },
}
PNG: Responses = {200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}}


KNOWN: Responses = {200: {"model": DatasetRead, "description": "The same upload is there already"}}


async def receive_form(request: Request, _: Writer, parts: PartsDep) -> AsyncIterator[Upload]:
    """Read the upload of a caller who may send one."""
    limit = Limit(parts.settings.max_dataset_bytes, "max_dataset_bytes")
    async with receive(request, parts.store, limit, FIELDS) as upload:
        yield upload


async def wait_for_inspection(
    dataset_id: str, request: Request, caller: Reader, parts: PartsDep, wait: waiting.Wait = 0.0
) -> None:
    """Hold the answer back while the inspection is still to come."""

    def settled(session: Session) -> bool:
        return service.get(session, caller, dataset_id).status != UploadStatus.UPLOADED

    if wait:
        await waiting.until(request, parts, wait, settled)


@router.post(
    "",
    status_code=201,
    operation_id="uploadDataset",
    responses=KNOWN | problems(400, 409, 413, 415),
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM}}}},
)
def upload_dataset(
    upload: Annotated[Upload, Depends(receive_form, scope="function")],
    caller: Writer,
    session: SessionDep,
    parts: PartsDep,
    response: Response,
) -> DatasetRead:
    """Upload inputs and labels.

    An `.npz` with `images` or `x` and, where there are labels, `labels` or `y`; an `.npy` of inputs; or a
    `.zip` of images with `labels.csv`. The service stores the bytes and queues their inspection. The same
    bytes again are the same data set: 200 and its id.
    """
    form = forms.read(DatasetForm, upload.fields)
    limit = parts.settings.max_datasets
    dataset, new = service.create(session, caller, upload.file, upload.filename, form, limit)
    if new:
        parts.metrics.upload_bytes.labels("dataset").inc(dataset.size_bytes)
    response.status_code = 201 if new else 200
    response.headers["Location"] = f"/v1/datasets/{dataset.id}"
    return DatasetRead.model_validate(dataset)


@router.get("", operation_id="listDatasets", responses=problems())
def list_datasets(
    caller: Reader, query: Annotated[DatasetFilter, Query()], session: SessionDep, settings: SettingsDep
) -> DatasetPage:
    """List data sets from the newest to the oldest."""
    found = service.list_datasets(session, caller, query, min(query.limit, settings.max_page))
    return DatasetPage.model_validate(found)


@router.get(
    "/{dataset_id}",
    operation_id="getDataset",
    responses=problems(404),
    dependencies=[Depends(wait_for_inspection)],
)
def get_dataset(dataset_id: str, caller: Reader, session: SessionDep) -> DatasetRead:
    """Show a data set and what inspection found; `wait` holds the answer back while it is `uploaded`."""
    return DatasetRead.model_validate(service.get(session, caller, dataset_id))


@router.get(
    "/{dataset_id}/items/{index}.png",
    operation_id="getDatasetItem",
    response_class=Response,
    responses=PNG | problems(404, 409),
)
def get_item(
    dataset_id: str, index: Annotated[int, Path(ge=0, lt=2**31)], caller: Reader, session: SessionDep
) -> Response:
    """Draw an item of the data set."""
    content = service.picture(session, caller, dataset_id, index)
    return Response(content, media_type="image/png", headers={"Cache-Control": "private, max-age=86400"})


@router.delete("/{dataset_id}", status_code=204, operation_id="deleteDataset", responses=problems(404, 409))
def delete_dataset(dataset_id: str, caller: Writer, session: SessionDep) -> None:
    """Delete a data set; finished jobs keep what they found."""
    service.delete(session, caller, dataset_id)
