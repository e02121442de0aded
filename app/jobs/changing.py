"""Whether a mutation, and what is asked about it, fits a network and a data set."""

from __future__ import annotations

from app.jobs.mutations import OF_IMAGES, Blend, Box, Chord, Composite, OverlayItem, Translation
from app.jobs.precheck import PrecheckJob
from app.jobs.schemas import SegmentCertification
from app.jobs.subjects import PER_IMAGE, Subject, channels
from app.schemas import Body
from glocert.errors import Offence
from glocert.spec import Mutation
from glocert.spec_law import faults, law_from_json


def certified(body: SegmentCertification, of: Subject) -> list[Offence]:
    """Say what is wrong with a mutation that is certified, with its law, its parameters and its pairs."""
    return [*changed(body, of), *_law(body), *_at_once(body), *_pair(body, of)]


def changed(body: SegmentCertification | PrecheckJob, of: Subject) -> list[Offence]:
    """Say what is wrong with the mutation of a request."""
    mutation = body.mutation
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
    if not body.paired or (image and channels(of) % 2 == 0):
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
