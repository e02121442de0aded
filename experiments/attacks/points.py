"""Certified points under attack, and what counts as a flip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.certification.lipschitz_backward import Backward
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.lipschitz.execution import SINGLE, ledger
from glocert.lipschitz.local import LocalNetwork
from glocert.lipschitz.magnitudes import Magnitudes
from glocert.lipschitz.network import bound
from glocert.lipschitz.radius import radii
from glocert.spec_lipschitz import LipschitzSpec

Scores = Callable[[Tensor], Tensor]
INSIDE = 1 - 1e-6
"""Attacks aim for this share of the radius."""


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Inputs of one network with labels that are claimed to hold.

    Attributes:
        scores: the attacked function, float32, on batches.
        images: float32, shape (N, *input shape).
        label: claimed, int64, shape (N,).
        radius: claimed, float64, shape (N,).
    """

    scores: Scores
    images: Tensor
    label: Tensor
    radius: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, chosen: Tensor) -> Points:
        return Points(self.scores, self.images[chosen], self.label[chosen], self.radius[chosen])

    def flipped(self, moved: Tensor, label: Tensor | None = None) -> Tensor:
        """Return which moved inputs are inside their balls and no longer have the claimed label alone on top.

        Args:
            moved: float32, shape (N, *input shape).
            label: what another execution answered; ``None`` asks ``scores``.
        """
        if label is None:
            with torch.no_grad():
                scores = self.scores(moved)
            own = scores.gather(1, self.label[:, None])
            rivals = scores.scatter(1, self.label[:, None], -torch.inf)
            changed = rivals.amax(1) >= own[:, 0]
        else:
            changed = label != self.label
        return changed & (distance(self.images, moved) <= self.radius)

    def scaled(self, factor: float) -> Points:
        """Return the points with other radii: a factor above one claims too much."""
        return Points(self.scores, self.images, self.label, self.radius * factor)

    def projected(self, moved: Tensor) -> Tensor:
        """Return moved inputs brought back along the way they went, so far that rounding stays inside too."""
        away = (moved.double() - self.images.double()).flatten(1)
        length = away.norm(dim=1, keepdim=True).clamp_min(1e-30)
        rounded = 2.0**-23 * self.images.double().flatten(1).norm(dim=1)
        most = (self.radius * INSIDE - rounded).clamp_min(0.0)[:, None]
        kept = (away * (most / length).clamp_max(1.0)).reshape(moved.shape)
        return (self.images.double() + kept).float()

    def rival(self, place: int) -> Tensor:
        """Return the rival of every point that scores highest but for ``place`` others, shape (N,)."""
        with torch.no_grad():
            scores = self.scores(self.images).scatter(1, self.label[:, None], -torch.inf)
        return scores.argsort(dim=1, descending=True)[:, place]


def distance(first: Tensor, second: Tensor) -> Tensor:
    """Return l2 distances of float32 inputs from above, float64, shape (N,)."""
    apart = (first.double() - second.double()).flatten(1)
    length: Tensor = apart.norm(dim=1) * (1 + (apart.shape[1] + 8) * 2.0**-53)
    return length


def scores_of(graph: Graph) -> Scores:
    """Return the float32 execution of a graph in torch, with its parameters made tensors once."""
    parameters = {name: torch.tensor(array, dtype=torch.float32) for name, array in graph.parameters.items()}
    return lambda x: run(graph, x, parameters)


def certified(graph: Graph, images: Tensor, *, shrink: float = 1.0, rounding: bool = True) -> Points:
    """Return the inputs with a positive radius that holds for every float32 execution.

    Args:
        graph: the network.
        images: float32, shape (N, *input shape).
        shrink: factor of all constants; below one is a planted bug.
        rounding: whether float32 errors are charged; leaving them out is another one.
    """
    pairs, magnitudes = bound(graph).pairs * shrink, Magnitudes.of(graph, ledger(graph))
    labels, reached = [], []
    for part in torch.split(images, 256):
        with torch.no_grad():
            scores, seen = magnitudes.measure(part.double())
        found = radii(scores, pairs)  # no radius with a slack is larger
        if rounding:
            found = radii(scores, pairs, seen.slack(found.radius, SINGLE))
        labels.append(found.label)
        reached.append(found.radius)
    label, radius = torch.cat(labels), torch.cat(reached)
    holds = (radius > 0) & torch.isfinite(radius)
    return Points(scores_of(graph), images[holds], label[holds], radius[holds])


def backed(graph: Graph, images: Tensor, reach: float = 4.0) -> Points:
    """Return the inputs with the radii that backward bounds prove for every float32 execution.

    Args:
        graph: the network.
        images: float32, shape (N, *input shape).
        reach: up to where radii are looked for.
    """
    book = ledger(graph)
    member = Backward.of(graph, book, LocalNetwork.of(graph, book), LipschitzSpec((reach,)))
    assert member is not None
    with torch.no_grad():
        label = torch.cat([run(graph, part).argmax(1) for part in torch.split(images, 256)])
    begin = torch.zeros(len(images), dtype=torch.float64)
    radius = member.improve(images.double(), label, begin, seconds=1e6)
    holds = radius > 0
    return Points(scores_of(graph), images[holds], label[holds], radius[holds])
