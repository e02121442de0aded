"""A direction from pairs: codes of inputs before and after a mutation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.errors import NoDirection
from glocert.generators.directions.found import unit

_ENOUGH = 64
"""pairs, for a direction that is not of these inputs alone"""
AGREEING = 0.5
"""mean cosine of the differences with their mean, below which they have no direction in common"""


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """The mean way from one code to the other.

    Attributes:
        vector: of length one, shape (d,); its sign is that of the mutation.
        extent: mean distance of the codes along it.
        cosine: mean cosine of the single differences with it: 1 where all agree.
        pairs: how many there were.
        warnings: why it may be no direction.
    """

    vector: Tensor
    extent: float
    cosine: float
    pairs: int
    warnings: tuple[str, ...]


def difference(before: Tensor, after: Tensor) -> Difference:
    """Average the normalised differences of codes.

    Args:
        before: float64, shape (n, d).
        after: same shape.

    Raises:
        NoDirection: no code changes, or the changes cancel.
    """
    change = after - before
    lengths = change.norm(dim=1)
    moving = lengths > 0
    if not moving.any():
        raise NoDirection("The mutation changes no code: the encoder or the generator does not know it.")
    ways = change[moving] / lengths[moving, None]
    mean = ways.mean(0)
    if float(mean.norm()) < 1e-9 or not float((change[moving] @ mean).mean()) > 0:
        raise NoDirection("The codes move in opposite ways: the mean of their differences leads nowhere.")
    vector = unit(mean[None])[0]
    cosine, extent = (float((rows @ vector).mean()) for rows in (ways, change[moving]))
    return Difference(vector, extent, cosine, len(ways), _doubts(len(ways), cosine))


def _doubts(count: int, cosine: float) -> tuple[str, ...]:
    doubts = []
    if 1 < count < _ENOUGH:
        doubts.append(f"The direction rests on {count} pairs; {_ENOUGH} or more would be of use.")
    if cosine < AGREEING:
        doubts.append(
            f"The codes of the pairs move in different ways (mean cosine {cosine:.2f}): one straight "
            "direction does not stand for the mutation."
        )
    return tuple(doubts)


def separation(codes: Tensor, positive: Tensor) -> Tensor:
    """Return the way from the mean of one group to that of the other, of length one.

    Args:
        codes: float64, shape (n, d).
        positive: bool, shape (n,): the group that the direction leads to.

    Raises:
        NoDirection: both means are the same.
    """
    change = codes[positive].mean(0) - codes[~positive].mean(0)
    if float(change.norm()) <= 1e-12 * max(1.0, float(codes.abs().max())):
        raise NoDirection("Both groups have the same mean code: the attribute has no direction here.")
    return unit(change[None])[0]


def accuracy(codes: Tensor, positive: Tensor, vector: Tensor) -> float:
    """Return the balanced accuracy of the best threshold on the projection to a direction."""
    heights = codes @ vector
    order = heights.argsort()
    labels = positive[order].to(torch.float64)
    of_positive, of_negative = labels.cumsum(0) / labels.sum(), (1 - labels).cumsum(0) / (1 - labels).sum()
    # behind the last of several equal heights only, where a threshold can be
    ends = torch.cat([heights[order].diff() > 0, torch.ones(1, dtype=torch.bool)])
    right = (1 + of_negative - of_positive)[ends] / 2
    return max(0.5, float(right.max()))
