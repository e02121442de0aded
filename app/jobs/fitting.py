"""Whether a request, a network and a data set fit together: asked before anything is queued."""

from __future__ import annotations

from collections.abc import Sequence

from app.datasets import arrays
from app.jobs import changing, subjects
from app.jobs.lipschitz import LipschitzCertification, TopKBody
from app.jobs.parts import Inputs
from app.jobs.precheck import PrecheckJob
from app.jobs.prediction import GloroPrediction
from app.jobs.schemas import BandProperty, SegmentCertification, TopKProperty
from app.jobs.subjects import Subject
from app.schemas import Body
from app.settings import Settings
from glocert.errors import InvalidSpec, Offence
from glocert.spec import MOST_RANKED
from models import Network

PREDICTING = ("classifier", "regressor")
MOST_OUTPUTS = 1000
"""of a band, which doubles them"""
Asked = SegmentCertification | PrecheckJob | LipschitzCertification | GloroPrediction


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
        offences = [*role(of.network, PREDICTING), *subjects.size(of), *changing.changed(body, of)]
    elif isinstance(body, GloroPrediction):
        offences = _bounded(of)
    elif isinstance(body, LipschitzCertification):
        offences = [*_bounded(of), *_labels(of, chosen), *_relaxation(body, of)]
    else:
        labelled = not isinstance(body.property, BandProperty) and of.network.role == "classifier"
        offences = [
            *_property(body, of), *_once(body), *admitted(of.network, "segment"),
            *executed(body.arithmetic, of.network), *subjects.shapes(of),
            *(_labels(of, chosen) if labelled else ()), *changing.certified(body, of),
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


def _bounded(of: Subject) -> list[Offence]:
    """Say why a network and its data have no Lipschitz bound."""
    return [*role(of.network, ["classifier"]), *admitted(of.network, "lipschitz"), *subjects.shapes(of)]


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


def budget(asked: Body, settings: Settings) -> list[Offence]:
    """Say which members of a budget are larger than the settings allow."""
    return [
        Offence(f"/budget/{name}", f"At most {settings.max_job_s:g} seconds are allowed.")
        for name, value in asked
        if value is not None and value > settings.max_job_s
    ]


def _unfit(where: str, detail: str) -> InvalidSpec:
    return InvalidSpec(detail, [Offence(where, detail)])
