"""Operators that make constants, and how constants are selected and converted; each is exact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from glocert.graph.fold import check_known, check_room
from glocert.graph.lowering_select import slice_positions
from glocert.graph.onnx_operators.registry import Call, folds
from glocert.graph.values import BATCH, Constant, Unsupported, Value

_STORED: Mapping[str, Any] = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}
OPEN = "its shape is not constant"
FIXED = "Export with a fixed batch size."


@folds("Constant")
def constant(call: Call) -> Value:
    """Return the stored value, in any of its attributes."""
    stored = call.tensor("value")
    if stored is not None:
        return stored
    for key, dtype in _STORED.items():
        if call.has(key):
            return call.result(np.array(call.attribute(key), dtype))
    raise Unsupported("its value is not a dense tensor")


def rows(call: Call, sizes: tuple[int, ...]) -> tuple[tuple[int, ...], bool]:
    """Return a shape whose open batch axis, where it is the first one, has length one, and whether it was."""
    every = call.emitter.batch.present and sizes[:1] == (BATCH,)
    shape = (1, *sizes[1:]) if every else sizes
    if any(size < 0 for size in shape):
        raise Unsupported(OPEN, FIXED)
    check_room(shape, call.limits)
    return shape, every


@folds("ConstantOfShape")
def constant_of_shape(call: Call) -> Value:
    """Fill a tensor of a constant shape."""
    sizes, fill = call.integers(0), call.tensor("value")
    if sizes is None:
        raise Unsupported(OPEN, FIXED)
    shape, every = rows(call, sizes)
    value = np.zeros(1, np.float32) if fill is None else fill.array
    return Constant(np.full(shape, value.ravel()[0], value.dtype), call.emitter.output, every)


@folds("Range")
def range_(call: Call) -> Value:
    """Count from a start to a limit."""
    start, limit, step = (call.constant(position).array for position in range(3))
    check_known(start, limit, step)
    if step == 0:
        raise Unsupported("its step is zero")
    count = max(int(np.ceil((limit.item() - start.item()) / step.item())), 0)
    check_room((count,), call.limits)
    return call.result((start + np.arange(count) * step).astype(start.dtype))


@folds("Expand")
def expand(call: Call) -> Value:
    """Repeat a constant."""
    sizes, x = call.integers(1), call.constant(0)
    if sizes is None:
        raise Unsupported(OPEN, FIXED)
    shape, every = rows(call, sizes)
    try:
        target = np.broadcast_shapes(x.array.shape, shape)
    except ValueError:
        raise Unsupported(f"{list(x.array.shape)} cannot be expanded to {list(shape)}") from None
    check_room(target, call.limits)
    if every and target[0] != 1:
        call.emitter.batch.pin(target[0])
        every = False
    return Constant(np.broadcast_to(x.array, target).copy(), call.emitter.output, every)


@folds("Tile")
def tile(call: Call) -> Value:
    """Put copies of a constant side by side."""
    x, repeats = call.constant(0).array, call.integers(1) or ()
    if len(repeats) != x.ndim or min(repeats, default=0) < 0:
        raise Unsupported("its repeats do not fit its input", FIXED)
    check_room(tuple(size * count for size, count in zip(x.shape, repeats, strict=True)), call.limits)
    return call.result(np.tile(x, repeats))


def converted(array: NDArray[Any], dtype: Any) -> tuple[NDArray[Any], bool]:
    """Return an array in another type, and whether a number changed.

    Raises:
        Unsupported: the length of the batch is among the numbers, or a number has no counterpart.
    """
    if (array == BATCH).any() and dtype != np.int64:
        check_known(array)
    with np.errstate(all="ignore"):
        result = array.astype(dtype)
    if np.issubdtype(dtype, np.integer) and np.issubdtype(array.dtype, np.floating):
        if not (np.abs(array) < 2**31).all():
            raise Unsupported("the conversion is not defined")
        return result, False  # cutting off the fraction is what the operator is for
    return result, not np.array_equal(result.astype(array.dtype), array)


@folds("Cast")
def cast(call: Call) -> Value:
    """Convert a constant; a float that does not fit the new type is rounded as a runtime rounds it."""
    to = call.integer("to", TensorProto.UNDEFINED)
    for key in ("saturate", "round_mode"):
        call.attribute(key)
    try:
        dtype = helper.tensor_dtype_to_np_dtype(to)
    except KeyError:
        raise Unsupported("its target type is not supported") from None
    if not any(np.issubdtype(dtype, kind) for kind in (np.floating, np.integer, np.bool_)):
        raise Unsupported("its target type is not supported")
    x = call.constant(0)
    result, changed = converted(x.array, dtype)
    if changed and np.dtype(dtype) != np.bool_:
        if not x.is_float or not np.array_equal(np.isfinite(x.array), np.isfinite(result)):
            raise Unsupported("the conversion would change numbers")
        call.note_rounding()
    return call.result(result.astype(np.float32) if dtype == np.float16 else result)


@folds("Gather")
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


@folds("Slice")
def slice_(call: Call) -> Value:
    """Cut a part out of a constant."""
    x = call.constant(0).array
    for axis, start, stop, step in slices(call, x.ndim):
        if not -x.ndim <= axis < x.ndim:
            raise Unsupported(f"axis {axis} is out of range")
        if BATCH in (start, stop):
            raise Unsupported("its bounds depend on the length of the batch", FIXED)
        positions = slice_positions(x.shape[axis], start, stop, step)
        x = np.take(x, np.asarray(positions, np.int64), axis=axis)
    return call.result(x)


def slices(call: Call, rank: int) -> list[tuple[int, int, int, int]]:
    """Return (axis, start, stop, step) of a Slice; bounds are attributes before opset 10 and inputs since.

    Raises:
        Unsupported: they are missing or do not belong together.
    """
    starts, stops = call.integers(1, "starts"), call.integers(2, "ends")
    if starts is None or stops is None:
        raise Unsupported("its bounds are missing")
    axes = call.integers(3, "axes")
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = call.integers(4)
    steps = (1,) * len(starts) if steps is None else steps
    if not len(starts) == len(stops) == len(axes) == len(steps):
        raise Unsupported("its bounds, axes and steps do not belong together")
    if len({axis % rank for axis in axes if rank}) != len(axes):
        raise Unsupported("it names an axis twice")
    return list(zip(axes, starts, stops, steps, strict=True))


@folds("NonZero")
def non_zero(call: Call) -> Value:
    """Return the positions of the entries that are not zero, shape (axes, how many)."""
    x = call.constant(0).array
    return call.result(np.array(np.nonzero(x), np.int64).reshape(x.ndim, -1))


@folds("Size")
def size(call: Call) -> Value:
    """Return how many numbers a constant holds."""
    return call.result(np.array(call.constant(0).array.size, np.int64))


@folds("Trilu")
def triangle(call: Call) -> Value:
    """Return the upper or the lower triangle of matrices."""
    x = call.constant(0).array
    diagonal = int(call.scalar(1, 0))
    return call.result(np.triu(x, diagonal) if call.integer("upper", 1) else np.tril(x, diagonal))


@folds("EyeLike")
def eye_like(call: Call) -> Value:
    """Return ones on a diagonal, in the shape of a constant."""
    x, to = call.constant(0).array, call.integer("dtype", TensorProto.UNDEFINED)
    dtype = helper.tensor_dtype_to_np_dtype(to) if to else x.dtype
    height, width = x.shape
    return call.result(np.eye(height, width, k=call.integer("k", 0)).astype(dtype))
