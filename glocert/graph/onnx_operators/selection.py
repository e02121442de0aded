"""Operators that pick, repeat, write and choose entries of activations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from glocert.graph import lowering_rearrange, lowering_select
from glocert.graph.fold import check_room
from glocert.graph.lowering import add
from glocert.graph.onnx_operators.constants import slices
from glocert.graph.onnx_operators.registry import Call, Result, operator
from glocert.graph.shapes import ShapeError
from glocert.graph.values import Activation, Constant, Unsupported, Value

_ONE_TYPE = "Use one float type throughout."


def _indices(call: Call, position: int) -> NDArray[np.integer[Any]]:
    indices = call.constant(position).array
    if not np.issubdtype(indices.dtype, np.integer):
        raise Unsupported(f"input {position} must hold integers")
    return indices


@operator("Gather")
def gather(call: Call) -> Value:
    """Emit a selection with constant indices."""
    return lowering_select.gather(call.emitter, call.activation(), call.integer("axis", 0), _indices(call, 1))


@operator("Slice")
def slice_(call: Call) -> Value:
    """Emit a part of a tensor."""
    x = call.activation()
    for axis, start, stop, step in slices(call, len(x.shape) + call.emitter.offset):
        x = lowering_select.slice_(call.emitter, x, axis, start, stop, step)
    return x


@operator("Split")
def split(call: Call) -> Result:
    """Emit several parts of a tensor; their lengths are an attribute before opset 13 and an input since."""
    x, axis = call.value(0), call.integer("axis", 0)
    parts = call.integer("num_outputs", len(call.outputs))
    if not all(call.outputs):
        raise ShapeError("it leaves an output out")
    sizes = call.integers(1, "split")
    rank = x.array.ndim if isinstance(x, Constant) else len(x.shape) + call.emitter.offset
    if not -rank <= axis < rank:
        raise Unsupported(f"axis {axis} is out of range for a tensor of rank {rank}")
    length = (
        x.array.shape[axis] if isinstance(x, Constant) else x.shape[call.emitter.axis(axis, len(x.shape))]
    )
    if not sizes:
        sizes = tuple(lowering_select.even_sizes(length, parts))
        if len(set(sizes)) > 1 and call.opset < 18:
            raise ShapeError(f"an axis of length {length} does not split into {parts} equal parts")
    if len(sizes) < len(call.outputs) or sum(sizes) != length or min(sizes) < 0:
        raise ShapeError(f"an axis of length {length} does not split into {list(sizes)}")
    return [_part(call, x, axis, sum(sizes[:k]), sizes[k], name) for k, name in enumerate(call.outputs)]


def _part(call: Call, x: Value, axis: int, start: int, size: int, name: str) -> Value:
    call.emitter.output = name
    if isinstance(x, Constant):
        return Constant(np.take(x.array, range(start, start + size), axis=axis), name)
    return lowering_select.slice_(call.emitter, x, axis, start, start + size)


@operator("Expand")
def expand(call: Call) -> Value:
    """Emit a broadcast to a constant shape."""
    sizes = call.integers(1)
    if sizes is None:
        raise Unsupported("its shape is missing")
    return lowering_select.expand(call.emitter, call.activation(), sizes)


@operator("Tile")
def tile(call: Call) -> Value:
    """Emit copies side by side."""
    repeats = call.integers(1)
    if repeats is None:
        raise Unsupported("its repeats are missing")
    return lowering_select.tile(call.emitter, call.activation(), repeats)


def _sample(call: Call, indices: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Drop the batch axis of indices that are the same for every sample."""
    constant = call.emitter.sample(Constant(indices, call.node.input[1]))
    if call.emitter.batch.present:
        call.emitter.batch.pin(len(indices))
    return np.asarray(constant.array, np.int64)


@operator("GatherElements")
def gather_elements(call: Call) -> Value:
    """Emit a selection of single entries with constant indices."""
    x, indices = call.activation(), _sample(call, _indices(call, 1))
    axis = call.emitter.axis(call.integer("axis", 0), len(x.shape))
    return lowering_rearrange.gathered_elements(call.emitter, x, axis, indices)


