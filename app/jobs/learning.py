"""Whether data can be learned from, and whether a training stays within the settings."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from app.datasets import arrays
from app.errors import DatasetNotReady
from app.jobs import fitting, subjects
from app.jobs.generators import GeneratorTraining
from app.jobs.gloro import GloroTraining
from app.settings import Settings
from app.storage import BlobStore
from glocert.errors import InvalidSpec, Offence
from models import Dataset, Network, UploadStatus

FEWEST_AXES, MOST_AXES = 2, 3
"""of an image"""
FEWEST_ITEMS = 4
"""of the training of a generator: two to learn from, two that are held out"""
CLASSES = 1000
"""of a training, at most"""


def check(
    body: GloroTraining,
    network: Network | None,
    data: Dataset,
    held_out: Dataset | None,
    settings: Settings,
    store: BlobStore,
) -> None:
    """Compare a training with its data, its beginning and the settings.

    Raises:
        DatasetNotReady: data is not inspected yet, or rejected.
        InvalidSpec: naming everything that does not fit.
    """
    offences = [*_limits(body, settings), *fitting.budget(body.budget, settings)]
    shape, labels = _opened(data, store)
    offences += _labelled(labels, "/dataset_id", needed=network is None)
    if held_out is not None:
        shape_there, labels_there = _opened(held_out, store)
        offences += _labelled(labels_there, "/validation_dataset_id", needed=network is None)
        if shape_there[1:] != shape[1:]:
            detail = f"Its items have shape {list(shape_there[1:])}, those to learn from {list(shape[1:])}."
            offences.append(Offence("/validation_dataset_id", detail))
    if network is None:
        offences += _images(shape)
    else:
        offences += _begun(network, shape, labels)
    if offences:
        raise InvalidSpec(offences[0].detail, offences)


def check_generator(
    body: GeneratorTraining, data: Dataset, target: Dataset | None, settings: Settings, store: BlobStore
) -> None:
    """Compare the training of a generator with its data and the settings.

    Raises:
        DatasetNotReady: data is not inspected yet, or rejected.
        InvalidSpec: naming everything that does not fit.
    """
    offences = [*_generator_limits(body, settings), *fitting.budget(body.budget, settings)]
    shape, _ = _opened(data, store)
    offences += _images(shape, "Give images of rows and columns.")
    if shape[0] < FEWEST_ITEMS:
        offences.append(Offence("/dataset_id", f"At least {FEWEST_ITEMS} items are needed, not {shape[0]}."))
    if target is not None:
        shape_there, _ = _opened(target, store)
        if shape_there[1:] != shape[1:]:
            detail = f"Its items have shape {list(shape_there[1:])}, those to learn from {list(shape[1:])}."
            offences.append(Offence("/target/dataset_id", detail))
    if offences:
        raise InvalidSpec(offences[0].detail, offences)


def _generator_limits(body: GeneratorTraining, settings: Settings) -> Iterator[Offence]:
    width = body.recipe()["width"]
    for name, asked, setting in (
        ("epochs", body.total_epochs, "max_epochs"), ("batch", body.batch, "max_batch"),
        ("latent_dim", body.latent_dim, "max_latent"), ("width", width, "max_width"),
    ):  # fmt: skip
        limit = getattr(settings, setting)
        if asked > limit:
            yield Offence(f"/{name}", f"At most {limit} are allowed (GLOCERT_{setting.upper()}).")


def _limits(body: GloroTraining, settings: Settings) -> Iterator[Offence]:
    for name, limit in (("epochs", settings.max_epochs), ("batch", settings.max_batch)):
        if body.filled(name) > limit:
            yield Offence(f"/{name}", f"At most {limit} are allowed (GLOCERT_MAX_{name.upper()}).")


def _opened(data: Dataset, store: BlobStore) -> tuple[tuple[int, ...], tuple[int, int] | None]:
    """Return the shape of the inputs, and the smallest and the largest label."""
    if data.status != UploadStatus.READY or data.inputs_sha256 is None:
        raise DatasetNotReady(f"The data set is {data.status}.", extra={"rejection": data.rejection})
    shape = arrays.open_array(store.path(data.inputs_sha256)).shape
    if data.labels_sha256 is None:
        return shape, None
    labels = arrays.open_array(store.path(data.labels_sha256))
    return shape, (int(labels.min()), int(labels.max()))


def _labelled(labels: tuple[int, int] | None, where: str, *, needed: bool) -> list[Offence]:
    """Say what is wrong with labels; a model that is there can learn its own answers instead."""
    if labels is None:
        return [Offence(where, "A training from scratch needs labels.")] if needed else []
    if labels[0] < 0 or labels[1] >= CLASSES:
        return [Offence(where, f"Labels must be 0 to {CLASSES - 1}, these are {labels[0]} to {labels[1]}.")]
    return []


def _images(
    shape: tuple[int, ...], way_out: str = "Train from a model of your own: from_model_id."
) -> list[Offence]:
    if FEWEST_AXES <= len(shape) - 1 <= MOST_AXES:
        return []
    detail = f"The architectures take images, the items have shape {list(shape[1:])}."
    return [Offence("/dataset_id", detail, way_out=way_out)]


def _begun(network: Network, shape: tuple[int, ...], labels: tuple[int, int] | None) -> list[Offence]:
    """Say what is wrong with a model to begin with."""
    where = "/from_model_id"
    found = network.inspection or {}
    offences = [
        *fitting.role(network, ["classifier"], where),
        *fitting.admitted(network, "lipschitz", where),
    ]
    taken, classes = found["input"]["shape"], subjects.classes_of(found)
    if prod(taken) != prod(shape[1:]):
        detail = f"Items of shape {list(shape[1:])} do not fit the model's input of shape {taken}."
        offences.append(Offence("/dataset_id", detail))
    if labels is not None and labels[1] >= classes:
        offences.append(Offence("/dataset_id", f"A label is {labels[1]}; the model has {classes} classes."))
    return offences
