"""Products with a constant stack of matrices, as canonical nodes: products entry by entry, then one sum."""

from __future__ import annotations

import numpy as np

from glocert.graph.lowering_select import full
from glocert.graph.lowering_shape import reshape
from glocert.graph.shapes import ShapeError
from glocert.graph.values import Activation, Constant, Emitter


def times_stack(emitter: Emitter, x: Activation, stack: Constant) -> Activation:
    """Emit ``x @ stack``, the stack of shape (..., k, m), ``x`` of per-sample shape (..., n, k).

    Raises:
        ShapeError: the two do not fit.
        Unsupported: the stack differs from sample to sample.
    """
    array = emitter.aligned(stack, len(x.shape)).array
    if len(x.shape) < 2 or x.shape[-1] != array.shape[-2]:
        raise _misfit(x, stack)
    rows = reshape(emitter, x, full(emitter, (*x.shape, 1)))
    return _summed(emitter, rows, Constant(np.expand_dims(array, -3), stack.name))


def stack_times(emitter: Emitter, stack: Constant, x: Activation) -> Activation:
    """Emit ``stack @ x``, the stack of shape (..., n, k), ``x`` of per-sample shape (..., k, m).

    Raises:
        ShapeError: the two do not fit.
        Unsupported: the stack differs from sample to sample.
    """
    array = emitter.aligned(stack, len(x.shape)).array
    if len(x.shape) < 2 or x.shape[-2] != array.shape[-1]:
        raise _misfit(x, stack)
    columns = reshape(emitter, x, full(emitter, (*x.shape[:-2], 1, *x.shape[-2:])))
    return _summed(emitter, columns, Constant(np.expand_dims(array, -1), stack.name))


def _summed(emitter: Emitter, x: Activation, factors: Constant) -> Activation:
    """Emit the sum over the last axis but one of ``x * factors``."""
    product = emitter.add("Mul", (x, factors))
    return emitter.add("ReduceSum", (product,), {"axes": (len(product.shape) - 2,)})


def _misfit(x: Activation, stack: Constant) -> ShapeError:
    shapes = f"{list(x.shape)} per sample and {list(stack.array.shape)}"
    return ShapeError(f"a matrix product of {shapes} is not defined")