@operator("GatherND")
def gather_nd(call: Call) -> Value:
    """Emit a selection of entries that are named by tuples."""
    x, indices = call.activation(), _indices(call, 1)
    batches = call.integer("batch_dims", 0)
    inner, shape = _inner_tuples(call, indices, batches), x.shape
    places = lowering_rearrange.tuple_places(shape, inner)
    return lowering_select.flat_gather(call.emitter, x, places, places.shape)


def _inner_tuples(call: Call, indices: NDArray[np.integer[Any]], batches: int) -> NDArray[np.integer[Any]]:
    """Return tuples that index one sample.

    Raises:
        Unsupported: they choose samples.
    """
    if not call.emitter.batch.present and batches == 0:
        return indices
    if call.emitter.batch.present and batches == 1:
        return _sample(call, indices)
    raise Unsupported("its indices choose samples", "Every sample must be computed on its own.")


def _base(call: Call, value: Value) -> Value:
    """Return a value per sample."""
    return call.emitter.sample(value) if isinstance(value, Constant) else value


def _shape(value: Value) -> tuple[int, ...]:
    return value.array.shape if isinstance(value, Constant) else value.shape


@operator("ScatterElements", "Scatter")
def scatter_elements(call: Call) -> Value:
    """Emit a tensor in which single entries at constant places are replaced."""
    _check_replaces(call)
    base, indices, updates = _base(call, call.value(0)), _sample(call, _indices(call, 1)), call.value(2)
    shape = _shape(base)
    places = lowering_rearrange.element_places(
        shape, call.emitter.axis(call.integer("axis", 0), len(shape)), indices
    )
    return lowering_rearrange.written(call.emitter, base, _base(call, updates), places, shape)


@operator("ScatterND")
def scatter_nd(call: Call) -> Value:
    """Emit a tensor in which slices at constant places are replaced."""
    _check_replaces(call)
    base, indices, updates = _base(call, call.value(0)), _indices(call, 1), _base(call, call.value(2))
    shape = _shape(base)
    if call.emitter.batch.present:
        indices = _of_only_sample(call, indices)
    places = lowering_rearrange.tuple_places(shape, indices)
    return lowering_rearrange.written(call.emitter, base, updates, places, shape)


def _of_only_sample(call: Call, indices: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Return tuples without their first entry, which names the only sample of a batch of one."""
    if indices.shape[0] != 1 or indices[..., 0].any() or indices.shape[-1] < 2:
        raise Unsupported("its indices choose samples", "Every sample must be computed on its own.")
    call.emitter.batch.pin(1)
    return indices[0, ..., 1:]


def _check_replaces(call: Call) -> None:
    if call.text("reduction", "none") != "none":
        raise Unsupported("it combines entries instead of replacing them")


@operator("Where")
def where(call: Call) -> Value:
    """Emit a choice by a constant condition: both sides masked with zeros and ones, and added."""
    condition, x, y = call.constant(0), call.value(1), call.value(2)
    if condition.array.dtype != np.bool_:
        raise Unsupported("its condition is not a truth value")
    sides = [_masked(call, x, condition.array), _masked(call, y, ~condition.array)]
    return add(call.emitter, *sides)


def _masked(call: Call, value: Value, mask: NDArray[np.bool_]) -> Value:
    """Return ``value`` where ``mask`` says so, and zero elsewhere."""
    name = f"{call.node.name or call.emitter.output}.mask"
    if isinstance(value, Activation):
        kept = call.emitter.aligned(Constant(mask.astype(np.float32), name), len(value.shape))
        return call.emitter.add("Mul", (value, kept))
    check_room(np.broadcast_shapes(value.array.shape, mask.shape), call.limits)
    return Constant(np.where(mask, value.array, np.zeros((), value.array.dtype)), f"{value.name}.masked")


@operator("Cast", "CastLike")
def cast(call: Call) -> Value:
    """Pass an activation on where the new type is float32 or float64, whose numbers stand for reals."""
    for key in ("saturate", "round_mode"):
        call.attribute(key)
    to = call.integer("to", TensorProto.UNDEFINED)
    if call.node.op_type == "CastLike":
        like = call.value(1)
        single = isinstance(like, Activation) or like.array.dtype in (np.float32, np.float64)
        to = TensorProto.FLOAT if single else TensorProto.UNDEFINED
    if to not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        raise Unsupported("it converts an activation to a type other than float32 and float64", _ONE_TYPE)
    return call.activation()
