"""Radii of questions that allow some confusion: the set of the k best classes, for one k or another.

The set of the k best classes stays on the ball of radius

    r_k = min over j inside, i outside of (score_j - score_i - slack) / K_ji,

for no class inside is overtaken by one outside. An input is certified where that radius is large enough for
some allowed k: any k up to a number, or every k whose best classes lie in one of some groups of labels. The
whole set of classes never changes, so k stays below their number. Inside and outside are told by index: where
the k-th and the next score are equal, the radius is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.lipschitz.radius import reaches


@dataclass(frozen=True, slots=True, eq=False)
class RelaxedRadii:
    """What one forward pass says about a batch, with some confusion allowed.

    Attributes:
        order: int64, shape (N, classes): classes from best to worst.
        sets: float64, shape (N, K): radius on which the set of the k best classes stays, k = 1 ... K; zero
            where k is not allowed.
    """

    order: Tensor
    sets: Tensor

    @property
    def radius(self) -> Tensor:
        """Largest radius of the allowed sets; shape (N,)."""
        return self.sets.amax(dim=1)

    def guaranteed(self, epsilon: float) -> Tensor:
        """Return which sets stay on the closed ball of radius ``epsilon``; bool, shape (N, K)."""
        return self.sets > epsilon

    def robust(self, labels: Tensor, epsilon: float) -> Tensor:
        """Return where the label is among the classes of the largest set that stays; bool, shape (N,)."""
        sizes = torch.arange(1, self.sets.shape[1] + 1)
        loosest = (self.guaranteed(epsilon) * sizes).amax(dim=1)
        place = (self.order == labels[:, None]).double().argmax(dim=1)
        return place < loosest


def top_sets(
    scores: Tensor,
    pairs: Tensor,
    slack: Tensor | float,
    most: int,
    groups: Sequence[Sequence[int]] = (),
) -> RelaxedRadii:
    """Return the radii on which sets of best classes stay.

    Args:
        scores: float64, shape (N, classes).
        pairs: float64, shape (classes, classes) or (N, classes, classes), proven.
        slack: shape (N,) or one number: how far a score difference may be from the exact one.
        most: largest k that is looked at.
        groups: where given, a set counts only where it lies in one of them.
    """
    order = scores.argsort(dim=1, descending=True, stable=True)
    column = torch.as_tensor(slack, dtype=scores.dtype).reshape(-1, 1, 1).expand(len(scores), 1, 1)
    known = torch.isfinite(scores).all(dim=1) & torch.isfinite(column).all(dim=(1, 2))
    member = _members(groups, scores.shape[1])
    parts = []
    for k in range(1, min(most, scores.shape[1] - 1) + 1):
        inside, outside = order[:, :k], order[:, k:]
        steep = _between(pairs, inside, outside)
        reach = reaches(
            scores.gather(1, inside)[:, :, None], scores.gather(1, outside)[:, None], steep, column
        )
        valid = known & ~torch.isnan(steep).any(dim=(1, 2))
        if len(groups):
            valid = valid & member[:, inside].all(dim=2).any(dim=0)
        parts.append(torch.where(valid, reach.amin(dim=(1, 2)), 0.0))
    return RelaxedRadii(order, torch.stack(parts, dim=1))


def _between(pairs: Tensor, inside: Tensor, outside: Tensor) -> Tensor:
    """Return the constants of every class inside with every class outside, shape (N, k, classes - k)."""
    if pairs.dim() == 2:
        return pairs[inside[:, :, None], outside[:, None]]
    rows = torch.arange(len(inside))[:, None, None]
    return pairs[rows, inside[:, :, None], outside[:, None]]


def _members(groups: Sequence[Sequence[int]], classes: int) -> Tensor:
    """Return which class lies in which group, shape (groups, classes)."""
    member = torch.zeros(len(groups), classes, dtype=torch.bool)
    for row, group in zip(member, groups, strict=True):
        row[list(group)] = True
    return member
