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

import torch
from torch import Tensor

from glocert.forms.form import Form, rounding_of
from glocert.forms.ops.registry import Site
from glocert.graph.ir import Node
from glocert.rounding import DOUBLE


@dataclass(frozen=True, slots=True)
class Local:
    """One node between lines, on the rows of a tape.

    Attributes:
        shift: constants, shape (rows or 1, *output shape), or None where there are none.
        charge: shape (rows, *output shape), positive everywhere, so that an adjoint that is not finite makes
            every bound infinite or NaN, also where the node drops it. Both may have axes of length 1 that
            stand for the output's. Shape (rows, 0) where the node only moves adjoints and drops none.
        floor: what underflow may do to the functionals, whatever the adjoint is, shape (rows,); None where
            adjoints are only moved.
        gains: what the maps of this node depend on row by row, each of shape (rows, *any).
    """

    shift: Tensor | None
    charge: Tensor
    floor: Tensor | None = None
    gains: tuple[Tensor, ...] = ()

    @classmethod
    def between(
        cls, shift: Tensor, charge: Tensor, floor: Tensor | None, *gains: Tensor, count: int | None = None
    ) -> Local:
        """Return the node; the rounding of ``<a, shift>`` and of constants to the program's type is charged.

        Args:
            shift: constants.
            charge: everything else that is charged.
            floor: as above.
            gains: as above.
            count: how many numbers the output has, if ``charge`` stands for more than it holds.
        """
        own = rounding_of(charge.dtype)
        rounding = shift.abs() * constants_cost(charge, count or charge[0].numel())
        return cls(shift, (charge + rounding) * own.up + own.tiny, floor, gains)

    def rows(self, index: Tensor) -> Local:
        """Return the same on some of the rows."""
        shift = self.shift if self.shift is None or len(self.shift) == 1 else self.shift[index]
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


_FEW = 128


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


def under(peak: Tensor, tiny: float, times: int = 1) -> Tensor:
    """Return what underflow of adjoints costs: ``tiny`` of every number that they are multiplied with.

    Args:
        peak: bounds on the numbers, shape (rows, *shape).
        tiny: what one adjoint may lose.
        times: how often.
    """
    own = rounding_of(peak.dtype)
    return peak.flatten(1).sum(1) * (tiny * times * own.grow(peak[0].numel()) * own.up)


def in_one_sum(values: Tensor, count: int) -> int:
    """Return how many of ``count`` numbers are added in their own type, before sums are added in float64.

    All of them in float64. In float32 few, as its gamma grows with their count.
    """
    count = max(1, count)
    if values.dtype == torch.float64 or count <= _FEW:
        return count
    return next((size for size in range(_FEW, 15, -1) if count % size == 0), count)


def in_double(values: Tensor) -> bool:
    """Whether products of such numbers are added in float64: compiled loops do, on the CPU."""
    return values.device.type == "cpu"


def dot_of_sums(values: Tensor, count: int) -> float:
    """Return a bound on the relative error of a computed sum of ``count`` products of adjoints and values."""
    if in_double(values):
        return DOUBLE.dot(count)
    return rounding_of(values.dtype).dot(in_one_sum(values, count))


def constants_cost(values: Tensor, count: int) -> float:
    """Return what a product with ``count`` constants costs of their absolute products.

    That of the sum, and the rounding of the constants to the program's type.
    """
    return dot_of_sums(values, count) + rounding_of(values.dtype).charge


def grow_of_sums(values: Tensor, count: int) -> float:
    """Return the factor that lifts such a sum of non-negative products above the exact one."""
    if in_double(values):
        return DOUBLE.grow(count)
    return rounding_of(values.dtype).grow(in_one_sum(values, count))


def repeats(inside: tuple[int, ...], outside: tuple[int, ...]) -> int:
    """Return how often broadcasting repeats a number."""
    return math.prod(outside) // max(1, math.prod(inside))
