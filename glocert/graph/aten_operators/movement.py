"""Operators that move numbers."""

from __future__ import annotations

import numpy as np

from glocert.graph import lowering_shape
from glocert.graph.aten_operators.registry import Call, operator
from glocert.graph.values import BATCH, Activation, Constant, Unsupported, Value


@operator("aten::flatten", shares=True)
def flatten(call: Call) -> Value:
    """Merge neighbouring axes."""
    return lowering_shape.flatten(call.emitter, call.activation(), call.integer(1, 0), call.integer(2, -1))


@operator("aten::view", "aten::reshape", shares=True)
def reshape(call: Call) -> Value:
    """Give the tensor another shape."""
    x, target = call.value(0), call.integers(1)
    if isinstance(x, Constant):
        return Constant(x.array.reshape(target), x.name)
    return lowering_shape.reshape(call.emitter, x, target)


@operator("aten::permute", shares=True)
def permute(call: Call) -> Value:
    """Reorder the axes."""
    return _reordered(call, call.integers(1))


@operator("aten::transpose", "aten::swapaxes", shares=True)
def transpose(call: Call) -> Value:
    """Exchange two axes."""
    x = call.value(0)
    rank = len(x.shape) + 1 if isinstance(x, Activation) else x.array.ndim
    order = list(range(rank))
    first, second = call.integer(1, 0), call.integer(2, 0)
    if not (-rank <= first < rank and -rank <= second < rank):
        raise Unsupported("its axes are out of range")
    order[first], order[second] = order[second], order[first]
    return _reordered(call, tuple(order))


def _reordered(call: Call, order: tuple[int, ...]) -> Value:
    x = call.value(0)
    if isinstance(x, Constant):
        return Constant(np.ascontiguousarray(x.array.transpose(order)), x.name)
    return lowering_shape.transpose(call.emitter, x, order)


@operator("aten::unsqueeze", shares=True)
def unsqueeze(call: Call) -> Value:
    """Insert an axis of length one."""
    x, axis = call.activation(), call.integer(1, 0)
    rank = len(x.shape) + 1
    place = axis + rank + 1 if axis < 0 else axis
    if not 1 <= place <= rank:
        raise Unsupported("it puts an axis before the batch axis")
    return lowering_shape.reshape(call.emitter, x, [BATCH, *x.shape[: place - 1], 1, *x.shape[place - 1 :]])


@operator("aten::squeeze", shares=True)
def squeeze(call: Call) -> Value:
    """Remove axes of length one that are named."""
    x = call.activation()
    if call.argument(1) is None:
        raise Unsupported("it may remove the batch axis", "Name the axis to remove.")
    axes = {call.emitter.axis(axis, len(x.shape)) for axis in call.integers(1)}
    kept = [size for axis, size in enumerate(x.shape) if axis not in axes or size != 1]
    return lowering_shape.reshape(call.emitter, x, [BATCH, *kept])


@operator("aten::cat", "aten::concat")
def concat(call: Call) -> Value:
    """Join tensors along an axis."""
    parts = call.argument(0)
    if not isinstance(parts, list) or not all(isinstance(part, Activation | Constant) for part in parts):
        raise Unsupported("it joins something other than tensors")
    if not any(isinstance(part, Activation) for part in parts):
        raise Unsupported("it computes with constants only")
    return lowering_shape.concat(call.emitter, parts, call.integer(1, 0))


@operator("aten::constant_pad_nd", "aten::pad")
def pad(call: Call) -> Value:
    """Surround with a constant; the pads begin with the last axis."""
    x, pads = call.activation(), call.integers(1)
    position = 2
    if call.kind == "aten::pad":
        if call.argument(2, "constant") != "constant":
            raise Unsupported(f"mode {call.argument(2)!r} is not supported")
        position = 3
    value = 0.0 if call.argument(position) is None else call.number(position, 0.0)
    rank = len(x.shape) + 1
    if len(pads) % 2 or len(pads) > 2 * rank:
        raise Unsupported("its pads do not fit its input")
    missing = [0] * (rank - len(pads) // 2)
    begins, ends = [*missing, *reversed(pads[::2])], [*missing, *reversed(pads[1::2])]
    return lowering_shape.pad(call.emitter, x, begins, ends, value)
