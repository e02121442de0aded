"""What happens to data sets."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app import paging
from app.blobs import service as blobs
from app.datasets import arrays, repository
from app.datasets.schemas import DatasetFilter, DatasetForm
from app.db import store_of
from app.errors import DatasetNotReady, InUse, LimitExceeded, NotFound
from app.jobs import repository as jobs
from app.keys.service import Caller
from app.paging import Page
from app.storage import Incoming
from app.units import service as units
from models import Dataset, UnitKind, UploadStatus


def create(
    session: Session, caller: Caller, file: Incoming, filename: str, form: DatasetForm, max_datasets: int
) -> tuple[Dataset, bool]:
    """Store a data set and queue its inspection; return it, and whether it is new.

    Raises:
        LimitExceeded: the owner has as many as the settings allow.
    """
    known = repository.by_digest(session, caller.owner, file.sha256)
    if known is not None:
        return known, False
    if repository.count(session, caller.owner) >= max_datasets:
        extra = {"limit": max_datasets, "setting": "max_datasets"}
        raise LimitExceeded(f"You have {max_datasets} data sets, which is the limit.", extra=extra)
    dataset = Dataset(
        owner=caller.owner,
        name=form.name or PurePath(filename).stem or filename,
        filename=filename,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
    )
    try:
        repository.add(session, dataset)
    except IntegrityError:
        known = repository.by_digest(session, caller.owner, file.sha256)
        if known is None:
            raise
        return known, False
    blobs.keep(session, file)
    units.queue_inspection(session, UnitKind.INSPECT_DATASET, dataset.id)
    return dataset, True


def get(session: Session, caller: Caller, dataset_id: str) -> Dataset:
    """Return a data set of the caller's.

    Raises:
        NotFound: there is none.
    """
    dataset = repository.get(session, caller.owner, dataset_id)
    if dataset is None:
        raise NotFound(f"There is no data set {dataset_id}.")
    return dataset


def list_datasets(session: Session, caller: Caller, wanted: DatasetFilter, limit: int) -> Page[Dataset]:
    """Return a page of the caller's data sets."""
    rows = repository.page(session, caller.owner, wanted, paging.read_after(wanted.cursor), limit + 1)
    return paging.page(rows, limit, lambda row: paging.encode(row.created_at.isoformat(), row.id))


def picture(session: Session, caller: Caller, dataset_id: str, index: int) -> bytes:
    """Return an item as PNG.

    Raises:
        NotFound: there is no such data set or item.
        DatasetNotReady: inspection has not found it usable.
        NotAPicture: the items are no images.
    """
    dataset = get(session, caller, dataset_id)
    if dataset.status != UploadStatus.READY or dataset.inputs_sha256 is None:
        raise DatasetNotReady(f"The data set is {dataset.status}.", extra={"rejection": dataset.rejection})
    inputs = arrays.open_array(store_of(session).path(dataset.inputs_sha256))
    if index >= len(inputs):
        raise NotFound(f"There is no item {index}: the data set has {len(inputs)}.")
    return arrays.png_of(inputs[index])


def delete(session: Session, caller: Caller, dataset_id: str) -> None:
    """Delete a data set; finished jobs keep what they found.

    Raises:
        NotFound: there is none.
        InUse: jobs that have not finished need it.
    """
    dataset = get(session, caller, dataset_id)
    _refuse_when_busy(session, dataset_id)
    jobs.forget_dataset(session, dataset_id)
    try:
        repository.remove(session, dataset)
    except IntegrityError:
        _refuse_when_busy(session, dataset_id)
        raise
    blobs.release_after_commit(session, [dataset.sha256], [dataset.inputs_sha256, dataset.labels_sha256])


def _refuse_when_busy(session: Session, dataset_id: str) -> None:
    busy = jobs.unfinished_with(session, dataset_id=dataset_id)
    if busy:
        detail = f"Jobs that have not finished need the data set: {', '.join(busy)}."
        raise InUse(detail, extra={"jobs": busy})


def record_inspection(
    session: Session,
    dataset_id: str,
    report: dict[str, Any] | None,
    problem: dict[str, Any] | None,
    inputs_sha256: str | None,
    labels_sha256: str | None,
) -> None:
    """Write down what inspection found: a report and the digests of the arrays, or the problem."""
    dataset = repository.for_inspection(session, dataset_id)
    if dataset is None or dataset.status != UploadStatus.UPLOADED:
        return  # deleted meanwhile, or recorded by another worker
    dataset.inspection, dataset.rejection = report, problem
    if problem is not None or inputs_sha256 is None:
        dataset.status = UploadStatus.REJECTED
        return
    dataset.inputs_sha256, dataset.labels_sha256 = inputs_sha256, labels_sha256
    dataset.items = len(arrays.open_array(store_of(session).path(inputs_sha256)))
    dataset.status = UploadStatus.READY
