"""Operators that select, repeat or split."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocert.graph import lowering_select
from glocert.graph.aten_operators.movement import place
from glocert.graph.aten_operators.registry import Call, operator
from glocert.graph.fold import check_room
from glocert.graph.values import BATCH, Activation, Constant, Unsupported, Value

_END = 2**63 - 1


@operator("aten::slice", shares=True)
def sliced(call: Call) -> Value | list[object]:
    """Take a range of an axis; of a list, a range of its entries."""
    if isinstance(call.argument(0), list):
        entries: list[object] = call.argument(0)
        start, stop, step = (call.argument(position) for position in (1, 2, 3))
        if BATCH in (start, stop, step):
            raise Unsupported("it computes with the length of the batch")
        return entries[start:stop:step]
    start = 0 if call.argument("start") is None else call.integer("start", 0)
    stop = _END if call.argument("end") is None else call.integer("end", 0)
    return _sliced(call, call.value(0), call.integer("dim", 0), start, stop, call.integer("step", 1))


def _sliced(call: Call, x: Value, axis: int, start: int, stop: int, step: int = 1) -> Value:
    if step < 1:
        raise Unsupported(f"its step {step} is not above zero")
    if isinstance(x, Activation):
        return lowering_select.slice_(call.emitter, x, axis, start, stop, step)
    index = [slice(None)] * x.array.ndim
    index[place(axis, x.array.ndim)] = slice(start, stop, step)
    return Constant(np.ascontiguousarray(x.array[tuple(index)]), x.name)


@operator("aten::narrow", shares=True)
def narrow(call: Call) -> Value:
    """Take ``length`` entries of an axis from ``start`` on."""
    x = call.value(0)
    axis, start, length = (call.integer(key, 0) for key in ("dim", "start", "length"))
    size = call.full(x)[place(axis, len(call.full(x)))]
    if size == BATCH:
        return _sliced(call, x, axis, start, start + length)
    start = start + size if start < 0 else start
    if not 0 <= start <= start + length <= size:
        raise Unsupported(f"its range is outside an axis of length {size}")
    return _sliced(call, x, axis, start, start + length)


@operator("aten::select", shares=True)
def selected(call: Call) -> Value:
    """Take one entry of an axis, which goes away."""
    return _picked(call, call.value(0), call.integer("dim", 0), np.array(call.integer("index", 0)))


@operator("aten::index_select")
def index_selected(call: Call) -> Value:
    """Take entries of an axis at known places."""
    return _picked(call, call.value(0), call.integer("dim", 0), _places(call.argument("index")))


def _places(index: object) -> NDArray[Any]:
    if not isinstance(index, Constant) or index.is_float or index.array.dtype == bool:
        raise Unsupported("its places are not known whole numbers")
    return np.asarray(index.array)


def _picked(call: Call, x: Value, axis: int, places: NDArray[Any]) -> Value:
    if isinstance(x, Activation):
        return lowering_select.gather(call.emitter, x, axis, places)
    return Constant(np.ascontiguousarray(x.array.take(places, place(axis, x.array.ndim))), x.name)


@operator("aten::index")
def indexed(call: Call) -> Value:
    """Take entries at known places of one axis."""
    indices = call.argument("indices")
    named = [axis for axis, index in enumerate(indices) if index is not None]
    if len(named) != 1:
        raise Unsupported("it indexes several axes at once", "Index one axis after the other.")
    return _picked(call, call.value(0), named[0], _places(indices[named[0]]))


@operator("aten::split", "aten::split_with_sizes", "aten::chunk", "aten::tensor_split", shares=True)
@operator("aten::unsafe_split", "aten::unsafe_split_with_sizes", "aten::unsafe_chunk", shares=True)
def split(call: Call) -> list[Value]:
    """Cut an axis into consecutive parts."""
    x, axis = call.value(0), call.integer("dim", 0)
    size = call.full(x)[place(axis, len(call.full(x)))]
    if size == BATCH:
        raise Unsupported("it cuts the batch axis", "Every sample must be computed on its own.")
    sizes = _sizes(call, size)
    if isinstance(x, Activation):
        return list(lowering_select.split(call.emitter, x, axis, sizes))
    starts = np.cumsum([0, *sizes]).tolist()
    return [_sliced(call, x, axis, start, stop) for start, stop in pairwise(starts)]


def _sizes(call: Call, size: int) -> list[int]:
    """Return the lengths of the parts as torch counts them."""
    if "chunk" in call.kind:
        step = -(-size // max(call.integer("chunks", 1), 1))
    elif call.kind == "aten::tensor_split":
        if isinstance(call.argument(1), list):
            cuts = [0, *call.lengths(1), size]
            return [stop - start for start, stop in pairwise(cuts)]
        parts = max(call.integer(1, 1), 1)
        return [size // parts + (place_ < size % parts) for place_ in range(parts)]
    elif isinstance(call.argument(1), list):
        return list(call.lengths(1))
    else:
        step = call.integer(1, 1)
    if step < 1:
        raise Unsupported("its parts have no length")
    return [min(step, size - start) for start in range(0, size, step)]


@operator("aten::unbind", shares=True)
def unbind(call: Call) -> list[Value]:
    """Take every entry of an axis by itself."""
    x, axis = call.value(0), call.integer("dim", 0)
    size = call.full(x)[place(axis, len(call.full(x)))]
    if size == BATCH:
        raise Unsupported("it takes the batch apart", "Every sample must be computed on its own.")
    if size > call.emitter.builder.limits.nodes:
        raise Unsupported(f"it takes an axis of length {size} apart")
    return [_picked(call, x, axis, np.array(position)) for position in range(size)]


def _target(call: Call, x: Value, wanted: list[int]) -> list[int]:
    """Replace the lengths of -1, which keep what is there."""
    shape = call.full(x)
    missing = len(wanted) - len(shape)
    if missing < 0:
        raise Unsupported(f"{wanted} has fewer axes than its input")
    old = [1] * missing + shape
    if -1 in wanted[:missing]:
        raise Unsupported("it keeps the length of an axis that is not there")
    return [was if entry == -1 else entry for entry, was in zip(wanted, old, strict=True)]


@operator("aten::expand", "aten::expand_as", "aten::broadcast_to", shares=True)
def expand(call: Call) -> Value:
    """Repeat axes of length one."""
    x = call.value(0)
    if call.kind == "aten::expand_as":
        wanted = call.full(call.value(1))
    else:
        wanted = _target(call, x, list(call.integers(1)))
    if isinstance(x, Activation):
        return lowering_select.expand(call.emitter, x, wanted)
    if wanted[:1] == [BATCH]:
        return _for_every_sample(call, x, wanted)
    if BATCH in wanted:
        raise Unsupported("it computes with the length of the batch")
    check_room(tuple(wanted), call.emitter.builder.limits)
    return Constant(np.ascontiguousarray(np.broadcast_to(x.array, wanted)), x.name)


def _for_every_sample(call: Call, x: Constant, wanted: list[int]) -> Constant:
    """Return a weight that is handed to every sample: a batch axis of length one that stands for any."""
    array = x.array.reshape((1,) * (len(wanted) - x.array.ndim) + x.array.shape)
    if array.shape[0] != 1 or BATCH in wanted[1:]:
        raise Unsupported(f"its operand {x.name!r} differs from sample to sample")
    check_room(tuple(wanted[1:]), call.emitter.builder.limits)
    array = np.ascontiguousarray(np.broadcast_to(array, (1, *wanted[1:])))
    return Constant(array, x.name, every=True)


@operator("aten::repeat", "aten::tile")
def repeated(call: Call) -> Value:
    """Put copies side by side along every axis."""
    x, counts = call.value(0), list(call.integers(1))
    shape = call.full(x)
    if isinstance(x, Constant):
        return _repeated_weight(call, x, counts)
    if call.kind == "aten::tile":
        counts = [1] * (len(shape) - len(counts)) + counts
    if len(counts) != len(shape) or BATCH in counts:
        raise Unsupported("it puts axes before the batch axis, or repeats the batch")
    return lowering_select.tile(call.emitter, x, counts)


def _repeated_weight(call: Call, x: Constant, counts: list[int]) -> Constant:
    if counts[:1] == [BATCH] and len(counts) >= x.array.ndim:
        shape = [1] * (len(counts) - x.array.ndim) + list(x.array.shape)
        inner = [size * count for size, count in zip(shape[1:], counts[1:], strict=True)]
        check_room(tuple(inner), call.emitter.builder.limits)
        whole = Constant(np.tile(x.array.reshape(shape), [1, *counts[1:]]), x.name)
        return _for_every_sample(call, whole, [BATCH, *inner])
    if BATCH in counts or min(counts, default=1) < 1:
        raise Unsupported("its counts are not known")
    check_room((x.array.size, *counts), call.emitter.builder.limits)
    return Constant(np.tile(x.array, counts), x.name)


@operator("aten::repeat_interleave")
def repeat_interleaved(call: Call) -> Value:
    """Repeat every entry of an axis."""
    x, axis, count = call.activation(), call.argument("dim"), call.integer("repeats", 1)
    if axis is None or count < 1:
        raise Unsupported("it repeats the entries of no named axis")
    inner = call.emitter.axis(call.integer("dim", 0), len(x.shape))
    lowering_select.check_length(call.emitter, x.shape[inner] * count)
    places = np.repeat(np.arange(x.shape[inner]), count)
    return lowering_select.take(call.emitter, x, inner, places.tolist())


@operator("aten::flip")
def flip(call: Call) -> Value:
    """Reverse axes."""
    return lowering_select.flip(call.emitter, call.activation(), call.integers("dims"))


@operator("aten::roll")
def roll(call: Call) -> Value:
    """Rotate axes, or all numbers of a tensor without a batch."""
    x, shifts, axes = call.activation(), call.lengths("shifts"), call.integers("dims")
    if len(axes) != len(shifts):
        raise Unsupported("it rotates all axes as one", "Name the axes.")
    for axis, shift in zip(axes, shifts, strict=True):
        x = lowering_select.roll(call.emitter, x, axis, shift)
    return x
