"""One function per mode of ``direction-mining``: codes in, directions out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glocert.certification.mining_files import Quarry
from glocert.certification.mining_spec import MiningSpec
from glocert.errors import InvalidSpec
from glocert.generators.directions.attribute import attribute
from glocert.generators.directions.bases import complement, restricted
from glocert.generators.directions.extent import fitted, usual
from glocert.generators.directions.formula import ENOUGH, Matched, matched
from glocert.generators.directions.found import Found, form_of, signed
from glocert.generators.directions.local import local_directions
from glocert.generators.directions.overall import global_directions
from glocert.generators.directions.pairs import AGREEING, difference
from glocert.generators.directions.velocity import Motion, motion
from glocert.generators.jacobian import EVERYWHERE, Forms
from glocert.paths.items import Float32, Items
from glocert.paths.request import path as path_of
from glocert.spec import Mutation, Preprocessing

_FARTHEST = 3.0
"""how many times as far as the first order says the extent is looked for"""
_FITS = 0.5
"""unexplained share above which the extent that fits best means nothing"""


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What modes look at.

    Attributes:
        quarry: generator, prior and items.
        spec: the request.
        indices: items to look at; none where codes are drawn.
        codes: of the items, or drawn.
        seen: forms of the image, and of the region and the rest where there is a mask.
        given: directions that nothing is to be found of, float64, shape (k, d).
    """

    quarry: Quarry
    spec: MiningSpec
    indices: Sequence[int]
    codes: Tensor
    seen: Forms
    given: Tensor

    def beside(self, search: Callable[[Forms], Found]) -> Found:
        """Search among the directions that are orthogonal to the given ones."""
        if not len(self.given):
            return search(self.seen)
        basis = complement(self.given)
        found = search(restricted(self.seen, basis))
        return replace(found, vectors=signed(found.vectors @ basis))


@dataclass(frozen=True, slots=True, eq=False)
class Mined:
    """Directions of one mode.

    Attributes:
        found: vectors and energies.
        extents: in latent units; of every direction.
        name: of the mutation, where the mode knows it.
        scale: its unit, and how many of it a latent unit is; likewise.
        measures: how they were found.
        warnings: what the user should know.
    """

    found: Found
    extents: Tensor
    name: str | None = None
    scale: Mapping[str, Any] | None = None
    measures: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def mine(ground: Ground) -> Mined:
    """Return what the mode finds.

    Raises:
        NoDirection: nothing of the kind is there.
        InvalidSpec: request, generator and data do not fit.
    """
    return _MODES[ground.spec.mode](ground)


def _overall(ground: Ground) -> Mined:
    spec = ground.spec
    found = ground.beside(
        lambda seen: global_directions(
            seen.of[EVERYWHERE], spec.count, method=spec.method or "eigen", sparsity=spec.sparsity
        )
    )
    share = float(found.energies.sum() / ground.seen.of[EVERYWHERE].trace())
    return _usual(ground, found, {"energy_share": min(1.0, share)})


def _local(ground: Ground) -> Mined:
    spec = ground.spec
    found = ground.beside(lambda seen: local_directions(seen, spec.count, method=spec.method or "subspace"))
    return _usual(ground, found, {})


def _usual(ground: Ground, found: Found, more: Mapping[str, Any]) -> Mined:
    extents = torch.stack([usual(ground.quarry.prior, vector) for vector in found.vectors])
    return Mined(found, extents, measures={**found.measures, **more}, warnings=found.warnings)


def _pair(ground: Ground) -> Mined:
    """Codes of items, and of the same items at the far end of the mutation."""
    spec, mutation = ground.spec, ground.spec.mutation
    assert mutation is not None
    images = ground.quarry.items(ground.indices)
    ends = [_far_end(mutation, image, ground.quarry.domain) for image in images]
    after, psnr = ground.quarry.codes(ends, spec.steps, spec.seed)
    found = difference(ground.codes, after)
    change = mutation.stop - mutation.start
    measures = {"pairs": found.pairs, "cosine": found.cosine, "psnr_mutated": psnr}
    name: str | None = motion_name(mutation)
    scale: dict[str, Any] | None = {"unit": mutation.unit, "per_latent": change / found.extent}
    if found.cosine < AGREEING:  # then it is not the mutation, and has not its name
        name, scale = None, None
    return _one(ground, found.vector, found.extent, name, scale, measures, found.warnings)


