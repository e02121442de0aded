"""How an operator is substituted backwards: the one table, and what a builder returns.

On every row the exact output y of a node and its exact inputs x satisfy ``| y - (sum_i A_i x_i + shift) | <=
charge``, number by number. A functional ``<a, y>`` of the output therefore is ``sum_i <A_i^T a, x_i> + <a,
shift>`` up to ``<|a|, charge>``. The charge also pays for the rounding of ``A_i^T a``: a computed adjoint
that is off by d changes the functional by at most ``<|d|, |x|>``, and ``|d| <= gamma |A|^T |a|`` makes that
``<|a|, gamma |A| |x|>``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from glocert.forms.form import Form
from glocert.forms.ops.registry import Site
from glocert.graph.ir import Node
from glocert.rounding import TINY, UP, dot


@dataclass(frozen=True, slots=True)
class Local:
    """One node between lines, on the rows of a tape.

    Attributes:
        shift: constants, shape (rows, *output shape), or None where there are none.
        charge: shape (rows, *output shape), positive everywhere, so that an adjoint that is not finite makes
            every bound infinite or NaN, also where the node drops it.
        floor: what underflow may do to the functionals, whatever the adjoint is, shape (rows,); None where
            adjoints are only moved.
        gains: what the maps of this node depend on row by row, each of shape (rows, *any).
    """

    shift: Tensor | None
    charge: Tensor
    floor: Tensor | None = None
    gains: tuple[Tensor, ...] = ()

    @classmethod
    def between(cls, shift: Tensor, charge: Tensor, floor: Tensor | None, *gains: Tensor) -> Local:
        """Return the node, the rounding of ``<a, shift>`` charged: a sum of so many products in any order."""
        rounding = shift.abs() * dot(shift[0].numel())
        return cls(shift, (charge + rounding) * UP + TINY, floor, gains)

    def rows(self, index: Tensor) -> Local:
        """Return the same on some of the rows."""
        shift = None if self.shift is None else self.shift[index]
        floor = None if self.floor is None else self.floor[index]
        return Local(shift, self.charge[index], floor, tuple(gain[index] for gain in self.gains))


class Reverse(Protocol):
    """One node, ready to be substituted."""

    def local(self, inputs: Sequence[Form]) -> Local:
        """Return the node between lines, for the forms of its activations."""
        ...

    def back(self, adjoint: Tensor, gains: tuple[Tensor, ...]) -> Sequence[Tensor]:
        """Return ``A_i^T a`` for each activation.

        Args:
            adjoint: a, shape (rows, functionals, *output shape).
            gains: of ``local``.
        """
        ...


Builder = Callable[[Node, Site], Reverse | None]
"""Returns None for a node that is substituted by its forward form."""

REGISTRY: dict[str, Builder] = {}


def reverse(*operators: str) -> Callable[[Builder], Builder]:
    """Register the builder of canonical ``operators``."""

    def register(build: Builder) -> Builder:
        REGISTRY.update(dict.fromkeys(operators, build))
        return build

    return register


def each(batch: Callable[[Tensor], Tensor], adjoint: Tensor) -> Tensor:
    """Apply a map of batches (n, *shape) to adjoints (rows, functionals, *shape)."""
    mapped = batch(adjoint.flatten(0, 1))
    return mapped.reshape(*adjoint.shape[:2], *mapped.shape[1:])


def folded(adjoint: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Sum over what broadcasting of a per-sample ``shape`` repeated."""
    missing = adjoint.ndim - 2 - len(shape)
    summed = adjoint.sum(tuple(range(2, 2 + missing))) if missing else adjoint
    axes = tuple(axis + 2 for axis, size in enumerate(shape) if size == 1 and summed.shape[axis + 2] != 1)
    return summed.sum(axes, keepdim=True) if axes else summed


def repeats(inside: tuple[int, ...], outside: tuple[int, ...]) -> int:
    """Return how often broadcasting repeats a number."""
    return math.prod(outside) // max(1, math.prod(inside))
