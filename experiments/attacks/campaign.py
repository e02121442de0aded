"""All attacks on the certified points of one network, with a count of flips for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.attacks.decision import boundary
from experiments.attacks.gradient import adapt, cross_entropy, descend, targeted_ratio
from experiments.attacks.points import Points
from experiments.attacks.rounding import candidates, executions
from glocert.graph.ir import Graph


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard is tried.

    Attributes:
        steps: of a gradient attack, and trials of the boundary walk.
        restarts: of each gradient attack.
        rivals: that are aimed at, the nearest first.
        trials: of the rounding search per rival.
    """

    steps: int = 100
    restarts: int = 10
    rivals: int = 9
    trials: int = 20


def campaign(graph: Graph, points: Points, others: Tensor, effort: Effort, seed: int = 0) -> dict[str, int]:
    """Attack every point; return how many labels each attack flipped.

    Args:
        graph: the network.
        points: with the radii that are claimed.
        others: inputs from which the boundary walk starts.
        effort: how hard is tried.
        seed: of all draws.
    """
    generator = torch.Generator().manual_seed(seed)
    counts = {}
    for name, attempts in (
        ("projected gradient", _descents(points, generator, effort)),
        ("APGD, cross-entropy", _adaptive(points, generator, effort)),
        ("APGD, targeted ratio", _targeted(points, generator, effort)),
        ("boundary walk", iter([boundary(points, others, generator, steps=effort.steps)])),
    ):
        hit = torch.zeros(len(points), dtype=torch.bool)
        for moved in attempts:
            hit |= points.flipped(moved)
        counts[name] = int(hit.sum())
    return counts | _rounded(graph, points, generator, effort)


def _descents(points: Points, generator: torch.Generator, effort: Effort) -> Iterator[Tensor]:
    for place in range(_rivals(points, effort)):
        rival = points.rival(place)
        for _ in range(effort.restarts):
            yield descend(points, rival, generator, steps=effort.steps)


def _adaptive(points: Points, generator: torch.Generator, effort: Effort) -> Iterator[Tensor]:
    rival = points.rival(0)
    for _ in range(effort.restarts):
        yield adapt(points, rival, generator, steps=effort.steps, loss=cross_entropy)


def _targeted(points: Points, generator: torch.Generator, effort: Effort) -> Iterator[Tensor]:
    for place in range(_rivals(points, effort)):
        yield adapt(points, points.rival(place), generator, steps=effort.steps, loss=targeted_ratio)


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
