"""A network as rectified sums: what the event loop follows.

Every piecewise linear operator is written with ``max(x, 0)`` or a leaky form of it, and everything else is a
sum of products with constants. That is exact in real arithmetic: a maximum is ``b + max(a - b, 0)``, a clip
``low + max(x - low, 0) - max(x - high, 0)``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from glocert.segments.events.loops.tables import BENT, LINEAR
from glocert.segments.ops.registry import Order, Shape, size

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(eq=False, slots=True)
class Edge:
    """A linear map from an earlier layer.

    Attributes:
        source: the layer.
        how: kind of the edge, see ``loops.tables``.
        weights: its numbers, flat, in the order that the kind asks for.
        numbers: further columns of its row.
        lists: of a sparse edge: where the list of each unit of the source begins, one more than there are
            units; the units that are listed; and the ranges of rows and of columns, see ``loops.tables``.
        inputs: of a unit of the target, at most: products in a sum.
    """

    source: Layer
    how: int
    weights: Float64
    numbers: tuple[int, ...] = ()
    lists: tuple[Int64, ...] = ()
    inputs: int = 1


@dataclass(eq=False, slots=True)
class Layer:
    """A sum of edges and a constant, rectified or not.

    Attributes:
        shape: height, width, channels of its units in memory.
        shift: the constant, flat.
        size: bound on the absolute terms that the constant was computed from.
        edges: from earlier layers.
        kind: see ``loops.tables``.
        below: slope of its function below zero.
    """

    shape: Shape
    shift: Float64
    size: Float64
    edges: list[Edge] = field(default_factory=list)
    kind: int = LINEAR
    below: float = 0.0

    @classmethod
    def empty(cls, shape: Shape) -> Layer:
        """Return a layer of zeros."""
        return cls(shape, np.zeros(size(shape)), np.zeros(size(shape)))

    def shifted(self, shift: Float64, terms: Float64 | None = None) -> Layer:
        """Add a constant, computed from terms of that size."""
        self.shift = self.shift + shift
        self.size = self.size + (np.abs(shift) if terms is None else terms)
        return self

    def bend(self, below: float = 0.0) -> Layer:
        """Rectify it."""
        self.kind, self.below = BENT, below
        return self


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """An activation: a layer's units under another shape.

    Attributes:
        layer: whose units they are.
        order: memory position -> flat index (C order) in the activation's shape.
        alone: whether nothing else reads the layer, so that it may be changed.
    """

    layer: Layer
    order: Order
    alone: bool


def frame(shape: Shape) -> Shape:
    """Return height, width and channels of an activation of this per-sample shape in its natural order."""
    return (shape[1], shape[2], shape[0]) if len(shape) == 3 else (1, 1, size(shape))
