"""The end of a job by kind: what its rows and files add up to."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from app.blobs import service as blobs
from app.certificates import service as certificates
from app.db import store_of
from app.directions import service as directions
from app.jobs import generators, gloro, lipschitz, mining, precheck, prediction, repository
from app.jobs.predicted import MEDIA_TYPES, PART, Predictions
from app.jobs.schemas import SEGMENT
from app.jobs.summary import summarise, warnings_of_paths
from app.networks import service as networks
from app.networks.schemas import Role
from app.storage import Blob
from glocert.errors import GlocertError
from glocert.report_curve import Curve, curve, svg
from glocert.report_lipschitz import summarise as summarise_lipschitz
from glocert.spec_lipschitz import LipschitzRow, LipschitzSpec
from models import Artifact, Job

WHOLE_JOB = -1
MODEL, GENERATOR, ENCODER = "model.onnx", "generator.onnx", "encoder.onnx"
CHECKPOINT = "checkpoint"
"""of a training: for going on with it, no file for users"""


def _segment(session: Session, job: Job) -> None:
    rows = _rows(session, job)
    job.summary = summarise(rows, job.clean_accuracy, job.spec["arithmetic"])
    job.warnings = [*job.warnings, *warnings_of_paths(rows)]
    job.certificate_sha256 = certificates.issue(session, job, rows)


def _lipschitz(session: Session, job: Job) -> None:
    rows, bound = _rows(session, job), _required(job)["bound"]
    spec, read = LipschitzSpec.from_json(job.spec), [LipschitzRow.from_json(row) for row in rows]
    found = summarise_lipschitz(read, spec)
    job.summary = found | {
        "clean_accuracy": job.clean_accuracy,
        "certified_rate": found["certified"] / len(rows),
        "method": spec.method.value,
        "seconds": math.fsum(row.seconds for row in read),
        "bound": bound,
    }
    if detail := found["usefulness"].get("detail"):
        job.warnings = [*job.warnings, f"The certificate is vacuous. {detail}"]
    _draw(session, job, curve(read), spec)
    job.certificate_sha256 = certificates.issue(session, job, rows)


def _draw(session: Session, job: Job, drawn: Curve, spec: LipschitzSpec) -> None:
    """Store the curve of accuracy against the radius, as numbers and as a picture."""
    numbers = json.dumps(drawn.to_json()).encode()
    picture = svg(drawn, spec.epsilons, spec.norm.value).encode()
    for suffix, media_type, content in (
        ("json", "application/json", numbers),
        ("svg", "image/svg+xml", picture),
    ):
        blob = store_of(session).put([content])
        name = f"radius-curve.{suffix}"
        repository.add_file(session, job.id, WHOLE_JOB, name, media_type, blob)


def _precheck(_: Session, job: Job) -> None:
    _required(job)
    job.inputs_done = job.inputs_total


def _wrap(session: Session, job: Job) -> None:
    job.summary = _required(job) | {"artifacts": _made(session, job)}
    job.inputs_done = job.inputs_total


def _training(session: Session, job: Job) -> None:
    found = _required(job)
    files = {file.name: file for file in repository.files(session, job.id, WHOLE_JOB)}
    if MODEL not in files:
        raise GlocertError("The training ended without a model.")
    file = files[MODEL]
    name = job.spec.get("name") or f"gloro {job.spec.get('architecture') or 'fine-tuned'} {job.id[-6:]}"
    begun = None if job.network_id is None else networks.preprocessing_of(session, job.network_id)
    blob = Blob(file.sha256, file.size_bytes)
    network = networks.add_made(session, job.owner, blob, MODEL, name, begun)
    job.summary = found | {"model_id": network.id, "artifacts": _made(session, job)}
    job.inputs_done = job.inputs_total


def _generator(session: Session, job: Job) -> None:
    """Store generator and encoder as models, each with its card and the id of the other."""
    found = dict(_required(job))
    card = found.pop("card", {})
    files = {file.name: file for file in repository.files(session, job.id, WHOLE_JOB)}
    if not {GENERATOR, ENCODER} <= files.keys():
        raise GlocertError("The training ended without a generator and an encoder.")
    name = job.spec.get("name") or f"{job.spec['family']} {job.id[-6:]}"
    titles: dict[Role, tuple[str, str]] = {
        "generator": (GENERATOR, name), "encoder": (ENCODER, f"{name}, encoder"),
    }  # fmt: skip
    made = {}
    for role, (file_name, title) in titles.items():
        file = files[file_name]
        blob, known = Blob(file.sha256, file.size_bytes), card | {"role": role, "job_id": job.id}
        made[role] = networks.add_made(session, job.owner, blob, file_name, title, role=role, card=known)
    ids = {f"{role}_id": network.id for role, network in made.items()}
    for network in made.values():
        network.card = {**(network.card or {}), **ids}
    job.summary = found | ids | {"artifacts": _made(session, job)}
    job.inputs_done = job.inputs_total


def _prediction(session: Session, job: Job) -> None:
    """Join what the units answered, and put one file in the place of their parts."""
    store, files = store_of(session), repository.files(session, job.id, WHOLE_JOB)
    parts = [file for file in files if file.name.startswith(PART)]
    found = Predictions.joined([store.path(part.sha256) for part in parts]) if parts else None
    if found is None or len(found.index) != job.inputs_total:
        raise GlocertError("Answers are missing.")
    kind = job.spec["format"]
    blob = store.put([found.encoded(kind)])
    repository.add_file(session, job.id, WHOLE_JOB, f"predictions.{kind}", MEDIA_TYPES[kind], blob)
    repository.remove_files(session, parts)
    blobs.release_after_commit(session, [part.sha256 for part in parts])
    job.summary = (job.summary or {}) | found.summary() | {"artifacts": _made(session, job)}
    job.clean_accuracy = job.summary["clean_accuracy"]
    job.inputs_done = job.inputs_total


def _mining(session: Session, job: Job) -> None:
    """Keep the directions that were found; without its generator a direction is nothing."""
    found = _required(job)
    if job.network_id is None:
        raise GlocertError("The generator was deleted meanwhile.")
    files = {file.name: file.sha256 for file in repository.files(session, job.id, WHOLE_JOB)}
    kept = directions.add_found(session, job, job.network_id, found["directions"], files)
    job.summary = {
        "directions": [directions.told(one) for one in kept],
        "mode": found["mode"],
        "codes": found["codes"],
        "measures": found["shared"],
        "artifacts": _made(session, job),
    }
    job.inputs_done = job.inputs_total


FINISH: Mapping[str, Callable[[Session, Job], None]] = {
    SEGMENT: _segment,
    lipschitz.KIND: _lipschitz,
    precheck.KIND: _precheck,
    gloro.WRAP: _wrap,
    gloro.TRAINING: _training,
    generators.KIND: _generator,
    prediction.KIND: _prediction,
    mining.KIND: _mining,
}


def _rows(session: Session, job: Job) -> Sequence[dict[str, Any]]:
    results = repository.rows(session, job.id)
    if len(results) != job.inputs_total:
        raise GlocertError(f"{job.inputs_total - len(results)} of {job.inputs_total} results are missing.")
    return [result.row for result in results]


def _required(job: Job) -> dict[str, Any]:
    if job.summary is None:
        raise GlocertError("The job ended without an answer.")
    return job.summary


def _made(session: Session, job: Job) -> list[dict[str, Any]]:
    return [_file(file) for file in repository.files(session, job.id, WHOLE_JOB) if file.name != CHECKPOINT]


def _file(file: Artifact) -> dict[str, Any]:
    return {
        "name": file.name,
        "media_type": file.media_type,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        "href": f"/v1/jobs/{file.job_id}/artifacts/{file.name}",
    }
