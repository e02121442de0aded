"""How far to go along a direction: to where the image is the mutated one, and not beyond the prior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from glocert.generators.decoder import Decoder
from glocert.generators.prior import Prior

LOOKS = 41
"""extents of the first look"""
_GOLDEN = (5**0.5 - 1) / 2
_STEPS = 40


@dataclass(frozen=True, slots=True)
class Extent:
    """Where ``G(z + s v)`` fits the mutated images best.

    Attributes:
        value: s, in latent units.
        unexplained: squared distance left, as a share of what it was at s = 0.
        at_the_end: whether the best s is the largest that was looked at.
    """

    value: float
    unexplained: float
    at_the_end: bool


def fitted(decoder: Decoder, codes: Tensor, vector: Tensor, wanted: Tensor, most: float) -> Extent:
    """Find the extent by a grid and a golden section about its best point.

    Args:
        decoder: the generator.
        codes: float64, shape (n, d).
        vector: of length one.
        wanted: the mutated images, shape (n, *image).
        most: largest extent.
    """

    def loss(extent: float) -> float:
        return float((decoder.images(codes + extent * vector) - wanted).square().sum())

    grid = np.linspace(0.0, most, LOOKS)
    losses = [loss(extent) for extent in grid.tolist()]
    best = int(np.argmin(losses))
    low, high = float(grid[max(0, best - 1)]), float(grid[min(LOOKS - 1, best + 1)])
    inner, outer = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_inner, at_outer = loss(inner), loss(outer)
    for _ in range(_STEPS):
        if at_inner <= at_outer:
            high, outer, at_outer = outer, inner, at_inner
            inner = high - _GOLDEN * (high - low)
            at_inner = loss(inner)
        else:
            low, inner, at_inner = inner, outer, at_outer
            outer = low + _GOLDEN * (high - low)
            at_outer = loss(outer)
    value, least = min(((inner, at_inner), (float(grid[best]), losses[best])), key=lambda pair: pair[1])
    return Extent(value, least / losses[0] if losses[0] > 0 else 0.0, best == LOOKS - 1)


@dataclass(frozen=True, slots=True)
class Stay:
    """How long paths stay where the generator was trained.

    Attributes:
        share_inside: share of the codes whose whole path is in the prior's support.
        leaves_at: least t in [0, 1] at which a path leaves it; ``None`` where none does.
    """

    share_inside: float
    leaves_at: float | None

    def to_json(self) -> dict[str, object]:
        """Return the form that a direction's measures show."""
        return {
            "out_of_prior": self.leaves_at is not None,
            "share_inside": self.share_inside,
            "leaves_at": self.leaves_at,
        }


def stay(prior: Prior, codes: Tensor, vector: Tensor, extent: float) -> Stay:
    """Say where ``z + t extent v`` leaves the prior.

    Args:
        prior: of the codes.
        codes: float64, shape (n, d).
        vector: of length one.
        extent: in latent units.
    """
    stops = (codes + extent * vector).numpy()
    left = [prior.left_at(code, stop) for code, stop in zip(codes.numpy(), stops, strict=True)]
    leaving = [t for t in left if t is not None]
    return Stay(1.0 - len(leaving) / len(left), min(leaving, default=None))


def usual(prior: Prior, vector: Tensor) -> Tensor:
    """Return how far a unit vector without a formula goes: two deviations along it, or half of the width."""
    if prior.kind == "uniform" or not prior.spreads:
        return torch.tensor(1.0 if prior.kind == "uniform" else 2.0, dtype=torch.float64)
    along: Tensor = (torch.tensor(prior.spreads, dtype=torch.float64) * vector.double()).norm()
    return 2.0 * along


def segment_points(code: Tensor, vector: Tensor, extent: float, count: int) -> Tensor:
    """Return points of the segment from ``z`` to ``z + extent v``, both ends included, shape (count, d)."""
    shares = torch.linspace(0.0, extent, count, dtype=torch.float64)
    return code + shares[:, None] * vector
