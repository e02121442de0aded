"""What a network achieves on labelled inputs: accuracy, VRA, radii; with proven constants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glocert.gloro.samples import Samples
from glocert.graph.ir import Graph
from glocert.lipschitz.execution import SINGLE, ledger
from glocert.lipschitz.magnitudes import Magnitudes
from glocert.lipschitz.network import LipschitzBound, bound
from glocert.lipschitz.radius import radii
from glocert.rounding import UNIT

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Certified figures of one network.

    Attributes:
        proven: its constants.
        label: predicted class of every input, int64, shape (N,).
        right: whether it is the wanted one, shape (N,).
        real: radius that holds for the real function, float64, shape (N,).
        float32: radius that holds for every float32 execution, float64, shape (N,).
    """

    proven: LipschitzBound
    label: Tensor
    right: Tensor
    real: Tensor
    float32: Tensor

    @property
    def accuracy(self) -> float:
        """Share of the inputs that are right."""
        return _share(self.right)

    @property
    def median(self) -> float:
        """Median radius of the right inputs, real arithmetic; 0 where none is right."""
        return self.quantiles()["0.5"]

    def vra(self, epsilon: float, *, real: bool = True) -> float:
        """Return the share of inputs that are right and certified at ``epsilon``."""
        return _share(self.right & (self._radius(real) > epsilon))

    def rejected(self, epsilon: float, *, real: bool = True) -> float:
        """Return the share of inputs that are answered ⊥."""
        return _share(self._radius(real) <= epsilon)

    def wrong(self, epsilon: float, *, real: bool = True) -> float:
        """Return the share of inputs that are certified with a wrong label."""
        return _share(~self.right & (self._radius(real) > epsilon))

    def quantiles(self) -> dict[str, float]:
        """Return quantiles of the radius of the right inputs, real arithmetic."""
        mine = self.real[self.right]
        if not len(mine):
            return {str(share): 0.0 for share in _QUANTILES}
        ordered = mine.sort().values
        return {str(share): float(ordered[math.floor(share * (len(mine) - 1))]) for share in _QUANTILES}

    def to_json(self, epsilons: Sequence[float]) -> dict[str, Any]:
        """Return the figures as plain data, shares at each epsilon."""
        by_arithmetic = {
            name: {
                "vra": {str(epsilon): self.vra(epsilon, real=real) for epsilon in epsilons},
                "rejection_rate": {str(epsilon): self.rejected(epsilon, real=real) for epsilon in epsilons},
                "certified_but_wrong": {str(epsilon): self.wrong(epsilon, real=real) for epsilon in epsilons},
            }
            for name, real in (("real", True), ("float32", False))
        }
        return {
            "inputs": len(self.label),
            "clean_accuracy": self.accuracy,
            "radius_quantiles": self.quantiles(),
            "lipschitz_bound": self.proven.scores,
            **by_arithmetic,
        }

    def _radius(self, real: bool) -> Tensor:
        return self.real if real else self.float32


def outcome(graph: Graph, samples: Samples, epsilon: float) -> Outcome:
    """Measure a network on samples, with proven constants.

    Scores are computed in float64, and what rounding does to them there is charged; for ``float32`` what it
    does to any float32 execution is charged instead.

    Args:
        graph: from raw inputs to scores.
        samples: to measure on.
        epsilon: radius of interest: the float32 error grows with the distance that is covered, so it is
            computed a little above this one and at four times it, and the better claim counts.

    Raises:
        UnsupportedOperators: a node has no Lipschitz constant.
    """
    proven = bound(graph)
    images = samples.images.cpu()
    magnitudes = Magnitudes.of(graph, ledger(graph))
    labels, real, rounded = [], [], []
    for part in torch.split(images, 256):
        with torch.no_grad():
            scores, seen = magnitudes.measure(part.double())
        none = torch.zeros(len(part), dtype=torch.float64)
        exact = radii(scores, proven.pairs, seen.slack(none, UNIT))
        labels.append(exact.label)
        real.append(exact.radius)
        rounded.append(none)
        for distance in (1.01 * epsilon, 4 * epsilon):
            slack = seen.slack(none + distance, SINGLE)
            held = radii(scores, proven.pairs, slack).radius.clamp_max(distance)
            rounded[-1] = torch.maximum(rounded[-1], held)
    label = torch.cat(labels)
    return Outcome(proven, label, label == samples.classes.cpu(), torch.cat(real), torch.cat(rounded))


def _share(chosen: Tensor) -> float:
    return float(chosen.double().mean()) if len(chosen) else 0.0
