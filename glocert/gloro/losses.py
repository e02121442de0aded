"""Losses with ⊥: the label must lead by more than the rivals can gain within epsilon.

All are computed from scores ``y`` of shape (N, classes), the table K of pair constants and the radius
epsilon; ``y_bottom = max over i != j of y_i + epsilon K_ji`` with j the predicted class, told by its
index. Labels are classes, int64 of shape (N,), or probabilities of all classes, shape (N, classes).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from glocert.lipschitz.radius import bottom


def cross_entropy(scores: Tensor, labels: Tensor, pairs: Tensor, epsilon: float, _weight: float) -> Tensor:
    """Cross-entropy of the scores with ⊥ as one more class that is never right."""
    extended = torch.cat([scores, bottom(scores, pairs, epsilon)[:, None]], 1)
    if labels.is_floating_point():
        labels = functional.pad(labels, (0, 1))
    return functional.cross_entropy(extended, labels)


def trades_kl(scores: Tensor, labels: Tensor, pairs: Tensor, epsilon: float, weight: float) -> Tensor:
    """Cross-entropy plus ``weight`` times the divergence from the plain to the extended distribution.

    The extended distribution is the plain one times ``1 - p_bottom``, so the divergence is exactly
    ``softplus(y_bottom - logsumexp(y))``.
    """
    excess = bottom(scores, pairs, epsilon) - torch.logsumexp(scores, 1)
    return functional.cross_entropy(scores, labels) + weight * functional.softplus(excess).mean()


def emma(scores: Tensor, labels: Tensor, pairs: Tensor, epsilon: float, _weight: float) -> Tensor:
    """Cross-entropy after every rival has gained what it can within its own attainable radius.

    A rival i is attainable within ``(y_t - y_i) / K_ti``; that share of epsilon, between 0.01 and 1 and taken
    as a constant, is what it gains.
    """
    if labels.is_floating_point():
        labels = labels.argmax(1)
    steep = epsilon * pairs[labels]
    lead = scores.gather(1, labels[:, None]) - scores
    share = (lead / steep.clamp_min(1e-12)).clamp(0.01, 1.0).detach()
    gained = (scores + share * steep).scatter(1, labels[:, None], scores.gather(1, labels[:, None]))
    return functional.cross_entropy(gained, labels)


Loss = Callable[[Tensor, Tensor, Tensor, float, float], Tensor]
LOSSES: Mapping[str, Loss] = {"ce": cross_entropy, "trades-kl": trades_kl, "emma": emma}
"""``f(scores, labels, pairs, epsilon, weight)``."""
