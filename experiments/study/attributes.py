"""Attributes of drawn faces as directions of a generator, and how local these directions are.

Ways that all faces share: the mean difference of the codes of pairs; the same, projected into what the
background does not notice; and the step that changes the image as the painter does, background included, in
the sense of least squares. Or every face has its own: the chord from its code to that of its mutant.
What each makes and leaks is measured on faces that it was not made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.study.faces import Look, People
from experiments.study.generators import Generator, Way
from experiments.study.habits import Known, tensors
from glocert.errors import NoDirection
from glocert.generators.decoder import Decoder
from glocert.generators.directions.extent import fitted
from glocert.generators.directions.local import INSIDE, OUTSIDE, localised
from glocert.generators.jacobian import Mask, forms, jacobians
from glocert.generators.measures import measure
from glocert.paths.segment import Segment

PAIRS, SEEN = 128, 32
"""Faces that a mean difference is made from; and those of them whose Jacobians are taken."""
TOUCHED = 0.05
"""Share of the largest mean change of a pixel from which on a pixel belongs to an attribute."""
DAMPING = 1e-3
"""of least squares, as a share of the mean eigenvalue"""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One number of a look.

    Attributes:
        name: of the row, and of the number.
        low: one end of its range.
        high: the other.
        local: whether a part of the face changes and the rest should not.
    """

    name: str
    low: float
    high: float
    local: bool = True

    def far(self, own: np.ndarray) -> np.ndarray:
        """Return for every value, shape (N,), the end of the range that is farther from it."""
        return np.where(2 * own < self.low + self.high, self.high, self.low)


ATTRIBUTES = (
    Attribute("orientation", -1.0, 1.0, local=False),
    Attribute("hair", 0.0, 1.0),
    Attribute("eyes", 0.0, 1.0),
    Attribute("glasses", 0.0, 1.0),
    Attribute("nose", 0.0, 1.0),
)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Faces with one attribute at the low end, in the middle and at the high end.

    Attributes:
        low: float32, shape (N, 3, SIDE, SIDE).
        middle: same shape.
        high: same shape.
    """

    low: Tensor
    middle: Tensor
    high: Tensor

    @classmethod
    def drawn(cls, attribute: Attribute, count: int, rng: np.random.Generator) -> Sample:
        """Draw natural looks of so many people, then set the attribute."""
        known = Known.drawn(count, rng)
        look = known.looks(np.arange(count), rng)
        ends = attribute.low, (attribute.low + attribute.high) / 2, attribute.high
        return cls(*(_with(known.people, look, attribute, value) for value in ends))

    @property
    def change(self) -> Tensor:
        """What the painter changes over the whole range."""
        return self.high - self.low

    def mask(self) -> Mask:
        """Return the pixels that the attribute touches, of an image's shape."""
        change = self.change.abs().mean((0, 1))
        touched = (change >= TOUCHED * change.max()).numpy()
        return np.broadcast_to(touched, self.low.shape[1:])


def _with(people: People, look: Look, attribute: Attribute, value: float) -> Tensor:
    return tensors(people, look.having(**{attribute.name: value}))


@dataclass(frozen=True, slots=True)
class Mined:
    """The directions of one attribute over its whole range.

    Attributes:
        cosine: mean cosine of the pairs with their mean.
        retention: share of the mean that survives the projection; ``None`` of what is global.
        ways: name of the way that it was found -> direction.
    """

    cosine: float
    retention: float | None
    ways: Mapping[str, Way]


def mined(generator: Generator, attribute: Attribute, seen: Sample) -> Mined:
    """Find an attribute's directions in all ways."""
    decoder = Decoder(generator.picture)
    codes = [generator.codes(images) for images in (seen.low, seen.middle, seen.high)]
    found = generator.way(seen.low, seen.high)
    mask = seen.mask() if attribute.local else None
    vectors = {"pairs": found.vector, "matched": _matched(decoder, codes, seen.change)}
    retention = None
    if mask is not None:
        about = torch.cat([some[: SEEN // 2] for some in codes])
        try:
            kept = localised(forms(decoder, about, {INSIDE: mask, OUTSIDE: ~mask}), found.vector)
        except NoDirection:
            retention = 0.0  # nothing of it is left, so there is no projected way
        else:
            retention, vectors["projected"] = kept.retention, kept.vector
    wanted = seen.high[:SEEN].double()
    ways = {}
    for name, vector in vectors.items():
        extent = fitted(decoder, codes[0][:SEEN], vector, wanted, 3 * found.extent)
        ways[name] = Way(vector.numpy(), extent.value, mask)
    return Mined(found.cosine, retention, ways)


def _matched(decoder: Decoder, codes: list[Tensor], change: Tensor) -> Tensor:
    """Return the unit step whose first-order change is nearest to the painter's, at all codes together."""
    size = decoder.dimension
    form, right = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    for some in codes:
        for slopes, wanted in zip(jacobians(decoder, some[:SEEN]), change[:SEEN].double(), strict=True):
            form, right = form + slopes @ slopes.T, right + slopes @ wanted.flatten()
    damped = form + DAMPING * form.trace() / size * torch.eye(size, dtype=torch.float64)
    step = torch.linalg.solve(damped, right)
    return step / step.norm()


def chords(generator: Generator, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """Return the codes of pictures and of their mutants: every face has a direction of its own."""
    return generator.codes(before), generator.codes(after)


def quality(generator: Generator, sample: Sample, stop: Tensor, mask: Mask | None) -> dict[str, Any]:
    """Return how much of the painter's change paths from the low end make, and how much they leak.

    Args:
        generator: of the paths.
        sample: other faces than directions were made from.
        stop: where the paths end, codes, shape (N, d).
        mask: what the attribute touches; ``None`` for everything.

    Returns:
        ``length`` of the paths, mean; ``explained``: ``1 - |G(z') - G(z) - e|^2 / |e|^2`` over all faces, e
        the painter's change; ``leakage``: median of the exact shares along the segments; ``painted``: the
        share of e that is outside the mask; the last two are None without a mask.
    """
    start = generator.codes(sample.low)
    made, wanted = generator.images(stop) - generator.images(start), sample.change.double()
    total = float(wanted.square().sum())
    found: dict[str, Any] = {
        "length": float((stop - start).norm(dim=1).mean()),
        "explained": 1 - float((made - wanted).square().sum()) / total,
    }
    if mask is None:
        return found | {"leakage": None, "painted": None}
    ends = zip(start.numpy(), stop.numpy(), strict=True)
    paths = [Segment(first, last, np.zeros_like(first)) for first, last in ends]
    leaks = [measure(generator.picture, path, mask).leakage for path in paths]
    known = [leak for leak in leaks if leak is not None]
    outside = torch.from_numpy(~mask)
    return found | {
        "leakage": float(np.median(known)) if known else None,
        "painted": float(wanted[:, outside].square().sum()) / total,
    }
