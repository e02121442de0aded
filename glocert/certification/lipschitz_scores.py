"""Scores of a batch, and how far their differences may be from those that a certificate is about."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.certification.lipschitz_smooth import enclosed_scores
from glocert.faithful import check_convolutions, check_products
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.lipschitz.execution import LEAD, SINGLE, Ledger
from glocert.lipschitz.magnitudes import Magnitudes
from glocert.paths.items import Float32
from glocert.rounding import UNIT, grow
from glocert.spec_lipschitz import Distance, Execution, LipschitzSpec

_BEYOND = 1 + 2.0**-10
"""a claim that holds no further than an epsilon does not exceed it"""
_FURTHER = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What a batch was answered.

    Attributes:
        values: float64, shape (N, classes).
        slack: l2 distances (shape (..., N), may be infinite) -> by how much a lead must exceed what the
            theorem asks for, so that the statement holds for inputs that are so far away at most; same shape.
        distances: l2 distances at which it is worth asking.
    """

    values: Tensor
    slack: Callable[[Tensor], Tensor]
    distances: tuple[float, ...]

    def best(self, radii: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the largest radii that some slack allows: each holds no further than its slack does.

        Args:
            radii: slack -> radii, shape (N, ...).
        """
        far = torch.tensor(self.distances, dtype=torch.float64, device=self.values.device)
        slacks = self.slack(far[:, None].expand(-1, len(self.values)))
        found = [
            radii(slack).clamp_max(distance) for distance, slack in zip(self.distances, slacks, strict=True)
        ]
        return torch.stack(found).amax(0)


def measured(network: Graph, ledger: Ledger, images: Float32, spec: LipschitzSpec) -> Scores:
    """Run a batch in the arithmetic that is asked for.

    Args:
        network: ends with its scores.
        ledger: of the network.
        images: of the domain, shape (N, *input shape).
        spec: arithmetic, and the distances of interest.

    Raises:
        UnfaithfulArithmetic: libraries multiply with fewer bits than the slack allows for.
    """
    kind = torch.float64 if spec.arithmetic is Execution.REAL else torch.float32
    check_products(kind)
    check_convolutions(kind)
    x = torch.from_numpy(images)
    norms = x.double().flatten(1).norm(dim=1) * grow(x[0].numel())
    if spec.arithmetic is Execution.REAL:
        with torch.inference_mode():
            values, errors = enclosed_scores(network, x.double())
        off = LEAD * ledger.drifts(norms, UNIT, errors)[ledger.output] * grow(4)
        return Scores(values, off.expand_as, (math.inf,))
    with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
        values = run(network, x).flatten(1).double()
    reaches = sorted(in_l2(epsilon, spec.norm, x[0].numel()) for epsilon in spec.epsilons if epsilon > 0)
    distances = (*(reach * _BEYOND for reach in reaches), *(reach * _FURTHER for reach in reaches[-1:]))
    return Scores(values, lambda far: ledger.slack((norms + far) * grow(2), SINGLE), (*distances, math.inf))


def refined(scores: Scores, magnitudes: Magnitudes, images: Float32, rows: Tensor) -> Scores:
    """Run some inputs again, in float64 and with the magnitudes on the way: their slack is much smaller.

    Args:
        scores: of a float32 runtime.
        magnitudes: of the network.
        images: as before.
        rows: positions of those inputs, int64.
    """
    with torch.inference_mode():
        exact, seen = magnitudes.measure(torch.from_numpy(images).double()[rows])
    before = scores.values[rows]
    # Where the answers differ the lead of either is within its error, so nothing is certified.
    same = torch.isfinite(before).all(1) & (before.argmax(1) == exact.argmax(1))
    values = scores.values.clone()
    values[rows] = torch.where(same[:, None], exact, before)

    def slack(far: Tensor) -> Tensor:
        found = scores.slack(far).clone()
        found[..., rows] = torch.where(same, seen.slack(far[..., rows], SINGLE), torch.inf)
        return found

    return Scores(values, slack, scores.distances)


def in_l2(distance: float, norm: Distance, coordinates: int) -> float:
    """Return how far apart in the l2 norm inputs can be that are so far apart in another; rounded up."""
    return distance * math.sqrt(coordinates) * grow(4) if norm is Distance.LINF else distance


def from_l2(radii: Tensor, norm: Distance, coordinates: int) -> Tensor:
    """Return the radius in another norm of a ball that fits into the l2 ball of a radius; rounded down."""
    return radii / (math.sqrt(coordinates) * grow(4)) * (1 - 2 * UNIT) if norm is Distance.LINF else radii
