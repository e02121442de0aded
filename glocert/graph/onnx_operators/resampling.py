"""Upsample, Resize, DepthToSpace, SpaceToDepth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from glocert.graph import lowering_rearrange, lowering_resample
from glocert.graph.lowering_select import check_length
from glocert.graph.onnx_operators.registry import Call, operator
from glocert.graph.shapes import ShapeError
from glocert.graph.values import BATCH, Activation, Unsupported, Value


@dataclass(frozen=True, slots=True)
class _Rule:
    """How values between positions are found.

    Attributes:
        mode: ``nearest``, ``linear`` or ``cubic``.
        places: ``coordinate_transformation_mode``.
        rounding: ``nearest_mode``.
        a: ``cubic_coeff_a``.
        exclude_outside: weigh only entries that exist.
    """

    mode: str
    places: str
    rounding: str = "floor"
    a: float = -0.75
    exclude_outside: bool = False


@operator("Upsample")
def upsample(call: Call) -> Value:
    """Emit what Resize replaced; its scales are an attribute in opset 7 and an input in 9."""
    x = call.activation()
    rule = _Rule(call.text("mode", "nearest"), "asymmetric")
    scales = call.floats("scales") if call.has("scales") else _scales(call, 1)
    return _resized(call, x, _lengths(call, x, scales), scales, rule)


@operator("Resize")
def resize(call: Call) -> Value:
    """Emit a change of lengths, which are given as they are or as scales."""
    x, mode = call.activation(), call.text("mode", "nearest")
    if call.opset < 11:
        scales = _scales(call, 1)
        return _resized(call, x, _lengths(call, x, scales), scales, _Rule(mode, "asymmetric"))
    rule = _Rule(
        mode,
        call.text("coordinate_transformation_mode", "half_pixel"),
        call.text("nearest_mode", "round_prefer_floor"),
        call.number("cubic_coeff_a", -0.75),
        bool(call.integer("exclude_outside", 0)),
    )
    call.number("extrapolation_value", 0.0)
    if call.integer("antialias", 0):
        raise Unsupported("antialias is not supported")
    if call.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Unsupported("keep_aspect_ratio_policy is supported as 'stretch' only")
    axes = call.ints("axes")
    lengths, scales = _target(call, x, axes)
    return _resized(call, x, lengths, scales, rule)


def _scales(call: Call, position: int) -> list[float]:
    value = call.constant(position)
    if not value.is_float:
        raise Unsupported(f"input {position} must hold scales")
    return [float(scale) for scale in value.array.ravel()]


def _lengths(call: Call, x: Activation, scales: list[float]) -> list[int]:
    """Return the lengths that scales make, the batch axis first where there is one."""
    sizes = [*([1] * call.emitter.offset), *x.shape]
    if len(scales) != len(sizes) or not all(0 < scale < math.inf for scale in scales):
        raise ShapeError(f"scales {scales} do not fit a tensor of rank {len(sizes)}")
    # Runtimes take the product in float32, which may round up to a whole number.
    return [
        math.floor(np.float32(size) * np.float32(scale)) for size, scale in zip(sizes, scales, strict=True)
    ]


def _target(call: Call, x: Activation, axes: tuple[int, ...]) -> tuple[list[int], list[float]]:
    """Return lengths and scales of every axis of the upload; axes that are not named keep theirs."""
    sizes = [*([1] * call.emitter.offset), *x.shape]
    places = [axis % len(sizes) for axis in axes] or list(range(len(sizes)))
    wanted, scales = list(sizes), [1.0] * len(sizes)
    given = call.optional(2)
    if given is not None and not (not isinstance(given, Activation) and given.array.size == 0):
        for place, scale in zip(places, _scales(call, 2), strict=True):
            scales[place] = scale
        return _lengths(call, x, scales), scales
    lengths = call.integers(3)
    if lengths is None:
        raise Unsupported("its scales and sizes are both missing")
    for place, length in zip(places, lengths, strict=True):
        wanted[place] = _own_batch(call, length) if place < call.emitter.offset else length
        scales[place] = float(np.float32(wanted[place]) / np.float32(sizes[place]))
    return wanted, scales


def _own_batch(call: Call, length: int) -> int:
    """Accept a batch that keeps its length."""
    if length != BATCH:
        call.emitter.batch.pin(length)
    return 1


def _resized(call: Call, x: Activation, lengths: list[int], scales: list[float], rule: _Rule) -> Activation:
    if len(lengths) != len(x.shape) + call.emitter.offset or min(lengths) < 1:
        raise ShapeError(f"lengths {lengths} do not fit {list(x.shape)}")
    if call.emitter.batch.present and (lengths[0] != 1 or scales[0] != 1):
        raise Unsupported("it resizes the batch axis", "Every sample must be computed on its own.")
    for axis in range(len(x.shape)):
        length, scale = lengths[axis + call.emitter.offset], scales[axis + call.emitter.offset]
        if scale != 1 or length != x.shape[axis]:
            check_length(call.emitter, length)
            x = _along(call, x, axis, length, scale, rule)
    return x


def _along(call: Call, x: Activation, axis: int, length: int, scale: float, rule: _Rule) -> Activation:
    """Emit the change of one per-sample axis."""
    size = x.shape[axis]
    where = lowering_resample.coordinates(rule.places, size, length, scale)
    if rule.mode == "nearest":
        rounding = "ceil" if call.opset < 11 and scale < 1 else rule.rounding
        positions = lowering_resample.nearest_positions(where, size, rounding)
        return lowering_resample.nearest(call.emitter, x, axis, positions)
    if size * length > call.limits.parameters:
        raise Unsupported("its weights would be too many")
    if rule.mode in {"linear", "bilinear"}:
        return lowering_resample.weighted(call.emitter, x, axis, lowering_resample.linear_matrix(where, size))
    if rule.mode == "cubic":
        matrix = lowering_resample.cubic_matrix(where, size, rule.a, exclude_outside=rule.exclude_outside)
        return lowering_resample.weighted(call.emitter, x, axis, matrix)
    raise Unsupported(f"mode {rule.mode!r} is not supported")


@operator("DepthToSpace")
def depth_to_space(call: Call) -> Value:
    """Emit a move of channels into space."""
    mode = call.text("mode", "DCR")
    if mode not in {"DCR", "CRD"}:
        raise Unsupported(f"mode {mode!r} is not supported")
    block = call.integer("blocksize", 0)
    return lowering_rearrange.depth_to_space(
        call.emitter, call.activation(), block, columns_first=mode == "CRD"
    )


@operator("SpaceToDepth")
def space_to_depth(call: Call) -> Value:
    """Emit a move of space into channels."""
    return lowering_rearrange.space_to_depth(call.emitter, call.activation(), call.integer("blocksize", 0))
