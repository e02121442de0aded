"""Whether a request, a network and a data set fit together: asked before anything is queued."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from app.datasets import arrays
from app.errors import DatasetNotReady, NetworkNotReady
from app.jobs.latent import latents
from app.jobs.lipschitz import LipschitzCertification, TopKBody
from app.jobs.mutations import OF_IMAGES, Blend, Box, Chord, Composite, OverlayItem, Translation
from app.jobs.parts import Inputs
from app.jobs.precheck import PrecheckJob
from app.jobs.prediction import GloroPrediction
from app.jobs.schemas import BandProperty, SegmentCertification, TopKProperty
from app.schemas import Body
from app.settings import Settings
from app.storage import BlobStore
from glocert.errors import InvalidSpec, Offence
from glocert.spec import MOST_RANKED, Mutation
from glocert.spec_law import faults, law_from_json
from models import Dataset, Network, UploadStatus

FLAT, PER_IMAGE = 1, 3
"""Axes of an item."""
PREDICTING = ("classifier", "regressor")
MOST_OUTPUTS = 1000
"""of a band, which doubles them"""
USUAL_CHANNELS = frozenset({1, 3, 4})
Asked = SegmentCertification | PrecheckJob | LipschitzCertification | GloroPrediction


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


def subject(network: Network, dataset: Dataset, store: BlobStore) -> Subject:
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


def indices(body: Asked, of: Subject, settings: Settings) -> list[int]:
    """Return the items that the request means, in order.

    Raises:
        InvalidSpec: an index is not in the data set, or there are more than the settings allow.
    """
    limit = settings.max_predicted if isinstance(body, GloroPrediction) else settings.max_inputs
    most = limit if isinstance(body, PrecheckJob) else None  # it shows how many it looked at
    return chosen(body.inputs, of.items, limit, most)


def chosen(inputs: Inputs, items: int, limit: int, most: int | None = None) -> list[int]:
    """Return the items that are meant, in order.

    Args:
        inputs: of the request.
        items: of the data set.
        limit: of a job.
        most: take no more than so many of those that are not named one by one.

    Raises:
        InvalidSpec: an index is not in the data set, or there are more than the settings allow.
    """
    if inputs.indices is not None:
        found = list(inputs.indices)
        outside = next((place for place, index in enumerate(found) if index >= items), None)
        if outside is not None:
            detail = f"There is no item {found[outside]}: the data set has {items}."
            raise _unfit(f"/inputs/indices/{outside}", detail)
    else:
        found = list(range(min(items, inputs.limit or items)))[:most]
    if len(found) > limit:
        raise _unfit("/inputs", f"A job takes {limit} inputs at most, these are {len(found)}.")
    return found


def check(body: Asked, of: Subject, chosen: list[int], settings: Settings) -> None:
    """Compare request, network and data.

    Raises:
        InvalidSpec: naming everything that does not fit.
    """
    if isinstance(body, PrecheckJob):
        offences = [*role(of.network, PREDICTING), *_size(of), *_mutation(body, of)]
    elif isinstance(body, GloroPrediction):
        offences = [*role(of.network, ["classifier"]), *admitted(of.network, "lipschitz"), *_shapes(of)]
    elif isinstance(body, LipschitzCertification):
        offences = [
            *role(of.network, ["classifier"]), *admitted(of.network, "lipschitz"), *_shapes(of),
            *_labels(of, chosen), *_relaxation(body, of),
        ]  # fmt: skip
    else:
        labelled = not isinstance(body.property, BandProperty) and of.network.role == "classifier"
        offences = [
            *_property(body, of), *_once(body), *admitted(of.network, "segment"), *_executed(body, of),
            *_shapes(of),
            *(_labels(of, chosen) if labelled else ()), *_mutation(body, of), *_law(body), *_at_once(body),
            *_pair(body, of),
        ]  # fmt: skip
    offences += budget(body.budget, settings)
    if offences:
        raise InvalidSpec(offences[0].detail, offences)


def role(network: Network, allowed: Sequence[str], where: str = "/model_id") -> list[Offence]:
    """Say what is wrong with the role of a model."""
    if network.role in allowed:
        return []
    needed = " or ".join(f"a {one}" for one in allowed)
    return [Offence(where, f"The model is a {network.role}, {needed} is needed.")]


def admitted(network: Network, method: str, where: str = "/model_id") -> list[Offence]:
    """Say why a method does not take a model."""
    found = ((network.inspection or {}).get("methods") or {}).get(method) or {}
    if found.get("admitted") != "no":
        return []
    because = found.get("because", "no reason given")
    nodes = [
        Offence(where, f"{node.get('where')}: {node.get('detail')}", operator=node.get("operator", ""))
        for node in found.get("nodes") or ()
    ]
    return [Offence(where, f"The {method} method does not admit the model: {because}"), *nodes]


def _executed(body: SegmentCertification, of: Subject) -> list[Offence]:
    return executed(body.arithmetic, of.network)


def executed(arithmetic: str, network: Network) -> list[Offence]:
    """Say which nodes forbid the arithmetic; inspections of old do not tell, then the unit says it."""
    found = ((network.inspection or {}).get("methods") or {}).get("segment") or {}
    nodes = found.get("unpromised") or ()
    if arithmetic != "float32" or not nodes:
        return []
    where, way_out = "/arithmetic", 'Send "arithmetic": "real".'
    names = ", ".join(sorted({str(node.get("operator")) for node in nodes}))
    detail = f"Float32 runtimes promise no accuracy for {names}, so no certificate can cover all of them."
    return [
        Offence(where, detail, way_out=way_out),
        *(
            Offence(where, f"{node.get('where')}: {node.get('detail')}", node.get("operator", ""), way_out)
            for node in nodes
        ),
    ]


def _property(body: SegmentCertification, of: Subject) -> list[Offence]:
    if isinstance(body.property, TopKProperty):
        return _rank(body, body.property.k, of)
    if not isinstance(body.property, BandProperty):
        if of.network.role != "regressor":
            return role(of.network, ["classifier"])
        detail = "The model is a regressor: its outputs are values, and none of them is a label."
        way_out = 'Send "property": {"type": "band", "width": …}, or upload the model with role=classifier.'
        return [Offence("/property", detail, way_out=way_out)]
    offences = role(of.network, PREDICTING)
    if of.classes > MOST_OUTPUTS:
        detail = f"A band takes {MOST_OUTPUTS} outputs at most, the model has {of.classes}."
        offences.append(Offence("/property", detail))
    if body.margin:
        offences.append(Offence("/margin", "A band has no margin: make it narrower instead."))
    if body.partition:
        offences.append(Offence("/partition", "A band has no labels along the path."))
    return offences


def _rank(body: SegmentCertification, k: int, of: Subject) -> list[Offence]:
    offences = role(of.network, ["classifier"])
    if of.classes > MOST_RANKED:
        detail = f"A rank is certified among {MOST_RANKED} classes at most, the model has {of.classes}."
        offences.append(Offence("/property", detail))
    elif k >= of.classes:
        detail = f"It must be below {of.classes}, the number of classes: else it always holds."
        offences.append(Offence("/property/k", detail))
    if body.partition:
        offences.append(Offence("/partition", "A rank has no labels along the path."))
    return offences


def _once(body: SegmentCertification) -> list[Offence]:
    """Say what an analysis that refines nothing does not find."""
    if body.analysis != "incomplete" or not body.partition:
        return []
    return [Offence("/partition", "An incomplete analysis finds no labels along the path.")]


def _size(of: Subject) -> list[Offence]:
    item, taken = list(of.item_shape), list(of.input_shape)
    if prod(item) == prod(taken):
        return []
    return [Offence("/dataset_id", f"Items of shape {item} do not fit the model's input of shape {taken}.")]


def _shapes(of: Subject) -> list[Offence]:
    item, taken = list(of.item_shape), list(of.input_shape)
    if offences := _size(of):
        return offences
    if not _fits(of.item_shape, of.input_shape, of.network.preprocessing.get("layout", "NCHW")):
        detail = (
            f"Items of shape {item} do not fit the model's input of shape {taken} "
            f"in the layout {of.network.preprocessing.get('layout')}."
        )
        return [Offence("/dataset_id", detail, way_out="Upload the model with another preprocessing.layout.")]
    if _channels_fit(of):
        return []
    return [Offence("/model_id", f"mean and std must have 1 or {_channels(of)} values, one per channel.")]


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
    return counts <= {0, 1, _channels(of)}


def _channels(of: Subject) -> int:
    """Return the channels of an item as the network takes it; data without rows has one per feature."""
    item, taken = of.item_shape, of.input_shape
    if len(item) == FLAT + 1 and item[1] != 1:
        return 1
    if len(taken) == PER_IMAGE:
        return taken[2] if of.network.preprocessing.get("layout") == "NHWC" else taken[0]
    if len(item) == PER_IMAGE:
        return item[2] if item[2] in USUAL_CHANNELS else item[0]
    return 1 if len(taken) == FLAT + 1 and 1 not in taken else prod(item)


def _labels(of: Subject, chosen: Sequence[int]) -> list[Offence]:
    wrong = None if of.labels is None else arrays.label_outside(of.labels, list(chosen), of.classes)
    if wrong is None:
        return []
    index, label = wrong
    return [
        Offence("/dataset_id", f"Row {index} has label {label}; the model has classes 0 to {of.classes - 1}.")
    ]


def _relaxation(body: LipschitzCertification, of: Subject) -> list[Offence]:
    relaxation, last = body.relaxation, of.classes - 1
    if relaxation is None:
        return []
    if isinstance(relaxation, TopKBody):
        if relaxation.top_k <= last:
            return []
        detail = f"top_k is {last} at most: the model has {of.classes} classes."
        return [Offence("/relaxation/top_k", detail)]
    return [
        Offence(f"/relaxation/affinity/{place}", f"The model has classes 0 to {last}.")
        for place, group in enumerate(relaxation.affinity)
        if max(group) > last
    ]


def _mutation(body: SegmentCertification | PrecheckJob, of: Subject) -> list[Offence]:
    mutation = body.mutation
    if isinstance(body, PrecheckJob) and latents(mutation):
        detail = "The cost of mutations through a generator is not estimated."
        return [Offence("/mutation/type", detail, way_out="Start the job itself with a small inputs.limit.")]
    if isinstance(mutation, Box):
        return _box(mutation, of)
    if not isinstance(mutation, Composite):
        return _change(mutation, of, "/mutation")
    offences = [
        Offence(f"/mutation/steps/{at}/from", "A step starts at the image that the one before ends with.",
                way_out='Leave "from" out: only the first step may start elsewhere.')
        for at in mutation.breaks
    ]  # fmt: skip
    for at, step in enumerate(mutation.steps):
        offences += _change(step, of, f"/mutation/steps/{at}")
    return offences


def _box(box: Box, of: Subject) -> list[Offence]:
    where = "/mutation/mutations"
    offences = [
        Offence(f"{where}/{at}/type", "A chord is a path of its own, and not had at once with others.",
                way_out='Use a blend towards the item: "overlay": {"item": …}.')
        for at, one in enumerate(box.mutations) if isinstance(one, Chord)
    ]  # fmt: skip
    detail = "A blur cannot be had at once with another one, or with a motion of the picture."
    offences += [
        Offence(f"{where}/{at}/type", detail, way_out="Use a composite: one after the other.")
        for at in box.misfits
    ]
    for at, one in enumerate(box.mutations):
        offences += _change(one, of, f"{where}/{at}")
    return offences


def _at_once(body: SegmentCertification) -> list[Offence]:
    """Say what is not offered about several parameters."""
    if not isinstance(body.mutation, Box):
        return []
    offences = []
    if body.analysis == "incomplete":
        detail = "An incomplete analysis takes one mutation at a time."
        offences.append(Offence("/analysis", detail, way_out='Send "analysis": "complete".'))
    if body.partition:
        offences.append(Offence("/partition", "Several mutations at once have no labels along one path."))
    if body.law.type != "uniform":
        offences.append(Offence("/law", "Laws are about one parameter, not about several at once."))
    return offences


def _change(mutation: Body | None, of: Subject, where: str) -> list[Offence]:
    """Say what is wrong with one change of the images."""
    item, place = None, where
    if isinstance(mutation, Chord):
        item, place = mutation.item, f"{where}/item"
    elif isinstance(mutation, Blend) and isinstance(mutation.overlay, OverlayItem):
        item, place = mutation.overlay.item, f"{where}/overlay/item"
    if item is not None and item >= of.items:
        return [Offence(place, f"There is no item {item}: the data set has {of.items}.")]
    if isinstance(mutation, OF_IMAGES) and len(of.item_shape) == 1 and len(of.input_shape) == 1:
        return [Offence(f"{where}/type", f"{mutation.type} needs images, the items are flat.")]
    if isinstance(mutation, Translation) and mutation.x == mutation.y == 0:
        return [Offence(where, "A translation by 0 pixels goes nowhere: give x or y.")]
    return []


def _pair(body: SegmentCertification, of: Subject) -> list[Offence]:
    image = PER_IMAGE in {len(of.item_shape), len(of.input_shape)}
    if not body.paired or (image and _channels(of) % 2 == 0):
        return []
    detail = f"Items of shape {list(of.item_shape)} do not hold two images on the channel axis."
    way_out = (
        "Put both into one item: numpy.concatenate([images, references], axis=1) of arrays (n, c, h, w)."
    )
    return [Offence("/paired", detail, way_out=way_out)]


def _law(body: SegmentCertification) -> list[Offence]:
    if body.law.type == "uniform" or isinstance(body.mutation, Box):
        return []
    path = Mutation.from_json(body.mutation.stored())
    found = faults(law_from_json(body.law.model_dump()), path.start, path.stop)
    return [Offence(f"/law{where}", detail) for where, detail in found]


def budget(asked: Body, settings: Settings) -> list[Offence]:
    """Say which members of a budget are larger than the settings allow."""
    return [
        Offence(f"/budget/{name}", f"At most {settings.max_job_s:g} seconds are allowed.")
        for name, value in asked
        if value is not None and value > settings.max_job_s
    ]


def _unfit(where: str, detail: str) -> InvalidSpec:
    return InvalidSpec(detail, [Offence(where, detail)])
