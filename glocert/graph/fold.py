"""Arithmetic between constants.

What a runtime computes from constants it computes before any input arrives, and the results are weights of
the network like all others. Where a result is exact in float64 it is kept exactly; where it must be rounded
it is rounded as the runtime rounds it, in the type of the file, and the graph carries a note that says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocert.graph.limits import Limits
from glocert.graph.shapes import ShapeError
from glocert.graph.values import BATCH, Constant, Unsupported

_Array = NDArray[Any]
_LARGEST = 2**31  # two such integers multiply within int64
ROUNDED = (
    "Some weights are computed from other weights in the file; they were rounded once, in the file's own "
    "precision, as a runtime does before any input arrives."
)


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """A result.

    Attributes:
        array: the numbers.
        rounded: whether they are not exact.
    """

    array: _Array
    rounded: bool = False


def check_room(shape: tuple[int, ...], limits: Limits) -> None:
    """Refuse a folded tensor that is too large, before it is made.

    Raises:
        ModelTooLarge: more elements than ``limits.activation``: nothing that is folded need be larger.
    """
    if math.prod(shape) > limits.activation:
        raise limits.exceeded(f"A tensor of shape {list(shape)} is too large", "activation")


def broadcast(limits: Limits, *arrays: _Array) -> tuple[int, ...]:
    """Return the shape to which ``arrays`` broadcast.

    Raises:
        ShapeError: they do not.
        ModelTooLarge: the result exceeds the limit.
    """
    try:
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        raise ShapeError(f"shapes {[list(array.shape) for array in arrays]} do not broadcast") from None
    check_room(shape, limits)
    return shape


def check_known(*arrays: _Array) -> None:
    """Refuse to compute with the length of the batch.

    Raises:
        Unsupported: one holds it.
    """
    if any(np.issubdtype(array.dtype, np.integer) and (array == BATCH).any() for array in arrays):
        raise Unsupported("it computes with the length of the batch", "Export with a fixed batch size.")


def arithmetic(operator: str, x: Constant, y: Constant, limits: Limits) -> Folded:
    """Return ``x (operator) y`` for Add, Sub, Mul and Div.

    Raises:
        Unsupported: an integer result may overflow, a float one is not finite.
        ShapeError: the shapes do not broadcast.
        ModelTooLarge: the result exceeds the limit.
    """
    broadcast(limits, x.array, y.array)
    if x.is_float and y.is_float:
        return _floats(operator, x.array, y.array)
    if x.is_float or y.is_float:
        raise Unsupported("its operands have different types")
    return Folded(_integers(operator, x.array, y.array))


def exact_arithmetic(operator: str, x: Constant, y: Constant, limits: Limits) -> _Array:
    """Return what ``arithmetic`` does where nothing is rounded.

    Raises:
        Unsupported: a float result would be rounded, and whatever ``arithmetic`` refuses.
    """
    folded = arithmetic(operator, x, y, limits)
    if folded.rounded:
        raise Unsupported(
            "arithmetic between constants would round", "Export the model with constant folding."
        )
    return folded.array


def _integers(operator: str, a: _Array, b: _Array) -> _Array:
    neutral = _neutral(operator, a, b)
    if neutral is not None:
        return neutral
    check_known(a, b)
    a, b = a.astype(np.int64), b.astype(np.int64)
    if any(((part >= _LARGEST) | (part <= -_LARGEST)).any() for part in (a, b)):
        raise Unsupported("its integers are too large")
    if operator == "Div":
        if not b.all() or (a < 0).any() or (b < 0).any():
            raise Unsupported("it divides integers that are not above zero")
        return np.asarray(a // b)
    table = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply}
    return np.asarray(table[operator](a, b))


def _neutral(operator: str, a: _Array, b: _Array) -> _Array | None:
    """Return what an operation leaves as it is, which the length of the batch may be."""
    neutral = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1}[operator]
    shape = np.broadcast_shapes(a.shape, b.shape)
    if (b == neutral).all():
        return np.broadcast_to(a, shape).astype(np.int64)
    if operator in {"Add", "Mul"} and (a == neutral).all():
        return np.broadcast_to(b, shape).astype(np.int64)
    return None


_FLOAT: Mapping[str, Callable[[_Array, _Array], _Array]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
}


def _floats(operator: str, a: _Array, b: _Array) -> Folded:
    """Compute in float64; keep what was exact, else compute again in the file's type."""
    dtype = np.result_type(a.dtype, b.dtype)
    with np.errstate(all="ignore"):
        result, exact = _attempt(operator, a.astype(np.float64), b.astype(np.float64))
        if exact and np.isfinite(result.astype(dtype)).all():
            return Folded(narrowed(result, dtype))
        return _finite(_FLOAT[operator](a, b), a, b)


