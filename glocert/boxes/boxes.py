"""Boxes in [0, 1]^k whose sides are halves of halves: ends, widths and volumes are exact."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Depths = NDArray[np.int64]

DEEPEST = 40
"""No side is halved more often: ends then have at most 41 binary digits."""


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """``[lower, lower + 2^-depth]``, one box per row.

    Attributes:
        lower: shape (rows, k), multiples of ``2^-depth``.
        depth: how often each side was halved, shape (rows, k), at most ``DEEPEST``.
    """

    lower: Float64
    depth: Depths

    @classmethod
    def whole(cls, dimensions: int) -> Boxes:
        """Return [0, 1]^k as one row."""
        return cls(np.zeros((1, dimensions)), np.zeros((1, dimensions), np.int64))

    @classmethod
    def joined(cls, parts: Iterable[Boxes]) -> Boxes:
        """Return all rows of some boxes of one k, at least one."""
        kept = list(parts)
        return cls(np.concatenate([x.lower for x in kept]), np.concatenate([x.depth for x in kept]))

    def __len__(self) -> int:
        return len(self.lower)

    @property
    def half(self) -> Float64:
        """Half of each side, exact."""
        return np.ldexp(0.5, -self.depth)

    @property
    def middle(self) -> Float64:
        """Centres, exact."""
        return np.asarray(self.lower + self.half)

    @property
    def upper(self) -> Float64:
        """Upper ends, exact."""
        return np.asarray(self.lower + np.ldexp(1.0, -self.depth))

    @property
    def halvings(self) -> Depths:
        """How often each row was halved: its volume is ``2^-halvings``."""
        return np.asarray(self.depth.sum(1))

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Boxes:
        """Return some rows."""
        return Boxes(self.lower[rows], self.depth[rows])

    def halves(self, axis: NDArray[np.intp]) -> Boxes:
        """Cut every row in two across its axis, shape (rows,); lower halves first."""
        rows = np.arange(len(self))
        depth = self.depth.copy()
        depth[rows, axis] += 1
        above = self.lower.copy()
        above[rows, axis] += np.ldexp(1.0, -depth[rows, axis])
        return Boxes(np.concatenate([self.lower, above]), np.concatenate([depth, depth]))
