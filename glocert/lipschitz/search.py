"""How steep a network is seen to be: a lower estimate beside the proven bound, and an alarm.

Pairs of inputs are moved uphill on ``|m(x) - m(y)| / |x - y|``, m being the difference of two scores, from
pairs of data points and from neighbours; slopes at data points count too. Whatever is found is attained, so
it may never exceed the bound: if it does, the bound is wrong, and nothing may be certified with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.graph.ir import Graph
from glocert.graph.run import run

_STEPS = 20
_PAIRS = 6
_RATE = 0.02
_CLOSEST = 1e-6
_ROUNDING = 1e-6


class UnsoundBound(RuntimeError):
    """A pair of inputs exceeds a bound that was called proven."""


@dataclass(frozen=True, slots=True)
class Steepest:
    """The steepest pair of scores that was seen, relative to its constant.

    Attributes:
        leader: class j.
        rival: class i.
        lower: how fast ``score_j - score_i`` was seen to change.
        upper: the proven constant.
    """

    leader: int
    rival: int
    lower: float
    upper: float

    @property
    def ratio(self) -> float:
        """``lower / upper``, at most one; one is a bound that is attained."""
        return self.lower / self.upper if self.upper > 0 else 1.0


def steepest_pair(graph: Graph, pairs: Tensor, points: Tensor) -> Steepest:
    """Search for inputs between which a score difference changes as fast as possible.

    Args:
        graph: the network.
        pairs: float64, shape (classes, classes): the proven constants.
        points: float64, shape (N, *input shape), N >= 1: inputs to begin with.

    Raises:
        UnsoundBound: more was seen than the constants allow.
    """
    begin = points[:_PAIRS]
    scores = _scores(graph, begin)
    leader = scores.argmax(dim=1)
    slopes, rival = _slopes(graph, pairs, begin, leader)
    bound = pairs[leader, rival]
    ratios = torch.where(bound > 0, slopes / bound, 0.0)
    for other in (_neighbours(begin), begin.roll(1, 0)):
        ratios = torch.maximum(ratios, _climb(graph, begin, other, leader, rival, bound))
    best = int(ratios.argmax())
    j, i = int(leader[best]), int(rival[best])
    found = Steepest(j, i, float(ratios[best]) * float(pairs[j, i]), float(pairs[j, i]))
    if not found.ratio <= 1 + _ROUNDING:
        raise UnsoundBound(f"scores {j} and {i} change by {found.lower}, the bound says {found.upper}")
    return found


def _slopes(graph: Graph, pairs: Tensor, points: Tensor, leader: Tensor) -> tuple[Tensor, Tensor]:
    """Return the slope of the steepest score difference at every point, and its rival."""
    x = points.clone().requires_grad_()
    scores = _scores(graph, x)
    rivals = scores.detach().scatter(1, leader[:, None], -torch.inf).topk(min(4, scores.shape[1] - 1)).indices
    found, best = torch.zeros(len(x), dtype=torch.float64), rivals[:, 0]
    for column in rivals.T:
        gap = scores.gather(1, leader[:, None]) - scores.gather(1, column[:, None])
        (slope,) = torch.autograd.grad(gap.sum(), x, retain_graph=True)
        length = slope.flatten(1).norm(dim=1)
        bound, held = pairs[leader, column], pairs[leader, best]
        better = length * held > found * bound
        found, best = torch.where(better, length, found), torch.where(better, column, best)
    return found, best


def _neighbours(points: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    step = torch.randn(points.shape, generator=generator, dtype=torch.float64)
    size = 0.01 * (1 + points.flatten(1).norm(dim=1)) / step.flatten(1).norm(dim=1)
    moved: Tensor = points + step * size.reshape(-1, *[1] * (points.dim() - 1))
    return moved


def _climb(
    graph: Graph, begin: Tensor, other: Tensor, leader: Tensor, rival: Tensor, bound: Tensor
) -> Tensor:
    """Return the largest ratio of change to bound that every pair reached."""
    x, y = begin.clone().requires_grad_(), other.clone().requires_grad_()
    optimiser = torch.optim.Adam([x, y], lr=_RATE * float(begin.abs().mean() + 0.01))
    best = torch.zeros(len(x), dtype=torch.float64)
    for _ in range(_STEPS):
        change = _gap(graph, x, leader, rival) - _gap(graph, y, leader, rival)
        distance = (x - y).flatten(1).norm(dim=1)
        far = distance.detach() > _CLOSEST * (1 + x.detach().flatten(1).norm(dim=1))
        ratio: Tensor = change.abs() / (distance + (~far)) / bound.clamp_min(1e-300)
        best = torch.maximum(best, torch.where(far, ratio.detach(), 0.0))
        x.grad, y.grad = torch.autograd.grad(-ratio[far].sum(), [x, y])
        optimiser.step()
    return best


def _gap(graph: Graph, x: Tensor, leader: Tensor, rival: Tensor) -> Tensor:
    scores = _scores(graph, x)
    gap: Tensor = scores.gather(1, leader[:, None]) - scores.gather(1, rival[:, None])
    return gap.squeeze(1)


def _scores(graph: Graph, x: Tensor) -> Tensor:
    return run(graph, x).flatten(1)
