"""Operators that give a tensor another shape or another order of its axes."""

from __future__ import annotations

import numpy as np

from glocert.graph import lowering_rearrange, lowering_shape
from glocert.graph.aten_operators.registry import Call, operator
from glocert.graph.lowering_select import pad_by_copies
from glocert.graph.values import Constant, Unsupported, Value

_PAD_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def reshaped(call: Call, x: Value, target: list[int]) -> Value:
    """Give a tensor the shape ``target`` of the upload."""
    if isinstance(x, Constant):
        return Constant(x.array.reshape(target), x.name)
    return lowering_shape.reshape(call.emitter, x, target)


def ordered(call: Call, x: Value, order: list[int]) -> Value:
    """Reorder the axes of the upload's tensor."""
    if isinstance(x, Constant):
        return Constant(np.ascontiguousarray(x.array.transpose(order)), x.name)
    return lowering_shape.transpose(call.emitter, x, order)


def place(axis: int, rank: int) -> int:
    """Count a negative axis from the end.

    Raises:
        Unsupported: it is out of range.
    """
    if not -rank <= axis < rank:
        raise Unsupported(f"axis {axis} is out of range for a tensor of rank {rank}")
    return axis % rank


@operator("aten::flatten", shares=True)
def flatten(call: Call) -> Value:
    """Merge neighbouring axes."""
    x = call.value(0)
    if isinstance(x, Constant):
        first, last = (place(call.integer(key, default), x.array.ndim) for key, default in ((1, 0), (2, -1)))
        shape = x.array.shape
        return reshaped(call, x, [*shape[:first], -1, *shape[last + 1 :]])
    return lowering_shape.flatten(call.emitter, x, call.integer(1, 0), call.integer(2, -1))


@operator("aten::view", "aten::reshape", "aten::_unsafe_view", shares=True)
def reshape(call: Call) -> Value:
    """Give the tensor another shape."""
    if call.argument("dtype") is not None:
        raise Unsupported("it reads the bits of a tensor as another type")
    return reshaped(call, call.value(0), list(call.integers(1)))


@operator("aten::view_as", "aten::reshape_as", shares=True)
def reshape_as(call: Call) -> Value:
    """Give the tensor the shape of another one."""
    return reshaped(call, call.value(0), call.full(call.value(1)))


@operator("aten::unflatten", shares=True)
def unflatten(call: Call) -> Value:
    """Split one axis into several, of which one may be -1."""
    x = call.value(0)
    shape = call.full(x)
    axis, sizes = place(call.integer("dim", 0), len(shape)), list(call.lengths("sizes"))
    if axis < call.emitter.offset and not isinstance(x, Constant):
        raise Unsupported("it splits the batch axis", lowering_shape.ALONE)
    known = int(np.prod([size for size in sizes if size != -1]))
    if -1 in sizes and known > 0:
        sizes[sizes.index(-1)] = shape[axis] // known
    if int(np.prod(sizes)) != shape[axis]:
        raise Unsupported(f"an axis of length {shape[axis]} does not split into {sizes}")
    return reshaped(call, x, [*shape[:axis], *sizes, *shape[axis + 1 :]])


@operator("aten::permute", shares=True)
def permute(call: Call) -> Value:
    """Reorder the axes."""
    return ordered(call, call.value(0), list(call.integers(1)))


@operator("aten::transpose", "aten::swapaxes", "aten::swapdims", shares=True)
def transpose(call: Call) -> Value:
    """Exchange two axes."""
    x = call.value(0)
    rank = len(call.full(x))
    order = list(range(rank))
    first, second = (place(call.integer(position, 0), rank) for position in (1, 2))
    order[first], order[second] = order[second], order[first]
    return ordered(call, x, order)


@operator("aten::mT", "aten::adjoint", shares=True)
def matrices_transposed(call: Call) -> Value:
    """Exchange the last two axes."""
    x = call.value(0)
    rank = len(call.full(x))
    if rank < 2:
        raise Unsupported("it takes matrices")
    return ordered(call, x, [*range(rank - 2), rank - 1, rank - 2])


@operator("aten::movedim", "aten::moveaxis", shares=True)
def moved(call: Call) -> Value:
    """Move axes elsewhere; the others keep their order."""
    x = call.value(0)
    rank = len(call.full(x))
    sources, targets = ([place(axis, rank) for axis in call.integers(position)] for position in (1, 2))
    if len(sources) != len(targets) or len(set(sources)) < len(sources) or len(set(targets)) < len(targets):
        raise Unsupported("its axes do not fit together")
    rest = [axis for axis in range(rank) if axis not in sources]
    result = [-1] * rank
    for source, target in zip(sources, targets, strict=True):
        result[target] = source
    return ordered(call, x, [axis if axis >= 0 else rest.pop(0) for axis in result])


