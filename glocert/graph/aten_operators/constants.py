"""Tensors that are made of nothing but a shape."""

from __future__ import annotations

import numpy as np

from glocert.graph.aten_operators.registry import Call, operator
from glocert.graph.fold import check_room
from glocert.graph.values import BATCH, Constant, Unsupported

_TYPES = {1: "int8", 3: "int32", 4: "int64", 6: "float32", 7: "float64", 11: "bool"}
_FILLED = {"zeros": 0.0, "new_zeros": 0.0, "zeros_like": 0.0, "ones": 1.0, "new_ones": 1.0, "ones_like": 1.0}


def _type(call: Call, default: str) -> str:
    wanted = call.argument("dtype")
    if wanted is None:
        return default
    if wanted not in _TYPES:
        raise Unsupported("it makes a tensor of a type that is not supported")
    return _TYPES[wanted]


def _shaped(call: Call) -> list[int]:
    if call.kind.endswith("_like"):
        return call.full(call.value(0))
    return list(call.integers("size"))


@operator("aten::zeros", "aten::ones", "aten::full", "aten::zeros_like", "aten::ones_like", "aten::full_like")
@operator("aten::new_zeros", "aten::new_ones", "aten::new_full")
def filled(call: Call) -> Constant:
    """Make a tensor of one number; one with a row for every sample has a row that stands for all."""
    name = call.kind.removeprefix("aten::")
    value = _FILLED[name] if name in _FILLED else call.number("fill_value", 0.0)
    shape = _shaped(call)
    every = shape[:1] == [BATCH]
    shape = [1, *shape[1:]] if every else shape
    if BATCH in shape or min(shape, default=1) < 1:
        raise Unsupported("it computes with the length of the batch")
    check_room(tuple(shape), call.emitter.builder.limits)
    return Constant(np.full(shape, value, _type(call, call.dtype)), call.emitter.output, every=every)


@operator("aten::arange")
def arange(call: Call) -> Constant:
    """Make a tensor of whole numbers in order."""
    start, step = call.integer("start", 0), call.integer("step", 1)
    end = call.integer("end", 0)
    if BATCH in (start, end, step) or step == 0:
        raise Unsupported("it computes with the length of the batch")
    check_room((len(range(start, end, step)),), call.emitter.builder.limits)
    numbers = np.arange(start, end, step, dtype=np.int64)
    return Constant(numbers.astype(_type(call, "int64")), call.emitter.output)