def _derivative(ground: Ground) -> Mined:
    mutation = ground.spec.mutation
    assert mutation is not None
    of = motion(mutation)
    found = matched(ground.quarry.decoder, ground.codes, of)
    change = mutation.stop - of.neutral
    if change == 0:
        raise InvalidSpec("the mutation ends where it begins: give another end")
    vector = found.vector if change > 0 else -found.vector
    extent, told = _reached(ground, vector, found, of, change)
    measures = {
        "explained": found.explained, "explained_apart": found.explained_apart, "cosine": found.cosine,
        "extent": told,
    }  # fmt: skip
    name: str | None = of.name
    scale: dict[str, Any] | None = {"unit": of.unit, "per_latent": change / extent}
    if found.explained < ENOUGH:  # then it is not the mutation, and has not its name
        name, scale = None, None
    return _one(ground, vector, extent, name, scale, measures, found.warnings)


def _reached(
    ground: Ground, vector: Tensor, found: Matched, of: Motion, change: float
) -> tuple[float, dict[str, Any]]:
    """Return how far the mutation's end is: by fitting images, or to first order where none fits."""
    first = abs(change) / found.per_latent
    decoder = ground.quarry.decoder
    wanted = of.to(decoder.images(ground.codes), change)
    best = fitted(decoder, ground.codes, vector, wanted, _FARTHEST * first)
    told = {"first_order": first, "fitted": best.value, "unexplained": best.unexplained}
    useful = best.value > 0 and best.unexplained <= _FITS and not best.at_the_end
    return (best.value if useful else first), told


def _attribute(ground: Ground) -> Mined:
    positive, chosen = _grouped(ground)
    found = attribute(ground.codes[chosen], positive, ground.spec.method or "means", ground.spec.seed)
    measures = {
        "accuracy": found.accuracy, "accuracy_fitted": found.fitted, "negative": found.counts[0],
        "positive": found.counts[1],
    }  # fmt: skip
    extent = found.distance if found.distance > 0 else float(usual(ground.quarry.prior, found.vector))
    return _one(ground, found.vector, extent, None, None, measures, found.warnings)


def _grouped(ground: Ground) -> tuple[Tensor, Tensor]:
    """Return which of the chosen codes have the attribute, and which codes are chosen."""
    groups = ground.spec.groups
    assert groups is not None
    indices = np.array(ground.indices)
    marks = ground.quarry.labels(ground.indices) if groups.by == "label" else indices
    positive = np.isin(marks, groups.positive)
    negative = ~positive if groups.negative is None else np.isin(marks, groups.negative)
    chosen = np.flatnonzero(positive | negative)
    return torch.from_numpy(positive[chosen]), torch.from_numpy(chosen)


def _one(
    ground: Ground,
    vector: Tensor,
    extent: float,
    name: str | None,
    scale: Mapping[str, Any] | None,
    measures: Mapping[str, Any],
    warnings: tuple[str, ...],
) -> Mined:
    rows = vector[None]
    found = Found(rows, form_of(ground.seen.of[EVERYWHERE], rows), None, (True,))
    extents = torch.tensor([extent], dtype=torch.float64)
    return Mined(found, extents, name, scale, measures, warnings)


def _far_end(mutation: Mutation, image: Float32, domain: tuple[float, float]) -> Float32:
    items = Items(image[None], image.shape, Preprocessing(scale=False))
    way = path_of(mutation, image, items=items)
    return np.clip(way.at([1.0]), *domain).astype(np.float32)


def motion_name(mutation: Mutation) -> str:
    """Return what a mutation is called."""
    try:
        return motion(mutation).name
    except InvalidSpec:
        return mutation.type


_MODES: Mapping[str, Callable[[Ground], Mined]] = {
    "global": _overall,
    "local": _local,
    "pair": _pair,
    "derivative": _derivative,
    "attribute": _attribute,
}
