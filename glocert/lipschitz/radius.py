"""How far every input of a ball keeps its label, from scores and pair constants; and the bottom score.

The label j of an input holds on the whole open ball of radius

    r = min over i != j of (score_j - score_i - slack) / K_ji,

for no difference ``score_j - score_i`` can fall by more than ``K_ji`` times the distance. ``slack``
covers how far the given scores may be from the exact ones. Rivals are told from the label by their index,
never by their score: a rival of equal score gives radius zero. Everything that is not finite gives radius
zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.rounding import TINY, UNIT

BOTTOM = -1
"""Label of an input that is not certified."""


@dataclass(frozen=True, slots=True, eq=False)
class Radii:
    """What one forward pass says about a batch.

    Attributes:
        label: int64, shape (N,): the first largest score.
        radius: float64, shape (N,), >= 0, rounded down: no input that is closer has another label;
            infinite where no rival can ever overtake.
    """

    label: Tensor
    radius: Tensor

    def certified(self, epsilon: float) -> Tensor:
        """Return which inputs keep their label on the closed ball of radius ``epsilon``; shape (N,).

        Raises:
            ValueError: epsilon is negative or no number.
        """
        if not epsilon >= 0:
            raise ValueError(f"a radius of {epsilon} cannot be asked for")
        return self.radius > epsilon

    def answers(self, epsilon: float) -> Tensor:
        """Return the label where it is certified at ``epsilon``, else ``BOTTOM``; int64, shape (N,)."""
        return torch.where(self.certified(epsilon), self.label, BOTTOM)


def radii(scores: Tensor, pairs: Tensor, slack: Tensor | float = 0.0) -> Radii:
    """Return label and certified radius of every row.

    Args:
        scores: float64, shape (N, classes).
        pairs: float64, shape (classes, classes), proven: ``LipschitzBound.pairs``.
        slack: shape (N,) or one number: bound on how far a score difference may be from the exact one.
    """
    label = scores.argmax(dim=1)
    top = scores.gather(1, label[:, None])
    steep = pairs[label]
    column = _column(slack, scores)
    reach = reaches(top, scores, steep, column).scatter(1, label[:, None], torch.inf)
    known = torch.isfinite(scores).all(dim=1) & ~torch.isnan(steep).any(dim=1)
    known &= torch.isfinite(column).all(dim=1)
    return Radii(label, torch.where(known, reach.amin(dim=1), 0.0))


def reaches(leader: Tensor, rival: Tensor, steep: Tensor, slack: Tensor) -> Tensor:
    """Return how far every leader provably stays ahead of its rival, rounded down; zero where it is not.

    Args:
        leader: float64 scores.
        rival: float64 scores.
        steep: how fast their difference can change at most.
        slack: how far their difference may be from the exact one.
    """
    lead = leader - rival
    lead = lead - 4 * UNIT * (leader.abs() + rival.abs()) - slack - TINY
    reach = lead / steep * (1 - 4 * UNIT) - TINY
    reach = torch.where(lead > 0, reach.clamp_min(0.0), 0.0)
    return torch.where((lead > 0) & (steep == 0), torch.inf, reach)


def _column(slack: Tensor | float, scores: Tensor) -> Tensor:
    """Return the slack as one column."""
    column = torch.as_tensor(slack, dtype=scores.dtype, device=scores.device)
    return column.reshape(-1, 1).expand(len(scores), 1)


def bottom(scores: Tensor, pairs: Tensor, epsilon: float) -> Tensor:
    """Return the score of ⊥, ``max over i != j of score_i + epsilon K_ji``; differentiable, shape (N,)."""
    label = scores.argmax(dim=1)
    rivals = scores + epsilon * pairs[label]
    return rivals.scatter(1, label[:, None], -torch.inf).amax(dim=1)
