"""What codes a generator was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glocert.paths.segment import Float64

_BEYOND = 3.0
"""by which a code may be longer than the root of its dimension, where its numbers are normal"""


@dataclass(frozen=True, slots=True)
class Prior:
    """The law of a generator's codes, every number of them for itself.

    Attributes:
        kind: ``normal``, or ``uniform`` on [-1, 1].
        spreads: standard deviations of normal codes, one per number; none: all are 1.
    """

    kind: str
    spreads: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in {"normal", "uniform"}:
            raise ValueError(f"no prior {self.kind!r}")
        if self.spreads and (self.kind == "uniform" or not all(0 < one < inf for one in self.spreads)):
            raise ValueError("spreads are of a normal prior, and positive")

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> Prior:
        """Return what a generator's card says."""
        return cls(str(card.get("prior") or "normal"), tuple(map(float, card.get("spreads") or ())))

    def sample(self, count: int, dimension: int, random: np.random.Generator) -> Float64:
        """Draw codes, shape (count, dimension)."""
        shape = count, dimension
        if self.kind == "uniform":
            return random.uniform(-1.0, 1.0, shape)
        return random.standard_normal(shape) * self._spreads(dimension)

    def reach(self, dimension: int) -> float:
        """Return how long normal codes, over their spreads, may be and count as inside: ``sqrt(d) + 3``."""
        return sqrt(dimension) + _BEYOND

    def projected(self, codes: Tensor) -> Tensor:
        """Return codes inside the support, shape (rows, dimension) as before: normal ones drawn to zero."""
        if self.kind == "uniform":
            return codes.clamp(-1.0, 1.0)
        length = self._even(codes).norm(dim=1, keepdim=True).clamp_min(1e-300)
        shrink: Tensor = (self.reach(codes.shape[1]) / length).clamp_max(1.0)
        return codes * shrink

    def penalty(self, codes: Tensor) -> Tensor:
        """Return how unlikely codes are, per number; 0 for all inside a uniform prior."""
        return self._even(codes).square().mean(1) if self.kind == "normal" else torch.zeros_like(codes[:, 0])

    def left_at(self, start: Float64, stop: Float64) -> float | None:
        """Return the first t at which ``start + t (stop - start)`` is outside, None where it stays inside.

        In float64: a measure, not a proof.
        """
        change = stop - start
        if self.kind == "uniform":
            return _first_beyond(start, change)
        spreads = self._spreads(start.size)
        start, change = start / spreads, change / spreads
        a, b = float(change @ change), float(start @ change)
        c = float(start @ start) - self.reach(start.size) ** 2
        if c > 0:
            return 0.0
        if a == 0.0 or a + 2 * b + c <= 0:
            return None
        root = sqrt(max(b * b - a * c, 0.0))
        return min(1.0, -c / (b + root) if b > 0 else (root - b) / a)  # neither form cancels

    def _spreads(self, dimension: int) -> Float64:
        """Return all spreads.

        Raises:
            ValueError: there are as many as codes of another dimension have numbers.
        """
        if not self.spreads:
            return np.ones(dimension)
        if len(self.spreads) != dimension:
            raise ValueError(f"{len(self.spreads)} spreads for codes of {dimension} numbers")
        return np.asarray(self.spreads)

    def _even(self, codes: Tensor) -> Tensor:
        """Return codes over their spreads."""
        return codes / torch.from_numpy(self._spreads(codes.shape[1])).to(codes)


def _first_beyond(start: Float64, change: Float64) -> float | None:
    """Return the first t at which a number leaves [-1, 1]."""
    if (np.abs(start) > 1).any():
        return 0.0
    leaving = np.abs(start + change) > 1
    if not leaving.any():
        return None
    level = np.sign(change[leaving])
    return float(np.clip((level - start[leaving]) / change[leaving], 0.0, 1.0).min())
