"""An attack that sees scores only: random windows of change, kept where they bring a rival closer.

After Andriushchenko et al., "Square Attack"; in the l2 ball, the window's part of the budget is redrawn and
the whole change is scaled back to the radius.
"""

from __future__ import annotations

import torch
from torch import Tensor

from experiments.attacks.points import Points

_FIRST_SHARE = 0.3


def random_windows(points: Points, generator: torch.Generator, *, queries: int) -> Tensor:
    """Return the worst inputs of a random search at the rim of each ball."""
    away = torch.randn(points.images.shape, generator=generator)
    best = _at_rim(points, away)
    worst = _lead(points, best)
    for query in range(queries):
        share = _FIRST_SHARE * (1 - query / queries) ** 2 + 0.01
        window = _window(points.images.shape[1:], share, generator)
        change = (best - points.images) * (1 - window)
        size = (best - points.images).flatten(1).norm(dim=1).clamp_min(1e-30)
        fresh = torch.randn(points.images.shape, generator=generator).sign() * window
        length = fresh.flatten(1).norm(dim=1).clamp_min(1e-30)
        trial = _at_rim(points, change + fresh * _column(size * share**0.5 / length, fresh))
        lead = _lead(points, trial)
        better = lead < worst
        best = torch.where(_column(better, best), trial, best)
        worst = torch.where(better, lead, worst)
    return best


def _window(shape: torch.Size, share: float, generator: torch.Generator) -> Tensor:
    """Return a square of an image, or a stretch of anything else, that holds about a share of it."""
    inside = torch.zeros(shape)
    if len(shape) != 3:
        size = max(1, round(share * inside.numel()))
        first = int(torch.randint(inside.numel() - size + 1, (), generator=generator))
        inside.view(-1)[first : first + size] = 1.0
        return inside
    side = max(1, round((share * shape[1] * shape[2]) ** 0.5))
    side = min(side, shape[1], shape[2])
    top = int(torch.randint(shape[1] - side + 1, (), generator=generator))
    left = int(torch.randint(shape[2] - side + 1, (), generator=generator))
    inside[:, top : top + side, left : left + side] = 1.0
    return inside


def _at_rim(points: Points, away: Tensor) -> Tensor:
    length = away.flatten(1).norm(dim=1).clamp_min(1e-30)
    return points.projected(points.images + away * _column(2 * points.radius.float() / length, away))


def _lead(points: Points, moved: Tensor) -> Tensor:
    """Return by how much the label leads."""
    with torch.no_grad():
        scores = points.scores(moved)
    rivals = scores.scatter(1, points.label[:, None], -torch.inf)
    return scores.gather(1, points.label[:, None])[:, 0] - rivals.amax(1)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.dim() - 1))
