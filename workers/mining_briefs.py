"""Commands of units that look for directions."""

from __future__ import annotations

from app.jobs import repository
from app.storage import BlobStore
from models import Dataset, Network
from workers.conversation import Message
from workers.gloro_briefs import At


def mining(at: At) -> Message | None:
    """Return the command that looks for directions, or None when something that it needs is gone."""
    spec, generator, dataset = at.job.spec, at.network, at.dataset
    encoder = None
    if spec["encoder_id"]:
        known = repository.networks(at.session, at.job.id).get("encoder")
        encoder = None if known is None else at.session.get(Network, known)
        if encoder is None:
            return None
    if generator is None or (spec["dataset_id"] and dataset is None):
        return None
    return {
        "do": at.lease.kind.value,
        "generator": _source(generator, at.store),
        "card": generator.card or {},
        "encoder": None if encoder is None else _source(encoder, at.store),
        "data": [None, None] if dataset is None else _files(dataset, at.store),
        "indices": list(at.lease.indices),
        "spec": spec,
        "out": str(at.out),
        "block_bytes": at.settings.block_bytes,
    }


def _source(network: Network, store: BlobStore) -> list[object]:
    return [str(store.path(str(network.graph_sha256))), network.preprocessing]


def _files(dataset: Dataset, store: BlobStore) -> list[str | None]:
    labels = dataset.labels_sha256
    return [str(store.path(str(dataset.inputs_sha256))), None if labels is None else str(store.path(labels))]
