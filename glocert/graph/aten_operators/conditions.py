"""Truth values: of weights, of shapes, and of activations where the answer is the same for all of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from glocert.graph.aten_operators.registry import Call, operator
from glocert.graph.aten_operators.scalars import compared_numbers
from glocert.graph.values import Activation, Constant, Unsupported, Value

_JUMPS = "a comparison of tensors is not piecewise linear"


@operator("aten::eq", "aten::ne", "aten::lt", "aten::le", "aten::gt", "aten::ge")
def compared(call: Call) -> Any:
    """Compare two numbers, strings or lists, or a tensor with infinity, which no activation is."""
    first, second = call.arguments[:2]
    if not isinstance(first, Activation | Constant) and not isinstance(second, Activation | Constant):
        return compared_numbers(call)
    infinite = isinstance(second, float) and math.isinf(second)
    if not isinstance(first, Activation) or not infinite or call.kind not in {"aten::eq", "aten::ne"}:
        raise Unsupported(_JUMPS)
    every = call.emitter.offset > 0
    shape = (*([1] * call.emitter.offset), *first.shape)
    return Constant(np.full(shape, call.kind == "aten::ne"), call.emitter.output, every=every)


def _truth(call: Call) -> Constant:
    x = call.argument(0)
    if not isinstance(x, Constant) or x.array.dtype != bool:
        raise Unsupported(_JUMPS)
    return x


@operator("aten::logical_not", "aten::bitwise_not")
def opposite(call: Call) -> Constant:
    """Return the opposite of known truth values."""
    x = _truth(call)
    return Constant(~x.array, x.name, every=x.every)


@operator("aten::any", "aten::all")
def joined(call: Call) -> Any:
    """Join known truth values of a list, or of a tensor along one axis."""
    join = any if call.kind == "aten::any" else all
    entries = call.argument(0)
    if isinstance(entries, list | tuple):
        if not all(isinstance(entry, bool) for entry in entries):
            raise Unsupported("it joins truth values that are not known")
        return join(entries)
    x = _truth(call)
    axis = call.integer("dim", 0)
    if "dim" not in call.names or not -x.array.ndim <= axis < x.array.ndim:
        raise Unsupported("it joins truth values of no known axis")
    if x.every and axis % x.array.ndim == 0:
        raise Unsupported("it acts on the batch axis")
    reduce = np.any if call.kind == "aten::any" else np.all
    result = reduce(x.array, axis=axis, keepdims=call.flag("keepdim", False))
    return Constant(np.asarray(result), x.name, every=x.every)


@operator("aten::where")
def chosen(call: Call) -> Value:
    """Return one of two tensors, where the same one is chosen everywhere."""
    if len(call.arguments) != 3:
        raise Unsupported("it looks for places, which jumps")
    condition = _truth(call)
    if condition.array.size == 0 or (condition.array != condition.array.flat[0]).any():
        raise Unsupported("it chooses from one tensor here and from the other there")
    taken, left = (1, 2) if condition.array.flat[0] else (2, 1)
    result, other = call.value(taken), call.value(left)
    shapes = [_ones(call, value) for value in (condition, other, result)]
    if np.broadcast_shapes(*shapes) != shapes[-1]:
        raise Unsupported("it repeats the tensor that it chooses")
    return result


def _ones(call: Call, value: Value) -> tuple[int, ...]:
    """Return the shape in the upload, one for the length of the batch."""
    if isinstance(value, Constant):
        return value.array.shape
    return (*([1] * call.emitter.offset), *value.shape)
