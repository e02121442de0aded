"""Sums, means and extremes over axes, as canonical nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from glocert.graph.lowering_select import full
from glocert.graph.lowering_shape import reshape, transpose
from glocert.graph.values import Activation, Constant, Emitter


def inner_axes(emitter: Emitter, x: Activation, axes: Sequence[int] | None) -> tuple[int, ...]:
    """Return the upload's ``axes`` per sample, ascending; None names all of them.

    Raises:
        Unsupported: the batch axis is among them.
    """
    named = range(len(x.shape) + emitter.offset) if axes is None else axes
    return tuple(sorted({emitter.axis(axis, len(x.shape)) for axis in named}))


def _kept(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if axis in axes else size for axis, size in enumerate(shape))


def reduce_sum(
    emitter: Emitter, x: Activation, axes: Sequence[int] | None, *, keepdims: bool = True
) -> Activation:
    """Emit the sum over ``axes`` of the upload, all where None; they stay with length one if ``keepdims``."""
    inner = inner_axes(emitter, x, axes)
    if not inner:
        return x
    total = emitter.add("ReduceSum", (x,), {"axes": inner})
    return reshape(emitter, total, full(emitter, _kept(x.shape, inner))) if keepdims else total


def reduce_mean(
    emitter: Emitter, x: Activation, axes: Sequence[int] | None, *, keepdims: bool = True
) -> Activation:
    """Emit the sum over ``axes`` divided by the exact count of what was summed."""
    count = math.prod(x.shape[axis] for axis in inner_axes(emitter, x, axes))
    total = reduce_sum(emitter, x, axes, keepdims=keepdims)
    if count == 1:
        return total
    return emitter.add("Div", (total, Constant(np.array(count, np.float64), f"{emitter.name}.count")))


def reduce_max(
    emitter: Emitter, x: Activation, axes: Sequence[int] | None, *, keepdims: bool = True
) -> Activation:
    """Emit the largest entry over ``axes``, as one window of a MaxPool."""
    inner = inner_axes(emitter, x, axes)
    if not inner:
        return x
    outer = tuple(axis for axis in range(len(x.shape)) if axis not in inner)
    perm = [axis + emitter.offset for axis in (*outer, *inner)]
    turned = transpose(emitter, x, [*range(emitter.offset), *perm])
    rows, width = (math.prod(x.shape[axis] for axis in part) for part in (outer, inner))
    plane = reshape(emitter, turned, full(emitter, (1, rows, width)))
    geometry = {"kernel_shape": (1, width), "strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1)}
    best = emitter.add("MaxPool", (plane,), geometry)
    shape = _kept(x.shape, inner) if keepdims else tuple(x.shape[axis] for axis in outer)
    return reshape(emitter, best, full(emitter, shape))


def reduce_min(
    emitter: Emitter, x: Activation, axes: Sequence[int] | None, *, keepdims: bool = True
) -> Activation:
    """Emit the smallest entry over ``axes``: the negative of the largest of the negatives."""
    return negative(emitter, reduce_max(emitter, negative(emitter, x), axes, keepdims=keepdims))


def negative(emitter: Emitter, x: Activation) -> Activation:
    """Emit ``-x``, which is exact."""
    return emitter.add("Mul", (x, Constant(np.array(-1.0, np.float32), f"{emitter.name}.minus")))
