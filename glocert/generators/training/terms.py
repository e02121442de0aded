"""The terms of continuity in a loss, whatever the family."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from glocert.generators import continuity
from glocert.generators.continuity import Band, Map, Probe, Probed
from glocert.spec_generator import Continuity

SMALLEST, LARGEST = 0.01, 0.5
"""Steps are drawn between these shares of the spread of the codes, evenly in their logarithm."""
Parts = dict[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A generator under training, as a function of codes in the metric that gains are measured in.

    Attributes:
        learning: with the gradient that a loss learns by.
        plain: with the true derivative.
        network: its module: statistics over the batch are frozen where derivatives are taken.
    """

    learning: Map
    plain: Map
    network: nn.Module


@dataclass(slots=True)
class Terms:
    """Evaluates a generator at a probe and adds up what continuity asks for.

    Attributes:
        wanted: weights, bound, estimator.
        band: about the running mean of the gains.
        progress: share of the run that is over.
        kept: directions that the next power iteration begins with.
    """

    wanted: Continuity
    band: Band = field(init=False)
    progress: float = 0.0
    kept: Tensor | None = None

    def __post_init__(self) -> None:
        self.band = Band(self.wanted.bound)

    def add(self, subject: Subject, probe: Probe, draw: torch.Generator) -> tuple[Probed, Parts]:
        """Return the images of the probe, and the weighted terms by name.

        Args:
            subject: what is trained.
            probe: where.
            draw: of the noise that an estimator needs.
        """
        found = continuity.probed(subject.learning, probe)
        if self.wanted.off:
            return found, {}
        up, low = self.band.terms(self._upper(subject, probe, found.gains, draw), found.gains)
        parts = {"up": up, "low": low, "interpolation": found.residual.square().mean()}
        weights = self.wanted.weights_at(self.progress)
        return found, {name: weight * parts[name] for name, weight in weights.items()}

    def _upper(self, subject: Subject, probe: Probe, differences: Tensor, draw: torch.Generator) -> Tensor:
        """Return the gains that must not be above the band, as the estimator measures them."""
        how, start = self.wanted.estimator, probe.start.detach()
        if how == "difference" or not self.wanted.up:
            return differences
        with frozen(subject.network):
            if how == "jvp":
                return continuity.slopes(subject.plain, start, probe.directions)
            if how == "spectral":
                return self._spectral(subject.plain, start, probe.directions)
            shape = subject.plain(start[:1]).shape[1:]
            noise = torch.randn((len(start), *shape), generator=draw).to(start)
            # |J|_F^2 is d times the mean squared gain over all directions.
            pulled = continuity.pulled(subject.plain, start, noise)
            return continuity.norms(pulled) / math.sqrt(start[0].numel())

    def _spectral(self, plain: Map, start: Tensor, directions: Tensor) -> Tensor:
        if self.kept is not None and self.kept.shape == start.shape:
            directions = self.kept.to(start)
        found, kept = continuity.stretches(plain, start, directions)
        self.kept = kept.cpu()
        return found

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"mean": self.band.mean, "kept": self.kept}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.band.mean, self.kept = state["mean"], state["kept"]


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let normalisations use their running statistics for a while."""
    live = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d) and part.training]
    for part in live:
        part.eval()
    try:
        yield
    finally:
        for part in live:
            part.train()


def steps(count: int, draw: torch.Generator) -> Tensor:
    """Return random lengths of steps for codes whose numbers have a spread of one, shape (count,)."""
    low, high = math.log(SMALLEST), math.log(LARGEST)
    return (low + (high - low) * torch.rand(count, generator=draw)).exp()


def probe(codes: Tensor, others: Tensor, spread: float, draw: torch.Generator) -> Probe:
    """Return a probe: pairs among the codes, gains at points between pairs and at other codes.

    Args:
        codes: an even number of them, shape (2 N, *code).
        others: codes from the prior, shape (M, *code).
        spread: root mean square of a number of a code, in the metric.
        draw: of shares, directions and steps.
    """
    first, second = codes.chunk(2)
    shares = torch.rand(2, len(first), generator=draw).to(codes)
    start = torch.cat([continuity.mixed(first, second, shares[1]), others])
    lengths = steps(len(start), draw).to(codes) * spread
    return Probe(first, second, shares[0], start, continuity.directions_like(start, draw), lengths)
