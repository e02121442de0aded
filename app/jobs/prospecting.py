"""Whether generator, encoder, data and a request for directions fit together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from sqlalchemy.orm import Session

from app.datasets import arrays
from app.directions import service as directions
from app.errors import DatasetNotReady, NotFound
from app.jobs import fitting, subjects
from app.jobs.mining import METHODS, DirectionMining
from app.jobs.mutations import OF_IMAGES, Blend, Blur, Chord, OverlayItem, Translation
from app.keys.service import Caller
from app.settings import Settings
from app.storage import BlobStore
from glocert.errors import InvalidSpec, Offence
from glocert.spec import NEUTRAL
from models import Dataset, Network, UploadStatus

MUTATED = frozenset({"pair", "derivative"})
ONE = MUTATED | {"attribute"}
"""modes that find one direction"""
LOOKING = frozenset({"pair", "attribute"})
"""modes that need inputs"""
FEWEST_AXES = 2
"""of an image"""
FEWEST = 2
"""inputs of a group"""


@dataclass(frozen=True, slots=True)
class Site:
    """What a mining looks at.

    Attributes:
        generator: inspected.
        encoder: inspected, or ``None``.
        latent: numbers of a code.
        image: shape of what the generator makes.
        coded: numbers that the encoder makes.
        item: shape of an item; empty without data.
        items: how many there are.
        labels: where their labels are; ``None`` where there are none.
    """

    generator: Network
    encoder: Network | None
    latent: int
    image: tuple[int, ...]
    coded: int
    item: tuple[int, ...]
    items: int
    labels: Path | None


def site(generator: Network, encoder: Network | None, data: Dataset | None, store: BlobStore) -> Site:
    """Open what inspection left of networks that are ready.

    Raises:
        DatasetNotReady: the data are not inspected yet, or rejected.
    """
    found = generator.inspection or {}
    shape: tuple[int, ...] = ()
    if data is not None:
        if data.status != UploadStatus.READY or data.inputs_sha256 is None:
            raise DatasetNotReady(f"The data set is {data.status}.", extra={"rejection": data.rejection})
        shape = tuple(arrays.open_array(store.path(data.inputs_sha256)).shape)
    labels = None if data is None or data.labels_sha256 is None else store.path(data.labels_sha256)
    coded = 0 if encoder is None else subjects.classes_of(encoder.inspection or {})
    latent = prod(found["input"]["shape"])
    image = tuple(subjects.used(found["outputs"])["shape"])
    return Site(generator, encoder, latent, image, coded, shape[1:], shape[0] if shape else 0, labels)


def indices(body: DirectionMining, of: Site) -> list[int]:
    """Return the items that are looked at, in order; none where codes are drawn.

    Raises:
        InvalidSpec: an index is not in the data set.
    """
    if body.dataset_id is None:
        return []
    chosen = body.inputs.indices
    if chosen is None:
        chosen = list(range(min(of.items, body.inputs.limit or of.items)))
    outside = next((place for place, index in enumerate(chosen) if index >= of.items), None)
    if outside is not None:
        detail = f"There is no item {chosen[outside]}: the data set has {of.items}."
        raise InvalidSpec(detail, [Offence(f"/inputs/indices/{outside}", detail)])
    # of other modes no more codes are of use than slopes are taken at
    return chosen if body.mode in LOOKING else chosen[: body.samples]


def vectors(session: Session, caller: Caller, body: DirectionMining, generator: Network) -> list[list[float]]:
    """Return the vectors that directions must be orthogonal to, those of ids included.

    Raises:
        InvalidSpec: there is no such direction, or it is another generator's.
    """
    found, offences = [], []
    for place, one in enumerate(body.orthogonal_to):
        if not isinstance(one, str):
            found.append(list(one))
            continue
        try:
            direction = directions.get(session, caller, one)
        except NotFound as error:
            offences.append(Offence(f"/orthogonal_to/{place}", error.detail))
            continue
        if direction.generator_id != generator.id:
            detail = f"The direction {one} is of another generator."
            offences.append(Offence(f"/orthogonal_to/{place}", detail))
        found.append(list(direction.vector))
    if offences:
        raise InvalidSpec(offences[0].detail, offences)
    return found


def check(
    body: DirectionMining,
    of: Site,
    chosen: Sequence[int],
    given: Sequence[Sequence[float]],
    settings: Settings,
) -> None:
    """Compare a request with everything that it names.

    Raises:
        InvalidSpec: naming everything that does not fit.
    """
    offences = [
        *fitting.role(of.generator, ["generator"], "/generator_id"), *_encoder(body, of), *_data(body, of),
        *_members(body, of), *_mutation(body, of), *_groups(body, of, chosen), *_given(of, given),
        *_limits(body, of, chosen, settings), *fitting.budget(body.budget, settings),
    ]  # fmt: skip
    if offences:
        raise InvalidSpec(offences[0].detail, offences)


def _encoder(body: DirectionMining, of: Site) -> Iterator[Offence]:
    where = "/encoder_id"
    if of.encoder is None:
        return
    yield from fitting.role(of.encoder, ["encoder"], where)
    if of.coded != of.latent:
        yield Offence(where, f"It makes codes of {of.coded} numbers, the generator takes {of.latent}.")
    taken = prod((of.encoder.inspection or {})["input"]["shape"])
    if taken != prod(of.image):
        yield Offence(where, f"It takes {taken} numbers, the generator makes {prod(of.image)}.")
    if body.dataset_id is None:
        yield Offence(where, "An encoder needs inputs.", way_out="Give dataset_id.")


def _data(body: DirectionMining, of: Site) -> Iterator[Offence]:
    if body.dataset_id is None:
        if body.mode in LOOKING:
            yield Offence("/dataset_id", f"The mode {body.mode} needs inputs.")
        return
    if prod(of.item) != prod(of.image):
        detail = f"Items of shape {list(of.item)} are not what the generator makes, {list(of.image)}."
        yield Offence("/dataset_id", detail)


def _members(body: DirectionMining, of: Site) -> Iterator[Offence]:
    """Say which members do not belong to the mode, or are missing."""
    if body.mode == "local" and body.mask is None:
        yield Offence("/mask", "The mode local needs a mask.", way_out="Or use the mode global.")
    if body.mask is not None and max(len(of.image), len(of.item)) < FEWEST_AXES:
        yield Offence("/mask", f"A mask needs images, the generator makes {list(of.image)}.")
    for member, modes in (("mutation", MUTATED), ("groups", {"attribute"}), ("name", ONE)):
        if getattr(body, member) is not None and body.mode not in modes:
            yield Offence(f"/{member}", f"It is of the mode {' or '.join(sorted(modes))}.")
    if body.mode in MUTATED and body.mutation is None:
        yield Offence("/mutation", f"The mode {body.mode} needs a mutation.")
    if body.mode == "attribute" and body.groups is None:
        yield Offence("/groups", "The mode attribute needs groups of inputs.")
    allowed = METHODS.get(body.mode, ())
    if body.method is not None and body.method not in allowed:
        offered = " or ".join(allowed) or "none"
        yield Offence("/method", f"The mode {body.mode} has the methods: {offered}.")
    if body.sparsity is not None and body.method != "rpca":
        yield Offence("/sparsity", "It is of the method rpca.")


def _mutation(body: DirectionMining, of: Site) -> Iterator[Offence]:
    mutation = body.mutation
    if mutation is None or body.mode not in MUTATED:
        return
    if isinstance(mutation, Chord) or (body.mode == "derivative" and isinstance(mutation, Blend)):
        detail = f"A {mutation.type} leads to another picture and has no direction of its own."
        yield Offence("/mutation/type", detail)
    elif isinstance(mutation, Blend) and isinstance(mutation.overlay, OverlayItem):
        detail = "Items are not at hand here."
        yield Offence("/mutation/overlay", detail, way_out="Give the picture as a PNG.")
    if isinstance(mutation, OF_IMAGES) and max(len(of.image), len(of.item)) < FEWEST_AXES:
        yield Offence(
            "/mutation/type", f"{mutation.type} needs images, the generator makes {list(of.image)}."
        )
    if isinstance(mutation, Translation) and mutation.x == mutation.y == 0:
        yield Offence("/mutation", "A translation by 0 pixels goes nowhere: give x or y.")
    if isinstance(mutation, Translation | Blur):
        return
    neutral = NEUTRAL.get(mutation.type, 0.0)
    if mutation.start != neutral:
        yield Offence("/mutation/from", f"A direction starts at the unchanged image: at {neutral:g}.")
    if mutation.stop == mutation.start:
        yield Offence("/mutation/to", "The mutation ends where it begins.")


def _groups(body: DirectionMining, of: Site, chosen: Sequence[int]) -> Iterator[Offence]:
    groups = body.groups
    if groups is None or body.mode != "attribute" or body.dataset_id is None:
        return
    if groups.by == "label" and of.labels is None:
        yield Offence("/groups/by", "The data set has no labels.", way_out='Use "by": "item".')
        return
    both = set(groups.positive) & set(groups.negative or ())
    if both:
        yield Offence("/groups/negative", f"{min(both)} is in both groups.")
    marks = _marks(of, chosen) if groups.by == "label" else list(chosen)
    positive = set(groups.positive)
    negative = set(marks) - positive if groups.negative is None else set(groups.negative)
    for name, wanted in (("positive", positive), ("negative", negative)):
        if sum(mark in wanted for mark in marks) < FEWEST:
            yield Offence(f"/groups/{name}", "Fewer than two of the inputs that are looked at are in it.")


def _marks(of: Site, chosen: Sequence[int]) -> list[int]:
    assert of.labels is not None
    return [int(label) for label in arrays.open_array(of.labels)[list(chosen)]]


def _given(of: Site, given: Sequence[Sequence[float]]) -> Iterator[Offence]:
    for place, vector in enumerate(given):
        if len(vector) != of.latent:
            detail = f"It has {len(vector)} numbers, codes have {of.latent}."
            yield Offence(f"/orthogonal_to/{place}", detail)
        elif not any(vector):
            yield Offence(f"/orthogonal_to/{place}", "A vector of zeros has no direction.")
    if len(given) >= of.latent:
        yield Offence("/orthogonal_to", "Nothing is left beside them.")


def _limits(body: DirectionMining, of: Site, chosen: Sequence[int], settings: Settings) -> Iterator[Offence]:
    for where, value, limit, name in (
        ("/generator_id", of.latent, settings.max_latent, "max_latent"),
        ("/samples", body.samples * body.neighbours, settings.max_codes, "max_codes"),
        ("/inputs", len(chosen), settings.max_encoded, "max_encoded"),
        ("/count", body.count, settings.max_directions, "max_directions"),
    ):
        if value > limit:
            yield Offence(where, f"At most {limit} are allowed (GLOCERT_{name.upper()}), these are {value}.")
