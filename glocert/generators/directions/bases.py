"""Several directions made orthogonal, and by how much that turned each."""

from __future__ import annotations

from dataclasses import dataclass
from math import degrees

import torch
from torch import Tensor

from glocert.errors import InvalidSpec
from glocert.generators.directions.found import unit
from glocert.generators.jacobian import Forms

METHODS = ("gram-schmidt", "loewdin")
_DEPENDENT = 1e-6
"""sine, or singular value, below which one direction follows from the others"""


@dataclass(frozen=True, slots=True, eq=False)
class Orthogonal:
    """Orthonormal directions.

    Attributes:
        vectors: shape (r, d).
        turned: by how many degrees each differs from what it was, shape (r,).
    """

    vectors: Tensor
    turned: Tensor


def orthogonal(vectors: Tensor, method: str = "gram-schmidt") -> Orthogonal:
    """Make directions orthogonal.

    Args:
        vectors: float64, shape (r, d), none of them zero.
        method: ``gram-schmidt`` keeps the first and turns later ones more; ``loewdin`` turns all of them as
            little as possible.

    Raises:
        InvalidSpec: they depend on each other, or the method is unknown.
    """
    before = unit(vectors)
    if len(before) > before.shape[1]:
        raise _dependent()
    if method == "gram-schmidt":
        after = _in_order(before)
    elif method == "loewdin":
        after = _at_once(before)
    else:
        raise InvalidSpec(f"no method {method!r}; there are {', '.join(METHODS)}")
    # by the chord, as the arc cosine of what is near 1 loses half of the digits
    chords = (after - before).norm(dim=1)
    return Orthogonal(after, 2 * torch.asin((chords / 2).clamp(max=1.0)) * degrees(1.0))


def complement(given: Tensor) -> Tensor:
    """Return orthonormal rows that span what is orthogonal to given directions, shape (d - k, d).

    Args:
        given: float64, shape (k, d); none of them for the whole space.

    Raises:
        InvalidSpec: they depend on each other.
    """
    if not len(given):
        return torch.eye(given.shape[1], dtype=given.dtype)
    rows = orthogonal(given).vectors
    whole: Tensor = torch.linalg.svd(rows, full_matrices=True)[2]
    return whole[len(rows) :]


def restricted(seen: Forms, basis: Tensor) -> Forms:
    """Return forms of the coordinates along orthonormal rows."""
    return Forms({name: basis @ form @ basis.T for name, form in seen.of.items()}, seen.sizes)


def _in_order(vectors: Tensor) -> Tensor:
    """Gram and Schmidt, each twice: once is not orthogonal to rounding where directions are close."""
    done: list[Tensor] = []
    for vector in vectors:
        rest = vector
        for _ in range(2):
            for other in done:
                rest = rest - (rest @ other) * other
        if float(rest.norm()) < _DEPENDENT:
            raise _dependent()
        done.append(rest / rest.norm())
    return torch.stack(done)


def _at_once(vectors: Tensor) -> Tensor:
    """The orthonormal rows nearest to the given ones (Löwdin): the polar factor."""
    left, values, right = torch.linalg.svd(vectors, full_matrices=False)
    if float(values.min()) < _DEPENDENT:
        raise _dependent()
    return torch.mm(left, right)


def _dependent() -> InvalidSpec:
    return InvalidSpec("the directions depend on each other: one of them is a combination of the others")
