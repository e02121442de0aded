"""Coordinates of an encoder's codes that follow from its training images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.spec_generator import WHITE

_LEAST = 1e-6
"""Smallest variance of a code that is made one, as a share of the largest."""


def moments(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and covariance of codes, shape (N, d); of one code alone the covariance is zero."""
    mean = codes.mean(0)
    away = codes - mean
    return mean, away.T @ away / max(1, len(codes) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Coordinates of codes: centred, along the axes of their covariance, the widest first.

    Attributes:
        mean: of the encoder's codes, shape (d,).
        outwards: from these coordinates to the encoder's, ``c = w outwards^T + mean``, shape (d, d).
        inwards: the inverse of ``outwards``.
        spreads: standard deviations in these coordinates, shape (d,).
    """

    mean: Tensor
    outwards: Tensor
    inwards: Tensor
    spreads: Tensor

    @classmethod
    def of(cls, mean: Tensor, covariance: Tensor, codes: str) -> Frame:
        """Return the frame in which codes are ``white`` (covariance I) or ``scaled`` (of mean variance one).

        Scaling by one number keeps the encoder's own metric: directions in which images differ much stay
        longer than others. White codes stretch those in which they hardly vary: such count as wider than
        they are, so that nothing is divided by zero.
        """
        values, vectors = torch.linalg.eigh(covariance.double())
        values, vectors = values.flip(0), vectors.flip(1)
        largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
        vectors = vectors * largest.sign()
        spreads = values.clamp_min(max(float(values[0]) * _LEAST, 1e-24)).sqrt()
        unit = spreads if codes == WHITE else spreads.square().mean().sqrt().expand_as(spreads)
        found = vectors * unit, (vectors / unit).T, spreads / unit
        return cls(mean, *(part.to(mean) for part in found))

    def to(self, codes: Tensor) -> Tensor:
        """Return codes of the encoder in these coordinates."""
        return (codes - self.mean) @ self.inwards.T

    def back(self, codes: Tensor) -> Tensor:
        """Return the encoder's codes of these."""
        return codes @ self.outwards.T + self.mean
