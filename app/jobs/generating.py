"""Whether generator, encoder, direction and data fit together, and what a latent mutation is in full."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from sqlalchemy.orm import Session

from app.directions import service as directions
from app.errors import NetworkNotReady, NotFound
from app.jobs import fitting, subjects
from app.jobs.latent import Latent, latents
from app.jobs.mutations import Box
from app.jobs.precheck import PrecheckJob
from app.jobs.schemas import SegmentCertification
from app.keys.service import Caller
from app.networks import service as networks
from app.settings import Settings
from glocert.errors import InvalidSpec, Offence
from models import Direction, Network, UploadStatus

GENERATOR, ENCODER = "generator", "encoder"
Mutated = SegmentCertification | PrecheckJob
"""Requests whose mutation may go through a generator."""
_SHARED = ("generator_id", "encoder_id", "anchor", "prior", "spreads", "gates", "encoding")
"""members that latent mutations at once have in common"""
_NAMING = ("direction_id", "direction", "axis")
"""members that say v, of which one is given"""
_AXES = 2
"""of an image"""


@dataclass(frozen=True, slots=True)
class Named:
    """What a latent mutation names, looked up.

    Attributes:
        where: JSON pointer to the mutation.
        asked: as the caller wrote it.
        direction: the row, where an id is given.
        generator: ready.
        encoder: ready, or ``None``.
    """

    where: str
    asked: Latent
    direction: Direction | None
    generator: Network
    encoder: Network | None

    @property
    def vector(self) -> list[float]:
        """v, as given; empty where there is no such axis."""
        if self.direction is not None:
            return list(self.direction.vector)
        if self.asked.axis is None:
            return list(self.asked.direction or ())
        size = self.latent
        place = self.asked.axis + size if self.asked.axis < 0 else self.asked.axis
        return [float(at == place) for at in range(size)] if 0 <= place < size else []

    @property
    def named(self) -> str:
        """Member that says v."""
        return next(name for name in _NAMING if getattr(self.asked, name) is not None)

    @property
    def latent(self) -> int:
        """Numbers of a code."""
        return prod((self.generator.inspection or {})["input"]["shape"])

    @property
    def prior(self) -> str:
        """What the generator's card says of the codes."""
        return str((self.generator.card or {}).get("prior", "normal"))

    def filled(self) -> Latent:
        """Return the mutation with every default filled in."""
        row, length = self.direction, math.hypot(*self.vector)
        usual: dict[str, Any] = {"extent": None, "scale": None, "mask": None}
        if row is not None:
            usual = {name: getattr(row, name) for name in usual}
        given = self.asked.stored()
        prior = {"prior": self.prior, "spreads": (self.generator.card or {}).get("spreads")}
        return Latent.model_validate(
            {name: value for name, value in usual.items() if value is not None}
            | ({"prior": given["prior"]} if given.get("prior") else prior)
            | given
            | {"generator_id": self.generator.id, "direction": [one / length for one in self.vector]}
        )


def resolved(
    session: Session, caller: Caller, body: Mutated, of: subjects.Subject, settings: Settings
) -> tuple[Mutated, dict[str, str]]:
    """Fill in what latent mutations name; return the request, and the networks that it needs: role -> id.

    Raises:
        NotFound: there is no such generator or encoder.
        NetworkNotReady: it is not inspected yet, or rejected.
        InvalidSpec: naming everything that does not fit.
    """
    asked = latents(body.mutation)
    if not asked:
        return body, {}
    named = [_looked_up(session, caller, where, one) for where, one in asked]
    offences = [offence for one in named for offence in _unfit(one, body, of, settings)]
    if isinstance(body.mutation, Box):
        offences += _apart(body.mutation, named)
    if offences:
        raise InvalidSpec(offences[0].detail, offences)
    filled = [one.filled() for one in named]
    mutation: Any = filled[0]
    if isinstance(body.mutation, Box):
        mutation = body.mutation.model_copy(update={"mutations": filled})
    needs = {GENERATOR: named[0].generator.id}
    if named[0].encoder is not None:
        needs[ENCODER] = named[0].encoder.id
    return body.model_copy(update={"mutation": mutation}), needs


def _looked_up(session: Session, caller: Caller, where: str, asked: Latent) -> Named:
    given = [name for name in _NAMING if getattr(asked, name) is not None]
    if len(given) != 1:
        raise _only(f"{where}/direction", "Give one of direction_id, direction and axis.")
    row = None
    if asked.direction_id is not None:
        try:
            row = directions.get(session, caller, asked.direction_id)
        except NotFound as error:
            raise _only(f"{where}/direction_id", error.detail) from error
    generator_id = asked.generator_id or (row.generator_id if row else None)
    if generator_id is None:
        raise _only(f"{where}/generator_id", "A direction without an id needs a generator.")
    if row is not None and row.generator_id != generator_id:
        raise _only(f"{where}/direction_id", "The direction is of another generator.")
    encoder = asked.encoder_id
    return Named(
        where,
        asked,
        row,
        _ready(networks.get(session, caller, generator_id)),
        None if encoder is None else _ready(networks.get(session, caller, encoder)),
    )


