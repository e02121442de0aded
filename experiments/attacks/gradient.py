"""Attacks that follow gradients: projected descent towards every rival, and its parameter-free variant.

Sources: Madry et al. (projected gradient descent), Croce and Hein (APGD and the loss DLR of AutoAttack).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from experiments.attacks.points import Points

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""``f(scores, label, rival)``: larger is worse for the label, shape (N,)."""


def margin(scores: Tensor, label: Tensor, rival: Tensor) -> Tensor:
    """Return by how much the rival leads."""
    return (scores.gather(1, rival[:, None]) - scores.gather(1, label[:, None]))[:, 0]


def cross_entropy(scores: Tensor, label: Tensor, _rival: Tensor) -> Tensor:
    """Return the cross-entropy of the label."""
    return functional.cross_entropy(scores, label, reduction="none")


def targeted_ratio(scores: Tensor, label: Tensor, rival: Tensor) -> Tensor:
    """Return the lead of the rival over the spread of the highest scores: their scale does not matter."""
    ordered = scores.sort(dim=1, descending=True).values
    last = ordered[:, min(3, ordered.shape[1] - 1)]
    third = ordered[:, min(2, ordered.shape[1] - 1)]
    return margin(scores, label, rival) / (ordered[:, 0] - (third + last) / 2 + 1e-12)


def descend(points: Points, rival: Tensor, generator: torch.Generator, *, steps: int) -> Tensor:
    """Return moved inputs after normalised steps that raise the rival, from a random start in each ball."""
    moved = _started(points, generator)
    reach = points.radius.float() * 2.5 / steps
    for _ in range(steps):
        slope, lead = _slope(points, moved, rival, margin)
        ahead = points.projected(moved + _scaled(slope, reach))
        moved = torch.where(_like(lead >= 0, moved), moved, ahead)
    return moved


def adapt(
    points: Points, rival: Tensor, generator: torch.Generator, *, steps: int, loss: Loss = cross_entropy
) -> Tensor:
    """Return the best inputs of steps with momentum, whose length halves where they stop helping."""
    moved = before = best = _started(points, generator)
    reach = 2 * points.radius.float()
    slope, value = _slope(points, moved, rival, loss)
    top, top_slope, gains, since = value, slope, torch.zeros_like(value), 0
    period = max(1, round(0.22 * steps))
    for step in range(steps):
        ahead = points.projected(moved + _scaled(slope, reach))
        share = 0.75 if step else 1.0
        after = points.projected(moved + share * (ahead - moved) + (1 - share) * (moved - before))
        before, moved = moved, after
        slope, fresh = _slope(points, moved, rival, loss)
        gains += fresh > value
        value = fresh
        better = value > top
        top = torch.where(better, value, top)
        best = torch.where(_like(better, best), moved, best)
        top_slope = torch.where(_like(better, slope), slope, top_slope)
        since += 1
        if since == period:
            slack = gains < 0.75 * period
            reach = torch.where(slack, reach / 2, reach)
            moved = torch.where(_like(slack, moved), best, moved)
            slope = torch.where(_like(slack, slope), top_slope, slope)
            gains, since = torch.zeros_like(gains), 0
            period = max(period - max(1, round(0.03 * steps)), max(1, round(0.06 * steps)))
    return best


def _started(points: Points, generator: torch.Generator) -> Tensor:
    away = torch.randn(points.images.shape, generator=generator)
    share = torch.rand(len(points), generator=generator)
    return points.projected(points.images + _scaled(away, points.radius.float() * share))


def _slope(points: Points, moved: Tensor, rival: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
    moved = moved.detach().requires_grad_()
    value = loss(points.scores(moved), points.label, rival)
    (slope,) = torch.autograd.grad(value.sum(), moved)
    return slope, value.detach()


def _scaled(away: Tensor, length: Tensor) -> Tensor:
    """Return every row with the given length."""
    flat = away.flatten(1)
    unit = flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-30)
    return (unit * length[:, None]).reshape(away.shape)


def _like(chosen: Tensor, wide: Tensor) -> Tensor:
    return chosen.reshape(-1, *[1] * (wide.dim() - 1))
