"""Quantised constants."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocert.graph.fold import arithmetic, check_known
from glocert.graph.onnx_operators.registry import Call, folds
from glocert.graph.values import Constant, Unsupported, Value

_LARGEST = 2**24  # such integers are exact in float32


@folds("DequantizeLinear")
def dequantize_linear(call: Call) -> Value:
    """Return ``(x - zero_point) * scale``."""
    x, axis = call.constant(0), call.integer("axis", 1)
    if call.integer("block_size", 0):
        raise Unsupported("a scale per block is not supported")
    call.attribute("output_dtype")
    scale, rank = call.constant(1), x.array.ndim
    if x.is_float or not scale.is_float:
        raise Unsupported("it takes integers with a float scale")
    check_known(x.array)
    levels = x.array.astype(np.int64)
    if call.optional(2) is not None:
        levels = levels - _along(call.constant(2), rank, axis).astype(np.int64)
    if levels.size and np.abs(levels).max() >= _LARGEST:
        raise Unsupported("its integers are too large")
    factor = Constant(_along(scale, rank, axis), scale.name)
    integers = Constant(levels.astype(factor.array.dtype), x.name)
    return call.folded(arithmetic("Mul", integers, factor, call.limits))


def _along(value: Constant, rank: int, axis: int) -> NDArray[Any]:
    """Give a vector of one number per entry of ``axis`` the rank of what it multiplies."""
    array = value.array
    if array.size == 1:
        return array.reshape(())
    if array.ndim != 1 or not -rank <= axis < rank:
        raise Unsupported("its scale must be one number, or one per entry of an axis")
    return array.reshape([-1 if place == axis % rank else 1 for place in range(rank)])