def _unfit(one: Named, body: Mutated, of: subjects.Subject, settings: Settings) -> Iterator[Offence]:
    where, asked = one.where, one.asked
    yield from fitting.role(one.generator, [GENERATOR], f"{where}/generator_id")
    yield from fitting.admitted(one.generator, "segment", f"{where}/generator_id")
    if isinstance(body, SegmentCertification):
        yield from fitting.executed(body.arithmetic, one.generator)
    yield from _path(one, settings)
    yield from _spread(one)
    yield from _images(one, of, paired=isinstance(body, SegmentCertification) and body.paired)
    if one.encoder is not None:
        yield from _encoder(one, one.encoder)
    if asked.anchor == "generated" and not asked.gates.keep_label:
        detail = "A path that starts at what the generator makes must start with the right label."
        yield Offence(f"{where}/gates/keep_label", detail, way_out='Send "anchor": "residual".')
    if asked.scale is not None and asked.scale.per_latent == 0:
        yield Offence(f"{where}/scale/per_latent", "A unit of which there are none is no unit.")


def _path(one: Named, settings: Settings) -> Iterator[Offence]:
    """Say what is wrong with direction and extent."""
    where, vector, named = one.where, one.vector, one.named
    if named == "axis" and not vector:
        yield Offence(f"{where}/axis", f"Codes of the generator have {one.latent} numbers, none is there.")
        vector = [1.0]
    elif len(vector) != one.latent:
        detail = f"It has {len(vector)} numbers, codes of the generator have {one.latent}."
        yield Offence(f"{where}/{named}", detail)
    length = math.hypot(*vector)
    if not math.isfinite(length) or length < math.ulp(0.0) * 2**60:
        yield Offence(f"{where}/{named}", "A vector of zeros, or without a finite length, is no direction.")
    if one.latent > settings.max_code:
        detail = f"Codes have {settings.max_code} numbers at most (GLOCERT_MAX_CODE), not {one.latent}."
        yield Offence(f"{where}/generator_id", detail)
    extent = one.asked.extent
    if extent is None and one.direction is not None:
        extent = one.direction.extent
    if extent is None:
        yield Offence(f"{where}/extent", "A direction without an id needs an extent.")
    elif extent == one.asked.start:
        yield Offence(f"{where}/extent", "The path ends where it begins.")


def _spread(one: Named) -> Iterator[Offence]:
    """Say what is wrong with the spreads of the codes."""
    where, given = f"{one.where}/spreads", one.asked.spreads
    if given is None:
        return
    if (one.asked.prior or one.prior) == "uniform":
        yield Offence(
            where, "Uniform codes have no spreads.", way_out='Leave it out, or send "prior": "normal".'
        )
    if len(given) != one.latent:
        yield Offence(where, f"It has {len(given)} numbers, codes of the generator have {one.latent}.")
    if min(given) <= 0:
        yield Offence(where, "Standard deviations are positive.")


def _images(one: Named, of: subjects.Subject, *, paired: bool) -> Iterator[Offence]:
    """Say where generator, mask and data do not fit."""
    made = list(subjects.used((one.generator.inspection or {})["outputs"])["shape"])
    size = prod(of.item_shape) // 2 if paired else prod(of.item_shape)
    if prod(made) != size:
        images = "the first images of the pairs" if paired else "the items"
        detail = f"It makes images of shape {made}, {images} have {size} numbers."
        yield Offence(f"{one.where}/generator_id", detail)
    if one.asked.mask is not None and max(len(of.item_shape), len(of.input_shape)) < _AXES:
        yield Offence(f"{one.where}/mask", "A mask needs images, the items are flat.")


def _encoder(one: Named, encoder: Network) -> Iterator[Offence]:
    where, found = f"{one.where}/encoder_id", encoder.inspection or {}
    yield from fitting.role(encoder, [ENCODER], where)
    coded = prod(subjects.used(found["outputs"])["shape"])
    if coded != one.latent:
        yield Offence(where, f"It makes codes of {coded} numbers, the generator takes {one.latent}.")
    taken = prod(found["input"]["shape"])
    made = prod(subjects.used((one.generator.inspection or {})["outputs"])["shape"])
    if taken != made:
        yield Offence(where, f"It takes {taken} numbers, the generator makes {made}.")


def _apart(box: Box, named: list[Named]) -> Iterator[Offence]:
    """Say which mutations at once do not go together."""
    where = "/mutation/mutations"
    for at, other in enumerate(box.mutations):
        if not isinstance(other, Latent):
            detail = "Latent mutations are had at once with other latent ones only."
            yield Offence(f"{where}/{at}/type", detail)
    first, *rest = (_common(one) for one in named)
    for one, common in zip(named[1:], rest, strict=True):
        for name in (name for name in _SHARED if common[name] != first[name]):
            yield Offence(f"{one.where}/{name}", f"All mutations at once share {name.removesuffix('_id')}.")


def _common(one: Named) -> Mapping[str, Any]:
    members = one.asked.stored()
    return {name: members.get(name) for name in _SHARED} | {"generator_id": one.generator.id}


def _ready(network: Network) -> Network:
    if network.status != UploadStatus.READY or network.inspection is None:
        detail = f"The {network.role} {network.id} is {network.status}."
        raise NetworkNotReady(detail, extra={"rejection": network.rejection})
    return network


def _only(where: str, detail: str) -> InvalidSpec:
    return InvalidSpec(detail, [Offence(where, detail)])
