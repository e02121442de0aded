"""Sigmoid, tanh and softplus from exp of a negative number, with proven errors.

With ``e = exp(-|x|)`` in (0, 1]: sigmoid is ``1 / (1 + e)`` for x >= 0 and ``e / (1 + e)`` below; softplus
is ``max(x, 0) + log(1 + e)``; ``tanh |x| = -q / (2 + q)`` with ``q = exp(-2 |x|) - 1`` in (-1, 0]. All are
sums and quotients of numbers of one sign, so Enclosed's arithmetic keeps the relative error small.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glocert.elementary.enclosed import Enclosed
from glocert.elementary.exponential import exp, expm1
from glocert.elementary.logarithm import log1p


def logistic(x: Enclosed) -> tuple[Enclosed, Enclosed]:
    """Return ``sigmoid(x)`` and ``sigmoid(-x)``.

    The derivative is their product; on a distance d <= 1 it grows by less than exp(1) < 3 and is never above
    1/4, and no two values are further apart than 1.
    """
    e = exp(-x.value.abs())
    whole = e.shifted(1.0)
    large = Enclosed.exact(torch.ones_like(e.value)) / whole
    small = e / whole
    if isinstance(x.error, Tensor):
        moved = torch.where(x.error <= 1, small.value * 3.001 * x.error, 1.0).clamp(max=1.0)
        moved = torch.where(x.error.isnan(), x.error, moved)
        large = Enclosed.rounded(large.value, large.error + moved, 0)
        small = Enclosed.rounded(small.value, small.error + moved, 0)
    positive = x.value >= 0
    return large.where(positive, small), small.where(positive, large)


def sigmoid(x: Tensor) -> Enclosed:
    """``1 / (1 + exp(-x))``."""
    return logistic(Enclosed.exact(x))[0]


def tanh(x: Tensor) -> Enclosed:
    """``tanh(x)``."""
    q = expm1(-2 * x.abs())
    size = -(q / q.shifted(2.0))
    return Enclosed(size.value * torch.sign(x), size.error)


def softplus(x: Tensor) -> Enclosed:
    """``log(1 + exp(x))``."""
    return log1p(exp(-x.abs())) + Enclosed.exact(x.clamp(min=0))