def narrowed(array: _Array, dtype: Any) -> _Array:
    """Return ``array`` in ``dtype`` where that changes nothing, else as it is."""
    with np.errstate(over="ignore"):
        narrow = array.astype(dtype)
    return narrow if np.array_equal(narrow.astype(np.float64), array) else array


def _finite(result: _Array, *operands: _Array) -> Folded:
    """Refuse an overflow or an undefined result that the operands do not explain."""
    if all(np.isfinite(operand).all() for operand in operands) and not np.isfinite(result).all():
        raise Unsupported("arithmetic between constants overflows or is not defined")
    return Folded(np.asarray(result), rounded=True)


def _attempt(operator: str, a: _Array, b: _Array) -> tuple[_Array, bool]:
    if operator in {"Add", "Sub"}:
        b = b if operator == "Add" else -b
        total = a + b
        part = total - a
        return total, bool(((a - (total - part)) + (b - part) == 0).all())  # Knuth's two-sum has no remainder
    if operator == "Mul":
        return a * b, _is_single(a) and _is_single(b)
    quotient = a / b
    return quotient, _is_single(quotient) and _is_single(b) and bool((quotient * b == a).all())


def _is_single(a: _Array) -> bool:
    """Whether every number is a float32, so that products in float64 are exact."""
    return bool((a.astype(np.float32).astype(np.float64) == a).all())


EXACT: Mapping[str, Callable[[_Array], _Array]] = {
    "Abs": np.abs,
    "Ceil": np.ceil,
    "Floor": np.floor,
    "Neg": np.negative,
    "Relu": lambda a: np.maximum(a, 0),
    "Round": np.round,
    "Sign": np.sign,
}
"""Functions of one constant that do not round."""

ROUNDING: Mapping[str, Callable[[_Array], _Array]] = {
    "Cos": np.cos,
    "Exp": np.exp,
    "Log": np.log,
    "Reciprocal": np.reciprocal,
    "Sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "Sin": np.sin,
    "Sqrt": np.sqrt,
    "Tanh": np.tanh,
}
"""Functions of one float constant that round."""


def function(operator: str, x: Constant) -> Folded:
    """Return a function of one constant.

    Raises:
        Unsupported: the length of the batch is among the numbers, or a result is not finite.
    """
    check_known(x.array)
    if operator in EXACT:
        return Folded(np.asarray(EXACT[operator](x.array)).astype(x.array.dtype))
    if not x.is_float:
        raise Unsupported("its operand is not a float tensor")
    with np.errstate(all="ignore"):
        return _finite(ROUNDING[operator](x.array).astype(x.array.dtype), x.array)


def power(x: Constant, y: Constant, limits: Limits) -> Folded:
    """Return ``x ** y`` in the type of ``x``."""
    check_known(x.array, y.array)
    broadcast(limits, x.array, y.array)
    with np.errstate(all="ignore"):
        size = np.abs(x.array.astype(np.float64)) ** y.array.astype(np.float64)
        if not x.is_float and ((y.array < 0).any() or not (size < _LARGEST).all()):
            raise Unsupported("its integers are too large")
        result = _finite(np.power(x.array, y.array).astype(x.array.dtype), x.array, y.array)
    return Folded(result.array, rounded=x.is_float)


COMPARISONS: Mapping[str, Callable[[_Array, _Array], _Array]] = {
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
}


def compare(operator: str, a: _Array, b: _Array, limits: Limits) -> _Array:
    """Return a comparison; of the length of a batch it is known only that it is above zero.

    Raises:
        Unsupported: the result depends on the length of the batch.
    """
    broadcast(limits, a, b)
    if operator == "Equal" and _is_integer(a) and _is_integer(b):
        a, b = np.broadcast_arrays(a, b)
        unknown = (a == BATCH) ^ (b == BATCH)
        if (unknown & (np.where(a == BATCH, b, a) > 0)).any():
            check_known(a, b)
        return np.asarray(a == b)
    check_known(a, b)
    return np.asarray(COMPARISONS[operator](a, b))


def _is_integer(a: _Array) -> bool:
    return bool(np.issubdtype(a.dtype, np.integer))
