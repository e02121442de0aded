"""Operators that move numbers: the same function serves activations and, by numpy, constants."""

from __future__ import annotations

import numpy as np

from glocert.graph import lowering_select, lowering_shape
from glocert.graph.fold import check_room
from glocert.graph.onnx_operators.registry import Call, operator
from glocert.graph.values import BATCH, Activation, Constant, Unsupported, Value


def _full_shape(call: Call, x: Activation) -> list[int]:
    """Shape as the upload sees it, with the batch axis."""
    return [*_lead(call), *x.shape]


def _lead(call: Call) -> list[int]:
    if not call.emitter.batch.present:
        return []
    size = call.emitter.batch.size
    return [BATCH if size is None else size]


@operator("Flatten")
def flatten(call: Call) -> Value:
    """Emit a reshape to a matrix."""
    x, axis = call.value(0), call.integer("axis", 1)
    if isinstance(x, Activation):
        return lowering_shape.matrix(call.emitter, x, axis)
    rows = int(np.prod(x.array.shape[:axis], dtype=np.int64))
    return call.result(x.array.reshape(rows, -1))


@operator("Reshape")
def reshape(call: Call) -> Value:
    """Emit a reshape to a constant shape; 0 copies a length unless ``allowzero``."""
    x, target = call.value(0), call.integers(1)
    keep_zero = call.integer("allowzero", 0)
    if target is None:
        raise Unsupported("its target shape is missing")
    sizes = _full_shape(call, x) if isinstance(x, Activation) else list(x.array.shape)
    if not keep_zero:
        if any(entry == 0 and axis >= len(sizes) for axis, entry in enumerate(target)):
            raise Unsupported("its target shape copies an axis that is not there")
        target = tuple(sizes[axis] if entry == 0 else entry for axis, entry in enumerate(target))
    if isinstance(x, Activation):
        return lowering_shape.reshape(call.emitter, x, target)
    return call.result(x.array.reshape(target))


@operator("Transpose")
def transpose(call: Call) -> Value:
    """Emit a permutation of the axes, by default their reversal."""
    x = call.value(0)
    rank = len(x.shape) + call.emitter.offset if isinstance(x, Activation) else x.array.ndim
    perm = call.ints("perm", tuple(reversed(range(rank))))
    if isinstance(x, Activation):
        return lowering_shape.transpose(call.emitter, x, perm)
    return call.result(np.ascontiguousarray(x.array.transpose(perm)))


@operator("Unsqueeze")
def unsqueeze(call: Call) -> Value:
    """Insert axes of length one."""
    x, axes = call.value(0), call.integers(1, "axes")
    if axes is None:
        raise Unsupported("its axes are missing")
    sizes = _full_shape(call, x) if isinstance(x, Activation) else list(x.array.shape)
    rank = len(sizes) + len(axes)
    places = {axis % rank for axis in axes if -rank <= axis < rank}
    if len(places) != len(axes):
        raise Unsupported(f"its axes {list(axes)} are out of range")
    rest = iter(sizes)
    target = [1 if axis in places else next(rest) for axis in range(rank)]
    if isinstance(x, Constant):
        return call.result(x.array.reshape(target))
    if call.emitter.batch.present and 0 in places:
        raise Unsupported("it puts an axis before the batch axis")
    return lowering_shape.reshape(call.emitter, x, target)


@operator("Squeeze")
def squeeze(call: Call) -> Value:
    """Remove axes of length one."""
    x, axes = call.value(0), call.integers(1, "axes")
    sizes = _full_shape(call, x) if isinstance(x, Activation) else list(x.array.shape)
    rank = len(sizes)
    places = {axis % rank for axis in axes} if axes is not None else {a for a in range(rank) if sizes[a] == 1}
    if any(sizes[axis] != 1 for axis in places):
        raise Unsupported(f"its axes {sorted(places)} are not all of length one")
    target = [size for axis, size in enumerate(sizes) if axis not in places]
    if isinstance(x, Constant):
        return call.result(x.array.reshape(target))
    if call.emitter.batch.present and (0 in places or axes is None):
        raise Unsupported("it may remove the batch axis", "Name the axes to remove.")
    return lowering_shape.reshape(call.emitter, x, target)


@operator("Concat")
def concat(call: Call) -> Value:
    """Emit a concatenation."""
    values = [call.value(position) for position in range(len(call.inputs))]
    axis = call.integer("axis", 1)
    constants = [value.array for value in values if isinstance(value, Constant)]
    if len(constants) == len(values):
        check_room((sum(array.size for array in constants),), call.limits)
        return call.result(np.concatenate(constants, axis=axis))
    return lowering_shape.concat(call.emitter, values, axis)


@operator("Pad")
def pad(call: Call) -> Value:
    """Emit padding; its pads are attributes before opset 11 and inputs since."""
    x, mode = call.activation(), call.text("mode", "constant")
    pads = call.integers(1, "pads")
    value = call.number("value", 0.0) if call.has("value") else call.scalar(2, 0.0)
    rank = len(x.shape) + call.emitter.offset
    axes = call.integers(3)
    if pads is None or len(pads) != 2 * (rank if axes is None else len(axes)):
        raise Unsupported("its pads do not fit its input")
    half = len(pads) // 2
    places = range(rank) if axes is None else [axis % rank for axis in axes]
    begins, ends = dict.fromkeys(range(rank), 0), dict.fromkeys(range(rank), 0)
    begins.update(zip(places, pads[:half], strict=True))
    ends.update(zip(places, pads[half:], strict=True))
    return lowering_select.padded(call.emitter, x, list(begins.values()), list(ends.values()), mode, value)


@operator("Shape")
def shape(call: Call) -> Value:
    """Return the shape as a constant; the length of the batch stays open."""
    x = call.value(0)
    sizes = _full_shape(call, x) if isinstance(x, Activation) else list(x.array.shape)
    start, end = call.integer("start", 0), call.integer("end", len(sizes))
    return call.result(np.array(sizes[start:end], np.int64))
