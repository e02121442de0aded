"""What a child is told: the commands that carry out a unit, built from rows and settings."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from app.results import repository as results
from app.settings import Settings
from app.storage import BlobStore
from app.units import repository
from app.units.leases import Lease
from glocert.graph.limits import SETTINGS
from models import Dataset, Job, Network, UnitKind, now
from workers.conversation import Message
from workers.generator_briefs import generator
from workers.gloro_briefs import LIPSCHITZ, At, lipschitz, prediction, training, wrap
from workers.latent_briefs import latent_sources
from workers.mining_briefs import mining
from workers.notes import ROWS

ROOT = Path(__file__).parents[1]
PICTURE_BYTES = 64 * 2**20
CHECKPOINT_SIZE = 4
"""A checkpoint holds every weight, two moments of each, and the learning curve."""
SYSTEM = (
    "/usr/lib",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/dev/null",
    "/dev/urandom",
)


def command(
    session: Session, lease: Lease, settings: Settings, store: BlobStore, out: Path
) -> Message | None:
    """Return the command that carries out a unit, or None when its subject has been deleted."""
    if lease.kind is UnitKind.INSPECT_NETWORK:
        return _inspect_network(session.get(Network, lease.subject), settings, store, out)
    if lease.kind is UnitKind.INSPECT_DATASET:
        return _inspect_dataset(session.get(Dataset, lease.subject), settings, store, out)
    job = session.get(Job, lease.subject)
    if job is None:
        return None
    at = At(session, job, lease, settings, store, out)
    if lease.kind is UnitKind.GLORO_TRAINING:
        return training(at)
    if lease.kind is UnitKind.GENERATOR_TRAINING:
        return generator(at)
    if lease.kind is UnitKind.GLORO_WRAP:
        return wrap(at)
    if lease.kind is UnitKind.GLORO_PREDICTION:
        return prediction(at)
    if lease.kind is UnitKind.DIRECTION_MINING:
        return mining(at)
    command = _case(at)
    if command is None or lease.kind not in LIPSCHITZ:
        return command
    return lipschitz(at, command)


def prepare(settings: Settings, scratch: Path, device: str) -> Message:
    """Return the command that makes a certification child safe before it opens anything."""
    return {
        "do": "prepare",
        "device": device,
        "threads": threads(settings),
        "read": [str(settings.data_dir / "blobs"), *interpreter_folders()],
        "write": str(scratch),
        "memory_bytes": settings.child_bytes,
        "file_bytes": max(PICTURE_BYTES, CHECKPOINT_SIZE * settings.max_model_bytes),
    }


def threads(settings: Settings) -> int:
    """Return how many threads a child computes with."""
    return settings.child_threads or len(os.sched_getaffinity(0))


def interpreter_folders() -> list[str]:
    """Return what a locked-in child may still read: interpreter, libraries, our code, facts about itself."""
    code = {sys.prefix, sys.base_prefix, str(ROOT / "glocert"), str(ROOT / "workers")}
    return [path for path in (*sorted(code), *SYSTEM) if Path(path).exists()]


def _inspect_network(
    network: Network | None, settings: Settings, store: BlobStore, out: Path
) -> Message | None:
    if network is None:
        return None
    return {
        "do": "inspect-network",
        "path": str(store.path(network.sha256)),
        "out": str(out),
        "format": network.format,
        "input_shape": network.input_shape,
        "output": network.output,
        "purpose": {"role": network.role, "threshold": network.threshold, "decision": network.decision},
        "limits": {limit: getattr(settings, name) for limit, name in SETTINGS.items()},
        **_inspection(settings),
    }


def _inspect_dataset(
    dataset: Dataset | None, settings: Settings, store: BlobStore, out: Path
) -> Message | None:
    if dataset is None:
        return None
    return {
        "do": "inspect-dataset",
        "path": str(store.path(dataset.sha256)),
        "out": str(out),
        "filename": dataset.filename,
        "limits": {
            "items": settings.max_dataset_items,
            "unpacked_bytes": settings.max_dataset_unpacked_bytes,
        },
        **_inspection(settings),
    }


def _inspection(settings: Settings) -> Message:
    largest = 2 * max(settings.max_dataset_unpacked_bytes, settings.max_model_bytes)
    return {
        "read": interpreter_folders(),
        "policy": settings.sandbox,
        "memory_bytes": settings.inspection_bytes,
        "cpu_s": math.ceil(settings.inspection_s),
        "file_bytes": largest,
    }


def _case(at: At) -> Message | None:
    """Return the command of a unit that looks at inputs; those that are answered already are left out."""
    job, store, settings = at.job, at.store, at.settings
    network, dataset = at.network, at.dataset
    if network is None or dataset is None or network.graph_sha256 is None or dataset.inputs_sha256 is None:
        return None
    indices: Sequence[int] = at.lease.indices
    if at.lease.kind in ROWS:
        done = results.answered(at.session, job.id, indices)
        indices = [index for index in indices if index not in done]
    alive = now() - timedelta(seconds=settings.lease_s)
    labels = dataset.labels_sha256
    latent = latent_sources(at)
    if latent is not None and "generator" not in latent:
        return None
    return {
        "do": at.lease.kind.value,
        "graph": str(store.path(network.graph_sha256)),
        "inputs": str(store.path(dataset.inputs_sha256)),
        "labels": None if labels is None else str(store.path(labels)),
        "latent": latent,
        "preprocessing": network.preprocessing,
        "spec": job.spec,
        "role": network.role,
        "workers": max(1, repository.workers_since(at.session, alive)),
        "indices": list(indices),
        "known": []
        if at.lease.kind is not UnitKind.SEGMENT
        else results.partials(at.session, job.id, indices),
        "out": str(at.out),
        "device": "cpu",
        "block_bytes": settings.block_bytes,
        "partial_s": settings.partial_s,
    }
