"""What codes a generator was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

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
        kind: ``normal`` (standard), or ``uniform`` on [-1, 1].
    """

    kind: str

    def __post_init__(self) -> None:
        if self.kind not in {"normal", "uniform"}:
            raise ValueError(f"no prior {self.kind!r}")

    def sample(self, count: int, dimension: int, random: np.random.Generator) -> Float64:
        """Draw codes, shape (count, dimension)."""
        shape = count, dimension
        return random.standard_normal(shape) if self.kind == "normal" else random.uniform(-1.0, 1.0, shape)

    def reach(self, dimension: int) -> float:
        """Return the length up to which normal codes count as inside: ``sqrt(d) + 3``."""
        return sqrt(dimension) + _BEYOND

    def projected(self, codes: Tensor) -> Tensor:
        """Return the nearest codes inside the support, shape (rows, dimension) as before."""
        if self.kind == "uniform":
            return codes.clamp(-1.0, 1.0)
        length = codes.norm(dim=1, keepdim=True).clamp_min(1e-300)
        shrink: Tensor = (self.reach(codes.shape[1]) / length).clamp_max(1.0)
        return codes * shrink

    def penalty(self, codes: Tensor) -> Tensor:
        """Return how unlikely codes are, per number; 0 for all inside a uniform prior."""
        return codes.square().mean(1) if self.kind == "normal" else torch.zeros_like(codes[:, 0])

    def left_at(self, start: Float64, stop: Float64) -> float | None:
        """Return the first t at which ``start + t (stop - start)`` is outside, None where it stays inside.

        In float64: a measure, not a proof.
        """
        change = stop - start
        if self.kind == "uniform":
            return _first_beyond(start, change)
        a, b = float(change @ change), float(start @ change)
        c = float(start @ start) - self.reach(start.size) ** 2
        if c > 0:
            return 0.0
        if a == 0.0 or a + 2 * b + c <= 0:
            return None
        root = sqrt(max(b * b - a * c, 0.0))
        return min(1.0, -c / (b + root) if b > 0 else (root - b) / a)  # neither form cancels


def _first_beyond(start: Float64, change: Float64) -> float | None:
    """Return the first t at which a number leaves [-1, 1]."""
    if (np.abs(start) > 1).any():
        return 0.0
    leaving = np.abs(start + change) > 1
    if not leaving.any():
        return None
    level = np.sign(change[leaving])
    return float(np.clip((level - start[leaving]) / change[leaving], 0.0, 1.0).min())
