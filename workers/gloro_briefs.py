"""Commands of units that bound, wrap and train networks."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app.jobs.gloro import NETWORK, RECIPE, WRAP
from app.jobs.prediction import WRAPPED
from app.results import repository as results
from app.settings import Settings
from app.storage import BlobStore
from app.units import making
from app.units.leases import Lease
from models import Dataset, Job, Network, UnitKind
from workers.conversation import Message

LIPSCHITZ = {UnitKind.LIPSCHITZ_BOUND, UnitKind.LIPSCHITZ}


@dataclass(frozen=True, slots=True)
class At:
    """A unit of a job, and everything that its command is made from."""

    session: Session
    job: Job
    lease: Lease
    settings: Settings
    store: BlobStore
    out: Path

    @property
    def network(self) -> Network | None:
        """The job's network, unless it is gone."""
        return self.session.get(Network, self.job.network_id) if self.job.network_id else None

    @property
    def dataset(self) -> Dataset | None:
        """The job's data, unless they are gone."""
        return self.session.get(Dataset, self.job.dataset_id) if self.job.dataset_id else None


def lipschitz(at: At, case: Message) -> Message:
    """Add to a command what is known of the network already."""
    network, dataset = at.network, at.dataset
    assert network is not None
    assert dataset is not None
    if at.lease.kind is UnitKind.LIPSCHITZ_BOUND:
        key = making.bound_key(network, dataset, at.store)
        digest = results.bound(at.session, key)
        case["key"] = key
    else:
        digest = results.whole_job_file(at.session, at.job.id, making.BOUND)
    case["bound"] = None if digest is None else str(at.store.path(digest))
    return case


def wrap(at: At) -> Message | None:
    """Return the command that makes the files of a wrapped network."""
    network = at.network
    if network is None or network.graph_sha256 is None:
        return None
    return {
        "do": at.lease.kind.value,
        "graph": str(at.store.path(network.graph_sha256)),
        "preprocessing": network.preprocessing,
        "spec": at.job.spec if at.job.kind == WRAP else _wrapped_for(at.job.spec),
        "date": at.job.created_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "out": str(at.out),
    }


def _wrapped_for(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a prediction needs of its model: a file for the largest radius that is asked for."""
    return {"epsilon": max(spec["epsilons"]), "formats": ["onnx"]}


def prediction(at: At) -> Message | None:
    """Return the command that answers inputs, with the wrapped file and its manifest in the folder."""
    dataset = at.dataset
    if dataset is None or dataset.inputs_sha256 is None:
        return None
    for name in WRAPPED:
        digest = results.whole_job_file(at.session, at.job.id, name)
        if digest is None:
            return None
        shutil.copyfile(at.store.path(digest), at.out / name)
    inputs, labels = _files(dataset, at.store)
    return {
        "do": at.lease.kind.value,
        "inputs": inputs,
        "labels": labels,
        "indices": at.lease.indices,
        "spec": at.job.spec,
        "out": str(at.out),
    }


def training(at: At) -> Message | None:
    """Return the command that trains, from the last checkpoint where there is one."""
    spec, dataset, network = at.job.spec, at.dataset, at.network
    if dataset is None or dataset.inputs_sha256 is None or (spec["from_model_id"] and network is None):
        return None
    held_out = None
    if spec["validation_dataset_id"]:
        other = at.session.get(Dataset, at.job.validation_dataset_id)
        if other is None:
            return None
        held_out = _files(other, at.store)
    told = begun(at)
    inputs, labels = _files(dataset, at.store)
    members = (*RECIPE, *(NETWORK if network is None else ()))
    return {
        "do": at.lease.kind.value,
        "inputs": inputs,
        "labels": labels,
        "validation": held_out,
        "graph": None if network is None else str(at.store.path(str(network.graph_sha256))),
        "preprocessing": {} if network is None else network.preprocessing,
        "wanted": {name: spec[name] for name in members} | {"share": spec["validation_share"]},
        "epochs": spec["epochs"],
        "told": told,
        "out": str(at.out),
    }


def begun(at: At) -> int:
    """Put the last checkpoint of a training into its folder, where there is one.

    Returns:
        Epochs that are written down: a child that died may have kept a later state than it reported.
    """
    checkpoint = results.whole_job_file(at.session, at.job.id, making.CHECKPOINT)
    if checkpoint is not None:
        shutil.copyfile(at.store.path(checkpoint), at.out / making.CHECKPOINT)
    return results.epochs_written(at.session, at.job.id)


def _files(dataset: Dataset, store: BlobStore) -> tuple[str, str | None]:
    labels = dataset.labels_sha256
    return str(store.path(str(dataset.inputs_sha256))), None if labels is None else str(store.path(labels))
