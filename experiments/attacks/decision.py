"""An attack that sees labels only: along the boundary towards each point, from an input of another label."""

from __future__ import annotations

import torch
from torch import Tensor

from experiments.attacks.points import Points

_HALVINGS = 12


def boundary(points: Points, others: Tensor, generator: torch.Generator, *, steps: int) -> Tensor:
    """Return inputs of another label as near to each point as a walk along the boundary comes.

    Args:
        points: under attack.
        others: inputs to start from, float32, shape (M, *input shape).
        generator: of the walk.
        steps: trials per point.
    """
    moved = _nearest(points, others)
    reach = torch.full((len(points),), 0.1)
    moved = _closer(points, moved)
    for _ in range(steps):
        gap = points.images - moved
        length = gap.flatten(1).norm(dim=1)
        aside = torch.randn(moved.shape, generator=generator)
        aside = aside / _column(aside.flatten(1).norm(dim=1), aside)
        trial = moved + aside * _column(reach * length, aside) + gap * _column(reach / 2, gap)
        found = _wrong(points, trial) & (_length(points, trial) < length)
        moved = torch.where(_column(found, moved), trial, moved)
        reach = torch.where(found, reach * 1.3, reach * 0.95).clamp(1e-4, 0.5)
    return _closer(points, moved)


def _nearest(points: Points, others: Tensor) -> Tensor:
    """Return for every point the nearest of the other inputs that has another label."""
    with torch.no_grad():
        labels = points.scores(others).argmax(1)
    apart = torch.cdist(points.images.flatten(1), others.flatten(1))
    apart = torch.where(points.label[:, None] == labels[None], torch.inf, apart)
    return others[apart.argmin(1)]


def _closer(points: Points, moved: Tensor) -> Tensor:
    """Halve the way between each point and its wrong input, staying wrong."""
    inner = torch.zeros(len(points))
    outer = torch.ones(len(points))
    for _ in range(_HALVINGS):
        middle = (inner + outer) / 2
        wrong = _wrong(points, points.images + _column(middle, moved) * (moved - points.images))
        outer, inner = torch.where(wrong, middle, outer), torch.where(wrong, inner, middle)
    return points.images + _column(outer, moved) * (moved - points.images)


def _wrong(points: Points, moved: Tensor) -> Tensor:
    with torch.no_grad():
        return points.scores(moved).argmax(1) != points.label


def _length(points: Points, moved: Tensor) -> Tensor:
    return (moved - points.images).flatten(1).norm(dim=1)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.dim() - 1))
