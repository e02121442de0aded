"""Whether the files of a wrapping and a data set go together: asked before a prediction is queued."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import prod

from app.datasets import arrays
from app.errors import DatasetNotReady
from app.jobs import fitting, gloro
from app.jobs.prediction import MANIFEST, ONNX, GloroPrediction
from app.settings import Settings
from app.storage import BlobStore
from glocert.errors import InvalidSpec, Offence
from models import Artifact, Dataset, Job, JobStatus, UploadStatus


def check(
    body: GloroPrediction,
    job: Job,
    files: Sequence[Artifact],
    dataset: Dataset,
    settings: Settings,
    store: BlobStore,
) -> int:
    """Compare a prediction with the job whose files it asks, and with its data; return how many items it has.

    Raises:
        DatasetNotReady: not inspected yet, or rejected.
        InvalidSpec: naming everything that does not fit.
    """
    if dataset.status != UploadStatus.READY or dataset.inputs_sha256 is None:
        raise DatasetNotReady(f"The data set is {dataset.status}.", extra={"rejection": dataset.rejection})
    items, *shape = arrays.open_array(store.path(dataset.inputs_sha256)).shape
    digests = {file.name: file.sha256 for file in files}
    offences = [*_wrapped(job, digests), *fitting.budget(body.budget, settings)]
    if MANIFEST in digests and not offences:
        taken = json.loads(store.path(digests[MANIFEST]).read_bytes())["input"]["shape"]
        if prod(taken) != prod(shape):
            detail = f"Items of shape {shape} do not fit the wrapped network's input of shape {taken}."
            offences.append(Offence("/dataset_id", detail))
    if offences:
        raise InvalidSpec(offences[0].detail, offences)
    return int(items)


def _wrapped(job: Job, digests: dict[str, str]) -> list[Offence]:
    where = "/wrap_job_id"
    if job.kind != gloro.WRAP:
        detail = f"The job is a {job.kind}, a {gloro.WRAP} is needed."
        return [Offence(where, detail, way_out='Send "model_id" and "epsilons" instead.')]
    if job.status != JobStatus.SUCCEEDED:
        return [Offence(where, f"The job is {job.status}; its files are there when it has succeeded.")]
    if ONNX in digests and MANIFEST in digests:
        return []
    return [Offence(where, "The job wrote no ONNX file.", way_out='Wrap with "formats": ["onnx"].')]
