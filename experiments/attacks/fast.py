"""An attack that looks for the nearest boundary: linearise, project, go on from there, come back a little.

Source: Croce and Hein, "Minimally distorted Adversarial Examples with a Fast Adaptive Boundary Attack" (FAB),
for the l2 norm and one rival at a time.
"""

from __future__ import annotations

import torch
from torch import Tensor

from experiments.attacks.gradient import margin
from experiments.attacks.points import Points

_BEYOND = 1.05
_BACK = 0.9
_MOST_BIAS = 0.1


def nearest_boundary(points: Points, rival: Tensor, generator: torch.Generator, *, steps: int) -> Tensor:
    """Return the nearest input that is found at which the rival leads; where there is none, the point itself.

    Args:
        points: under attack.
        rival: that is aimed at, int64, shape (N,).
        generator: of the start.
        steps: projections.
    """
    start = points.images
    away = torch.randn(start.shape, generator=generator)
    moved = start + away * _column(points.radius.float() / 20 / _length(away), away)
    best, nearest = start.clone(), torch.full((len(points),), torch.inf)
    for _ in range(steps):
        slope, lead = _linearised(points, moved, rival)
        here = _projected(moved, moved, slope, lead)
        there = _projected(start, moved, slope, lead)
        near, far = _length(here - moved), _length(there - start)
        bias = (near / (near + far).clamp_min(1e-30)).clamp_max(_MOST_BIAS)
        steps_on = moved + _BEYOND * (here - moved)
        steps_from = start + _BEYOND * (there - start)
        moved = steps_on + _column(bias, moved) * (steps_from - steps_on)
        with torch.no_grad():
            crossed = margin(points.scores(moved), points.label, rival) >= 0
        distance = _length(moved - start)
        better = crossed & (distance < nearest)
        best = torch.where(_column(better, best), moved, best)
        nearest = torch.where(better, distance, nearest)
        moved = torch.where(_column(crossed, moved), start + _BACK * (moved - start), moved)
    return best


def _linearised(points: Points, moved: Tensor, rival: Tensor) -> tuple[Tensor, Tensor]:
    """Return the slope of the rival's lead, and the lead."""
    moved = moved.detach().requires_grad_()
    lead = margin(points.scores(moved), points.label, rival)
    (slope,) = torch.autograd.grad(lead.sum(), moved)
    return slope, lead.detach()


def _projected(x: Tensor, moved: Tensor, slope: Tensor, lead: Tensor) -> Tensor:
    """Return the nearest input to x at which the linearised lead is zero."""
    value = lead + ((x - moved) * slope).flatten(1).sum(1)
    share = value / slope.flatten(1).square().sum(1).clamp_min(1e-30)
    return x - _column(share, slope) * slope


def _length(away: Tensor) -> Tensor:
    return away.flatten(1).norm(dim=1).clamp_min(1e-30)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.dim() - 1))