@operator("aten::unsqueeze", shares=True)
def unsqueeze(call: Call) -> Value:
    """Insert an axis of length one."""
    x = call.value(0)
    shape = call.full(x)
    where = place(call.integer(1, 0), len(shape) + 1)
    if where < call.emitter.offset and not isinstance(x, Constant):
        raise Unsupported("it puts an axis before the batch axis")
    return reshaped(call, x, [*shape[:where], 1, *shape[where:]])


@operator("aten::squeeze", shares=True)
def squeeze(call: Call) -> Value:
    """Remove axes of length one that are named."""
    x = call.value(0)
    shape = call.full(x)
    if call.argument(1) is None:
        if call.emitter.batch.present and not isinstance(x, Constant):
            raise Unsupported("it may remove the batch axis", "Name the axis to remove.")
        return reshaped(call, x, [size for size in shape if size != 1])
    axes = {place(axis, len(shape)) for axis in call.integers(1)}
    if not isinstance(x, Constant) and any(axis < call.emitter.offset for axis in axes):
        raise Unsupported("it acts on the batch axis", lowering_shape.ALONE)
    return reshaped(call, x, [size for axis, size in enumerate(shape) if axis not in axes or size != 1])


@operator("aten::cat", "aten::concat", "aten::concatenate")
def concat(call: Call) -> Value:
    """Join tensors along an axis."""
    parts = call.argument(0)
    if isinstance(parts, list) and parts and all(isinstance(part, Constant) for part in parts):
        axis = place(call.integer(1, 0), parts[0].array.ndim)
        return Constant(np.concatenate([part.array for part in parts], axis), call.emitter.output)
    return lowering_shape.concat(call.emitter, call.values(0), call.integer(1, 0))


@operator("aten::stack")
def stack(call: Call) -> Value:
    """Join tensors along a new axis."""
    parts = call.values(0)
    rank = max(len(call.full(part)) for part in parts) + 1
    axis = place(call.integer(1, 0), rank)
    if axis < call.emitter.offset:
        raise Unsupported("it puts an axis before the batch axis")
    lifted = []
    for part in parts:
        shape = call.full(part)
        lifted.append(reshaped(call, part, [*shape[:axis], 1, *shape[axis:]]))
    return lowering_shape.concat(call.emitter, lifted, axis)


@operator("aten::constant_pad_nd", "aten::pad", "aten::reflection_pad1d", "aten::reflection_pad2d")
@operator("aten::replication_pad1d", "aten::replication_pad2d")
def pad(call: Call) -> Value:
    """Surround with a constant or with copies; the pads begin with the last axis."""
    x, pads = call.activation(), call.lengths(1)
    rank = len(call.full(x))
    if len(pads) % 2 or len(pads) > 2 * rank:
        raise Unsupported("its pads do not fit its input")
    missing = [0] * (rank - len(pads) // 2)
    begins, ends = [*missing, *reversed(pads[::2])], [*missing, *reversed(pads[1::2])]
    mode = str(call.argument("mode", "constant")) if call.kind == "aten::pad" else _mode(call.kind)
    if mode != "constant":
        if mode not in _PAD_MODES:
            raise Unsupported(f"mode {mode!r} is not supported")
        return pad_by_copies(call.emitter, x, begins, ends, _PAD_MODES[mode])
    value = 0.0 if call.argument("value") is None else call.number("value", 0.0)
    if min(pads, default=0) < 0:
        raise Unsupported("negative pads cut numbers off")
    return lowering_shape.pad(call.emitter, x, begins, ends, value)


def _mode(kind: str) -> str:
    if kind.startswith("aten::reflection"):
        return "reflect"
    return "replicate" if kind.startswith("aten::replication") else "constant"


@operator("aten::pixel_shuffle")
def pixel_shuffle(call: Call) -> Value:
    """Turn channels into pixels."""
    factor = call.integer(1, 1)
    return lowering_rearrange.depth_to_space(call.emitter, call.activation(), factor, columns_first=True)


@operator("aten::pixel_unshuffle")
def pixel_unshuffle(call: Call) -> Value:
    """Turn pixels into channels."""
    factor = call.integer(1, 1)
    return lowering_rearrange.space_to_depth(call.emitter, call.activation(), factor, columns_first=True)


@operator("aten::channel_shuffle")
def channel_shuffle(call: Call) -> Value:
    """Interleave groups of channels."""
    x, groups = call.activation(), call.integer(1, 1)
    shape = call.full(x)
    if len(shape) < 3 or groups < 1 or shape[1] % groups:
        raise Unsupported(f"its channels do not fall into {groups} groups")
    split = reshaped(call, x, [shape[0], groups, shape[1] // groups, *shape[2:]])
    turned = ordered(call, split, [0, 2, 1, *range(3, len(shape) + 1)])
    return reshaped(call, turned, shape)
