"""All attacks on the certified points of one network, with a count of flips for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.attacks.decision import boundary
from experiments.attacks.fast import nearest_boundary
from experiments.attacks.gradient import adapt, cross_entropy, descend, targeted_ratio
from experiments.attacks.points import Points
from experiments.attacks.rounding import candidates, executions
from experiments.attacks.square import random_windows
from glocert.graph.ir import Graph


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard is tried.

    Attributes:
        steps: of a gradient attack, and trials of the boundary walk.
        restarts: of each gradient attack.
        rivals: that are aimed at, the nearest first.
        trials: of the rounding search per rival.
        queries: of the random search.
    """

    steps: int = 100
    restarts: int = 5
    rivals: int = 9
    trials: int = 20
    queries: int = 1000


Attack = Callable[[Points, Tensor, torch.Generator, Effort], Iterator[Tensor]]
"""``f(points, others, generator, effort)`` yields moved inputs; ``others`` are what a walk starts from."""
ROUNDING = "rounding"
"""the search for flips by rounding alone, which asks several executions"""


def campaign(graph: Graph, points: Points, others: Tensor, effort: Effort, seed: int = 0) -> dict[str, int]:
    """Attack every point; return how many labels each attack flipped.

    Args:
        graph: the network.
        points: with the radii that are claimed.
        others: inputs from which the boundary walk starts.
        effort: how hard is tried.
        seed: of all draws.
    """
    counts: dict[str, int] = {}
    for name in (*ATTACKS, ROUNDING):
        counts |= attacked(graph, points, others, effort, name, seed)
    return counts


def attacked(
    graph: Graph, points: Points, others: Tensor, effort: Effort, name: str, seed: int = 0
) -> dict[str, int]:
    """Run one attack of ``ATTACKS``, or ``ROUNDING``; return flips, of the latter by execution."""
    generator = torch.Generator().manual_seed(seed)
    if name == ROUNDING:
        return _rounded(graph, points, generator, effort)
    hit = torch.zeros(len(points), dtype=torch.bool)
    for moved in ATTACKS[name](points, others, generator, effort):
        hit |= points.flipped(moved)
    return {name: int(hit.sum())}


def _descents(points: Points, _: Tensor, generator: torch.Generator, effort: Effort) -> Iterator[Tensor]:
    for place in range(_rivals(points, effort)):
        rival = points.rival(place)
        for _ in range(effort.restarts):
            yield descend(points, rival, generator, steps=effort.steps)


def _adaptive(points: Points, _: Tensor, generator: torch.Generator, effort: Effort) -> Iterator[Tensor]:
    rival = points.rival(0)
    for _ in range(effort.restarts):
        yield adapt(points, rival, generator, steps=effort.steps, loss=cross_entropy)


def _targeted(points: Points, _: Tensor, generator: torch.Generator, effort: Effort) -> Iterator[Tensor]:
    for place in range(_rivals(points, effort)):
        yield adapt(points, points.rival(place), generator, steps=effort.steps, loss=targeted_ratio)


def _nearest(points: Points, _: Tensor, generator: torch.Generator, effort: Effort) -> Iterator[Tensor]:
    for place in range(_rivals(points, effort)):
        yield nearest_boundary(points, points.rival(place), generator, steps=effort.steps)


def _walk(points: Points, others: Tensor, generator: torch.Generator, effort: Effort) -> Iterator[Tensor]:
    yield boundary(points, others, generator, steps=effort.steps)


def _windows(points: Points, _: Tensor, generator: torch.Generator, effort: Effort) -> Iterator[Tensor]:
    yield random_windows(points, generator, queries=effort.queries)


ATTACKS: Mapping[str, Attack] = {
    "projected gradient": _descents,
    "APGD, cross-entropy": _adaptive,
    "APGD, targeted ratio": _targeted,
    "FAB, targeted": _nearest,
    "boundary walk": _walk,
    "random windows": _windows,
}


def _rounded(graph: Graph, points: Points, generator: torch.Generator, effort: Effort) -> dict[str, int]:
    ways = dict(executions(graph, points))
    hits = {name: torch.zeros(len(points), dtype=torch.bool) for name in ways}
    for moved in candidates(points, generator, trials=effort.trials):
        for name, execute in ways.items():
            hits[name] |= points.flipped(moved, execute(moved))
    return {f"rounding, {name}": int(hit.sum()) for name, hit in hits.items()}


def _rivals(points: Points, effort: Effort) -> int:
    with torch.no_grad():
        classes = points.scores(points.images[:1]).shape[1]
    return min(effort.rivals, classes - 1)
