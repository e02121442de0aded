"""A network and a data set that are ready, and whether the items of the one fit the input of the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from app.datasets import arrays
from app.errors import DatasetNotReady, NetworkNotReady
from app.storage import BlobStore
from glocert.errors import Offence
from models import Dataset, Network, UploadStatus

FLAT, PER_IMAGE = 1, 3
"""Axes of an item."""
USUAL_CHANNELS = frozenset({1, 3, 4})


@dataclass(frozen=True, slots=True)
class Subject:
    """A network and a data set that are ready."""

    network: Network
    dataset: Dataset
    items: int
    item_shape: tuple[int, ...]
    input_shape: tuple[int, ...]
    classes: int
    labels: Path | None


def opened(network: Network, dataset: Dataset, store: BlobStore) -> Subject:
    """Open what inspection left.

    Raises:
        NetworkNotReady: not inspected yet, or rejected; the problem says why.
        DatasetNotReady: likewise.
    """
    if network.status != UploadStatus.READY or network.inspection is None:
        raise NetworkNotReady(f"The model is {network.status}.", extra={"rejection": network.rejection})
    if dataset.status != UploadStatus.READY or dataset.inputs_sha256 is None:
        raise DatasetNotReady(f"The data set is {dataset.status}.", extra={"rejection": dataset.rejection})
    stored = arrays.open_array(store.path(dataset.inputs_sha256)).shape
    found = network.inspection
    return Subject(
        network,
        dataset,
        stored[0],
        tuple(stored[1:]),
        tuple(found["input"]["shape"]),
        classes_of(found),
        store.path(dataset.labels_sha256) if dataset.labels_sha256 else None,
    )


def classes_of(found: Mapping[str, Any]) -> int:
    """Return how many scores a network has, from what inspection found."""
    return prod(used(found["outputs"])["shape"])


def used(outputs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the output that was imported; inspections of old listed no other."""
    return next((output for output in outputs if output.get("used")), outputs[0])


def size(of: Subject) -> list[Offence]:
    """Say whether an item has as many numbers as the network takes."""
    item, taken = list(of.item_shape), list(of.input_shape)
    if prod(item) == prod(taken):
        return []
    return [Offence("/dataset_id", f"Items of shape {item} do not fit the model's input of shape {taken}.")]


def shapes(of: Subject) -> list[Offence]:
    """Say whether items, axes and channels are those that the network takes."""
    item, taken = list(of.item_shape), list(of.input_shape)
    if offences := size(of):
        return offences
    if not _fits(of.item_shape, of.input_shape, of.network.preprocessing.get("layout", "NCHW")):
        detail = (
            f"Items of shape {item} do not fit the model's input of shape {taken} "
            f"in the layout {of.network.preprocessing.get('layout')}."
        )
        return [Offence("/dataset_id", detail, way_out="Upload the model with another preprocessing.layout.")]
    if _channels_fit(of):
        return []
    return [Offence("/model_id", f"mean and std must have 1 or {channels(of)} values, one per channel.")]


def _fits(item: tuple[int, ...], taken: tuple[int, ...], layout: str) -> bool:
    """Whether the item's axes are the network's, up to axes of one element and the order of the channels."""
    have, need = [n for n in item if n > 1], [n for n in taken if n > 1]
    if len(need) <= 1 or len(have) <= 1:
        return True  # a flat side takes the elements in order
    if len(have) == PER_IMAGE and len(need) == PER_IMAGE:
        rows = need[:2] if layout == "NHWC" else need[1:]
        channels = need[2] if layout == "NHWC" else need[0]
        return [*rows, channels] == have or [channels, *rows] == have
    return have == need


def _channels_fit(of: Subject) -> bool:
    counts = {len(of.network.preprocessing.get(name) or ()) for name in ("mean", "std")}
    return counts <= {0, 1, channels(of)}


def channels(of: Subject) -> int:
    """Return the channels of an item as the network takes it; data without rows has one per feature."""
    item, taken = of.item_shape, of.input_shape
    if len(item) == FLAT + 1 and item[1] != 1:
        return 1
    if len(taken) == PER_IMAGE:
        return taken[2] if of.network.preprocessing.get("layout") == "NHWC" else taken[0]
    if len(item) == PER_IMAGE:
        return item[2] if item[2] in USUAL_CHANNELS else item[0]
    return 1 if len(taken) == FLAT + 1 and 1 not in taken else prod(item)
