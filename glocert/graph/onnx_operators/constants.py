"""Operators on constants only; each moves or converts numbers exactly."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from glocert.graph.fold import check_room
from glocert.graph.onnx_operators.registry import Call, operator
from glocert.graph.values import BATCH, Activation, Unsupported, Value


@operator("Constant")
def constant(call: Call) -> Value:
    """Return the stored value, in any of its attributes."""
    if call.has("value"):
        stored = call.tensor("value")
        if stored is not None:
            return stored
    for key, dtype in (("value_float", np.float32), ("value_int", np.int64)):
        if call.has(key):
            return call.result(np.array(call.attribute(key), dtype))
    for key, dtype in (("value_floats", np.float32), ("value_ints", np.int64)):
        if call.has(key):
            return call.result(np.array(call.attribute(key), dtype))
    raise Unsupported("its value is not a dense tensor")


@operator("ConstantOfShape")
def constant_of_shape(call: Call) -> Value:
    """Fill a tensor of a constant shape."""
    sizes, fill = call.integers(0), call.tensor("value")
    if sizes is None or any(size < 0 for size in sizes):
        raise Unsupported("its shape is not constant", "Export with a fixed batch size.")
    check_room(sizes, call.limits)
    value = np.zeros(1, np.float32) if fill is None else fill.array
    return call.result(np.full(sizes, value.ravel()[0], value.dtype))


@operator("Expand")
def expand(call: Call) -> Value:
    """Repeat a constant."""
    sizes = call.integers(1)
    if sizes is None or any(size < 0 for size in sizes):
        raise Unsupported("its shape is not constant", "Export with a fixed batch size.")
    x = call.constant(0)
    try:
        target = np.broadcast_shapes(x.array.shape, sizes)
    except ValueError:
        raise Unsupported(f"{list(x.array.shape)} cannot be expanded to {list(sizes)}") from None
    check_room(target, call.limits)
    return call.result(np.broadcast_to(x.array, target).copy())


@operator("Cast")
def cast(call: Call) -> Value:
    """Convert a constant where no number changes."""
    to = call.integer("to", TensorProto.UNDEFINED)
    call.attribute("saturate")
    x = call.value(0)
    if isinstance(x, Activation):
        raise Unsupported("a conversion of an activation is not supported", "Use one float type throughout.")
    try:
        dtype = helper.tensor_dtype_to_np_dtype(to)
    except KeyError:
        raise Unsupported("its target type is not supported") from None
    if (x.array == BATCH).any() and dtype != np.int64:
        raise Unsupported("it converts the length of the batch")
    with np.errstate(all="ignore"):
        converted = x.array.astype(dtype)
        back = converted.astype(x.array.dtype)
    if not np.array_equal(back, x.array):
        raise Unsupported("the conversion would change numbers")
    return call.result(converted.astype(np.float32) if dtype == np.float16 else converted)


@operator("Gather")
def gather(call: Call) -> Value:
    """Select entries of a constant."""
    x, indices, axis = call.constant(0).array, call.constant(1).array, call.integer("axis", 0)
    if not np.issubdtype(indices.dtype, np.integer) or not -x.ndim <= axis < x.ndim:
        raise Unsupported("its axis or indices are not valid")
    size = x.shape[axis]
    if ((indices < -size) | (indices >= size)).any():
        raise Unsupported("an index is out of range")
    rest = tuple(length for position, length in enumerate(x.shape) if position != axis % x.ndim)
    check_room((*indices.shape, *rest), call.limits)
    return call.result(np.take(x, indices, axis=axis))


@operator("Slice")
def slice_(call: Call) -> Value:
    """Cut a part out of a constant; bounds are attributes before opset 10 and inputs since."""
    x = call.constant(0).array
    starts, ends = call.integers(1, "starts"), call.integers(2, "ends")
    if starts is None or ends is None:
        raise Unsupported("its bounds are missing")
    axes = call.integers(3, "axes") or tuple(range(len(starts)))
    steps = call.integers(4) or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or min(map(abs, steps)) == 0:
        raise Unsupported("its bounds, axes and steps do not belong together")
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if not -x.ndim <= axis < x.ndim:
            raise Unsupported(f"axis {axis} is out of range")
        # An end before the first entry of a backward slice cannot be said with a negative number in Python.
        index[axis] = slice(start, None if step < 0 and end < -x.shape[axis] else end, step)
    return call.result(np.ascontiguousarray(x[tuple(index)]).reshape(x[tuple(index)].shape))
