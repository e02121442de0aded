"""Arithmetic on constants: what exporters compute from shapes and weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocert.graph import fold
from glocert.graph.fold import Folded, broadcast, check_known, check_room
from glocert.graph.onnx_operators.registry import Call, folds
from glocert.graph.shapes import ShapeError
from glocert.graph.values import Constant, Unsupported, Value

_Array = NDArray[Any]
_MOST_PRODUCTS = 10**10  # seconds


@folds("Add", "Sub", "Mul", "Div")
def arithmetic(call: Call) -> Value:
    """Return a sum, difference, product or quotient."""
    folded = fold.arithmetic(call.node.op_type, call.constant(0), call.constant(1), call.limits)
    return call.folded(folded)


@folds(*fold.EXACT, *fold.ROUNDING)
def function(call: Call) -> Value:
    """Return a function of every number."""
    return call.folded(fold.function(call.node.op_type, call.constant(0)))


@folds("Pow")
def power(call: Call) -> Value:
    """Return a power."""
    return call.folded(fold.power(call.constant(0), call.constant(1), call.limits))


@folds("Mod")
def remainder(call: Call) -> Value:
    """Return a remainder of integers, of the sign of the divisor."""
    x, y = call.constant(0).array, call.constant(1).array
    check_known(x, y)
    broadcast(call.limits, x, y)
    if call.integer("fmod", 0) or not (_is_integer(x) and _is_integer(y)) or not y.all():
        raise Unsupported("it is supported for integers only")
    return call.result(np.asarray(np.mod(x, y)))


def _is_integer(array: _Array) -> bool:
    return bool(np.issubdtype(array.dtype, np.integer))


@folds(*fold.COMPARISONS)
def compare(call: Call) -> Value:
    """Return a truth value for every pair."""
    x, y = call.constant(0).array, call.constant(1).array
    return call.result(fold.compare(call.node.op_type, x, y, call.limits))


_LOGIC: Mapping[str, Callable[[_Array, _Array], _Array]] = {
    "And": np.logical_and,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
}


@folds(*_LOGIC)
def logic(call: Call) -> Value:
    """Combine truth values."""
    x, y = call.constant(0).array, call.constant(1).array
    broadcast(call.limits, x, y)
    return call.result(np.asarray(_LOGIC[call.node.op_type](x, y)))


@folds("Not")
def negation(call: Call) -> Value:
    """Negate truth values."""
    return call.result(np.logical_not(call.constant(0).array))


@folds("Where")
def where(call: Call) -> Value:
    """Choose between two constants; nothing is computed, so the length of the batch may be among them."""
    condition, x, y = (call.constant(position).array for position in range(3))
    broadcast(call.limits, condition, x, y)
    if condition.dtype != np.bool_ or x.dtype != y.dtype:
        raise Unsupported("its operands have different types")
    return call.result(np.where(condition, x, y))


_EXTREME: Mapping[str, Callable[[_Array, _Array], _Array]] = {"Max": np.maximum, "Min": np.minimum}


@folds(*_EXTREME)
def extreme(call: Call) -> Value:
    """Return the largest or smallest of several constants."""
    arrays = [call.constant(position).array for position in range(len(call.inputs))]
    check_known(*arrays)
    broadcast(call.limits, *arrays)
    return call.result(np.asarray(reduce(_EXTREME[call.node.op_type], arrays)))


@folds("Clip")
def clip(call: Call) -> Value:
    """Return a constant within bounds."""
    x = call.constant(0).array
    check_known(x)
    low = call.number("min", -np.inf) if call.has("min") else call.scalar(1, -np.inf)
    high = call.number("max", np.inf) if call.has("max") else call.scalar(2, np.inf)
    return call.result(np.clip(x, low, high).astype(x.dtype))


@folds("MatMul")
def matmul(call: Call) -> Value:
    """Return a product of matrices."""
    x, y = call.constant(0).array, call.constant(1).array
    check_known(x, y)
    if not x.ndim or not y.ndim or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        raise ShapeError(f"a matrix product of {list(x.shape)} and {list(y.shape)} is not defined")
    outer = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    shape = (*outer, *x.shape[-2:-1], *(y.shape[-1:] if y.ndim > 1 else ()))
    check_room(shape, call.limits)
    if math.prod(shape) * x.shape[-1] > _MOST_PRODUCTS:
        raise Unsupported("it multiplies huge constants", "Export the model with constant folding.")
    return call.folded(Folded(np.asarray(np.matmul(x, y)), rounded=not _is_integer(x)))


_REDUCE: Mapping[str, Callable[..., Any]] = {
    "ReduceMax": np.max,
    "ReduceMean": np.mean,
    "ReduceMin": np.min,
    "ReduceProd": np.prod,
    "ReduceSum": np.sum,
}
_ROUNDING = frozenset({"ReduceMean", "ReduceProd", "ReduceSum"})


@folds(*_REDUCE)
def reduction(call: Call) -> Value:
    """Reduce a constant over axes; integers are exact."""
    kind, x = call.node.op_type, call.constant(0).array
    axes = call.integers(1, "axes")
    keep, skip = bool(call.integer("keepdims", 1)), bool(call.integer("noop_with_empty_axes", 0))
    if not axes and skip:
        return call.result(x)
    check_known(x)
    if not x.size:
        raise Unsupported("it reduces nothing")
    if _is_integer(x):
        _check_small(x, kind)
    result = np.asarray(_REDUCE[kind](x, axis=tuple(axes) if axes else None, keepdims=keep))
    return call.folded(Folded(result.astype(x.dtype), kind in _ROUNDING and not _is_integer(x)))


def _check_small(x: _Array, kind: str) -> None:
    """Refuse a mean of integers, and a product or sum that may overflow."""
    sizes = np.abs(x.astype(np.float64))
    if kind == "ReduceMean":
        raise Unsupported("it is the mean of integers")
    if np.prod(np.maximum(sizes, 1)) >= 2.0**53 if kind == "ReduceProd" else sizes.sum() >= 2.0**53:
        raise Unsupported("its integers are too large")


@folds("Sum")
def total(call: Call) -> Value:
    """Add several constants, from the left."""
    result = call.constant(0)
    rounded = False
    for position in range(1, len(call.inputs)):
        folded = fold.arithmetic("Add", result, call.constant(position), call.limits)
        result, rounded = Constant(folded.array, result.name), rounded or folded.rounded
    return call.folded(Folded(result.array, rounded))


@folds("CumSum")
def cumulative(call: Call) -> Value:
    """Add up along an axis."""
    x, axis = call.constant(0).array, int(call.scalar(1, 0))
    check_known(x)
    if call.integer("exclusive", 0) or call.integer("reverse", 0):
        raise Unsupported("exclusive and reverse are not supported")
    return call.folded(Folded(np.cumsum(x, axis=axis).astype(x.dtype), rounded=not _is_integer(x)))
