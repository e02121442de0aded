"""The decision of a wrapped network in torch: what every exported file is compared with.

With scores y, label j, constants K, the slack s of the input (see ``slack``) and the unit roundoff
u = 2**-24 of float32, a radius is

    r = (((y_j - y_i) (1 - 4u) - s) / K_ji) (1 - 8u) - TINY,    the smallest over i != j.

The difference is off by at most a factor 1 + u and the first product by another, so the minuend stays below
the exact lead; subtraction, quotient and product raise the result by at most (1 + u)^3 < 1 / (1 - 8u).
Numbers below the smallest normal one, which a runtime may flush to zero, are covered by TINY, which is part
of s as well. Nothing overflows: scores stay below 2**60 and constants above its inverse. So r is never above
what exact arithmetic gives for the same scores, and s covers how far those are from the exact ones.

The rival is told by its index, the comparison is strict, and what is not finite answers bottom.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from glocert.gloro.artifacts.slack import REACH, TINY
from glocert.gloro.artifacts.wrapped import LARGEST

LEAD = 1 - 2.0**-22
DOWN = 1 - 2.0**-21
BOTTOM = -1
"""Label of an input that is not certified."""

Answer = tuple[Tensor, Tensor, Tensor, Tensor]
"""``logits_bot`` (N, classes + 1), ``label`` (N,) int64, ``certified`` (N,) bool, ``radius`` (N,)."""


def decide(x: Tensor, scores: Tensor, pairs: Tensor, terms: Tensor, epsilon: Tensor) -> Answer:
    """Return what a wrapped network answers.

    Args:
        x: float32, shape (N, ...): raw inputs.
        scores: float32, shape (N, classes).
        pairs: float32, shape (classes, classes).
        terms: float32, shape (4,): of the slack.
        epsilon: float32, one number.
    """
    label = scores.argmax(1)
    column = label.unsqueeze(1)
    top = scores.gather(1, column)
    steep = pairs.index_select(0, label)
    length = x.flatten(1).square().sum(1).sqrt()
    slack = terms[0] + terms[1] * torch.minimum(length + terms[2], terms[3])
    # Sums let NaN and infinity through whatever the runtime; maxima may not.
    known = (length <= REACH) & (scores.abs().sum(1) <= LARGEST)
    known = known & (epsilon >= 0) & (epsilon <= REACH)
    left = (top - scores) * LEAD - slack.unsqueeze(1)
    reach = torch.where(left > 0, left / steep, 0.0).scatter(1, column, math.inf)
    radius = torch.where(known, (reach.amin(1) * DOWN - TINY).clamp(0.0, REACH), 0.0)
    certified = known & (radius > epsilon)
    rival = (scores + epsilon * steep).scatter(1, column, -math.inf).amax(1) + slack
    first = top.squeeze(1)
    above = torch.maximum(rival, first + first.abs().clamp_min(1.0))
    bottom = torch.where(certified, torch.minimum(rival, first), above)
    classes = torch.where(known.unsqueeze(1), scores, -math.inf)
    bottom = torch.where(known, bottom, 0.0)
    both = torch.cat([classes, bottom.unsqueeze(1)], 1)
    return both, torch.where(certified, label, BOTTOM), certified, radius
