"""What every search for directions returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from glocert.errors import InvalidSpec
from glocert.generators.jacobian import Forms

_AS_LARGE = 1 - 1e-9
"""share of the largest entry that counts as the largest: which one is first must not hang on rounding"""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Directions, the most energy first.

    Attributes:
        vectors: float64, shape (r, dimension), rows of length one.
        energies: shape (r,): mean square of the change of a number in the region per latent unit, to first
            order.
        leakage: shape (r,): share of the squared change outside the region, to first order; ``None`` where
            the region is everything.
        identified: whether each is a direction of its own; ``False`` where equal energies make any rotation
            of several as good.
        measures: of all of them together, as JSON.
        warnings: what the user should know, one sentence each.
    """

    vectors: Tensor
    energies: Tensor
    leakage: Tensor | None = None
    identified: tuple[bool, ...] = ()
    measures: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.vectors)


def signed(vectors: Tensor) -> Tensor:
    """Return rows with the sign that makes the first of their largest entries positive."""
    sizes = vectors.abs()
    first = (sizes >= sizes.amax(1, keepdim=True) * _AS_LARGE).to(torch.int8).argmax(1, keepdim=True)
    return torch.where(vectors.gather(1, first) < 0, -vectors, vectors)


def unit(vectors: Tensor) -> Tensor:
    """Return rows of length one.

    Raises:
        InvalidSpec: a row is zero or not finite.
    """
    lengths = vectors.norm(dim=1, keepdim=True)
    if not (torch.isfinite(lengths).all() and (lengths > 0).all()):
        raise InvalidSpec("a direction of length zero says nothing")
    return torch.div(vectors, lengths)


def form_of(matrix: Tensor, vectors: Tensor) -> Tensor:
    """Return ``v^T M v`` of every row, never below zero."""
    return torch.einsum("ri,ij,rj->r", vectors, matrix, vectors).clamp_min(0.0)


def leakage_of(seen: Forms, inside: str, outside: str, vectors: Tensor) -> Tensor:
    """Return the share of the squared change outside a region, to first order; 0 where nothing changes."""
    within, beyond = (seen.sizes[name] * form_of(seen.of[name], vectors) for name in (inside, outside))
    total = within + beyond
    return torch.where(total > 0, beyond / total.clamp_min(1e-300), torch.zeros_like(total))
