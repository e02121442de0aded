"""Writing down what a unit makes for the whole job: bounds, files, learning curves, checkpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import rfc8785
from sqlalchemy.orm import Session

from app.blobs import service as blobs
from app.datasets import arrays
from app.jobs import service as jobs
from app.results import repository as results
from app.storage import Blob, BlobStore
from app.units.leases import Lease
from app.units.outcomes import File, artifact_row, held_job
from glocert import __version__
from models import Dataset, LipschitzBound, Network

WHOLE_JOB = -1
BOUND, CHECKPOINT = "bound.safetensors", "checkpoint"
BINARY = "application/octet-stream"


def bound_key(network: Network, dataset: Dataset, store: BlobStore) -> str:
    """Return what the constants of a certified function are kept under."""
    assert dataset.inputs_sha256 is not None
    parts = {
        "graph": network.graph_sha256,
        "preprocessing": network.preprocessing,
        "item_shape": list(arrays.open_array(store.path(dataset.inputs_sha256)).shape[1:]),
        "version": __version__,
    }
    return hashlib.sha256(rfc8785.dumps(parts)).hexdigest()


def save_bound(
    session: Session, lease: Lease, key: str, found: tuple[dict[str, Any], Blob] | None, lease_until: Any
) -> None:
    """Keep constants for this job and those to come; ``None``: those that are known already are used.

    Raises:
        LeaseLost: the unit is no longer ours.
    """
    job = held_job(session, lease, lease_until)
    if found is not None:
        results.put_bound(session, key, *found)
    known = session.get_one(LipschitzBound, key, populate_existing=True)
    file = (BOUND, BINARY, Blob(known.sha256, known.size_bytes))
    results.put_artifacts(session, [artifact_row(job.id, WHOLE_JOB, file)])
    jobs.record_made(session, job, {"bound": known.outcome})


def save_made(
    session: Session, lease: Lease, outcome: dict[str, Any], files: Sequence[File], lease_until: Any
) -> None:
    """Write what a unit made: files of the whole job, and what it says of them.

    Raises:
        LeaseLost: the unit is no longer ours.
    """
    job = held_job(session, lease, lease_until)
    results.put_artifacts(session, [artifact_row(job.id, WHOLE_JOB, file) for file in files])
    jobs.record_made(session, job, outcome)


def save_part(session: Session, lease: Lease, file: File, inputs: int, lease_until: Any) -> None:
    """Keep the answers about the inputs of a unit; a second copy takes the place of the first.

    Raises:
        LeaseLost: the unit is no longer ours.
    """
    job = held_job(session, lease, lease_until)
    if results.whole_job_file(session, job.id, file[0]) is None:
        job.inputs_done += inputs
    results.put_artifacts(session, [artifact_row(job.id, WHOLE_JOB, file)])


def save_epoch(session: Session, lease: Lease, number: int, log: dict[str, Any], lease_until: Any) -> None:
    """Write one point of the learning curve.

    Raises:
        LeaseLost: the unit is no longer ours.
    """
    job = held_job(session, lease, lease_until, inputs_done=number)
    results.put_epoch(session, job.id, number, log)


def save_checkpoint(session: Session, lease: Lease, blob: Blob, lease_until: Any) -> None:
    """Keep the state of a training; the one before it goes.

    Raises:
        LeaseLost: the unit is no longer ours.
    """
    save_files(session, lease, [(CHECKPOINT, BINARY, blob)], lease_until)


def save_files(session: Session, lease: Lease, files: Sequence[File], lease_until: Any) -> None:
    """Keep files of a job that goes on; those of the same names before them go.

    Raises:
        LeaseLost: the unit is no longer ours.
    """
    job = held_job(session, lease, lease_until)
    for name, _, blob in files:
        before = results.whole_job_file(session, job.id, name)
        if before is not None and before != blob.sha256:
            blobs.release_after_commit(session, [before])
    results.put_artifacts(session, [artifact_row(job.id, WHOLE_JOB, file) for file in files])
