"""Arithmetic between constants, done only where the result is exact."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocert.errors import ModelTooLarge
from glocert.graph.limits import Limits
from glocert.graph.shapes import ShapeError
from glocert.graph.values import BATCH, Constant, Unsupported

_Array = NDArray[Any]
_LARGEST = 2**31  # two such integers multiply within int64


def check_room(shape: tuple[int, ...], limits: Limits) -> None:
    """Refuse a folded tensor that is too large, before it is made.

    Raises:
        ModelTooLarge: more elements than ``limits.parameters``.
    """
    if math.prod(shape) > limits.parameters:
        raise ModelTooLarge(f"A tensor of shape {list(shape)} is too large.")


def exact_arithmetic(operator: str, x: Constant, y: Constant, limits: Limits) -> _Array:
    """Return ``x (operator) y`` for Add, Sub, Mul and Div.

    Raises:
        Unsupported: a float result may be rounded, or an integer one overflow.
        ShapeError: the shapes do not broadcast.
        ModelTooLarge: the result exceeds the limit.
    """
    try:
        check_room(np.broadcast_shapes(x.array.shape, y.array.shape), limits)
    except ValueError:
        raise ShapeError(f"shapes {list(x.array.shape)} and {list(y.array.shape)} do not broadcast") from None
    if x.is_float and y.is_float:
        return _floats(operator, x.array.astype(np.float64), y.array.astype(np.float64), x.array.dtype)
    if x.is_float or y.is_float:
        raise Unsupported("its operands have different types")
    return _integers(operator, x.array, y.array)


def _integers(operator: str, a: _Array, b: _Array) -> _Array:
    if (a == BATCH).any() or (b == BATCH).any():
        raise Unsupported("it computes with the length of the batch")
    a, b = a.astype(np.int64), b.astype(np.int64)
    if any(((part >= _LARGEST) | (part <= -_LARGEST)).any() for part in (a, b)):
        raise Unsupported("its integers are too large")
    if operator == "Div":
        if not b.all() or (a < 0).any() or (b < 0).any():
            raise Unsupported("it divides integers that are not above zero")
        return np.asarray(a // b)
    table = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply}
    return np.asarray(table[operator](a, b))


def _floats(operator: str, a: _Array, b: _Array, dtype: Any) -> _Array:
    """Compute in float64, prove that nothing was rounded, and narrow again where that changes nothing."""
    with np.errstate(all="ignore"):
        result, exact = _attempt(operator, a, b)
    if not exact or not np.isfinite(result).all():
        raise Unsupported(
            "arithmetic between constants would round", "Export the model with constant folding."
        )
    with np.errstate(over="ignore"):
        narrow = result.astype(dtype)
    return narrow if np.array_equal(narrow.astype(np.float64), result) else result


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
