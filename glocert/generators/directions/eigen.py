"""Eigenvectors of symmetric matrices, largest first, with a sign and a word on equal eigenvalues."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.errors import InvalidSpec
from glocert.generators.directions.found import signed

_APART = 1e-6
"""relative gap below which two eigenvalues count as one"""


@dataclass(frozen=True, slots=True, eq=False)
class Eigen:
    """A decomposition ``M = sum_i values[i] vectors[i] vectors[i]^T``.

    Attributes:
        values: falling, shape (d,); those of a form, never below zero.
        vectors: rows, orthonormal, shape (d, d).
    """

    values: Tensor
    vectors: Tensor

    @property
    def identified(self) -> tuple[bool, ...]:
        """Whether each eigenvector is determined up to its sign: no other eigenvalue is its own."""
        gaps = (self.values[:-1] - self.values[1:]) > _APART * self.values[0]
        edge = torch.ones(1, dtype=torch.bool)
        return tuple((torch.cat([edge, gaps]) & torch.cat([gaps, edge])).tolist())

    def above(self, floor: float) -> int:
        """Return how many are at least ``floor`` times the largest; none where all are zero."""
        return int((self.values >= floor * self.values[0]).sum()) if self.values[0] > 0 else 0

    def carrying(self, share: float) -> int:
        """Return how many of the largest carry ``share`` of the sum."""
        return int((self.values.cumsum(0) < share * self.values.sum()).sum()) + 1


def eigen(matrix: Tensor) -> Eigen:
    """Decompose a symmetric matrix, float64.

    Raises:
        InvalidSpec: it holds NaN or infinity.
    """
    if not torch.isfinite(matrix).all():
        raise InvalidSpec("the slopes of the generator are not finite")
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    return Eigen(values.flip(0).clamp_min(0.0), signed(vectors.flip(1).T))
