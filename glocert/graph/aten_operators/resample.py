"""Upsampling and interpolation."""

from __future__ import annotations

import numpy as np

from glocert.graph import lowering_resample
from glocert.graph.aten_operators.registry import Call, operator
from glocert.graph.shapes import Shape, ShapeError
from glocert.graph.values import Activation, Unsupported, Value

_NEAREST = ("aten::upsample_nearest1d", "aten::upsample_nearest2d", "aten::upsample_nearest3d")
_EXACT = tuple(name.replace("nearest", "nearest_exact").replace("::", "::_") for name in _NEAREST)
_LINEAR = ("aten::upsample_linear1d", "aten::upsample_bilinear2d", "aten::upsample_trilinear3d")


def _lengths(call: Call, x: Activation) -> tuple[Shape, tuple[float, ...]]:
    """Return the new lengths, and how much longer each axis gets as torch computes with it."""
    rank = next(int(letter) for letter in call.kind if letter.isdigit())
    sizes = x.shape[1:]
    if len(sizes) != rank:
        raise ShapeError(f"it resamples {rank} axes, not those of {list(x.shape)}")
    given, wanted = _scales(call, rank), call.argument("output_size")
    if wanted is None:
        if any(scale is None for scale in given):
            raise Unsupported("its output size is not known")
        lengths = tuple(
            int(np.floor(size * scale)) for size, scale in zip(sizes, given, strict=True) if scale
        )
    else:
        lengths = call.lengths("output_size")
    if len(lengths) != rank or min(lengths) < 1:
        raise Unsupported(f"its output size {list(lengths)} does not fit its input")
    scales = tuple(scale or length / size for scale, length, size in zip(given, lengths, sizes, strict=True))
    return lengths, scales


def _scales(call: Call, rank: int) -> list[float | None]:
    """Return the factors that the call gives, None where it gives none."""
    listed = call.argument("scale_factors")
    keys = ("scales",) if rank == 1 else ("scales_d", "scales_h", "scales_w")[-rank:]
    factors = listed if isinstance(listed, list) else [call.argument(key) for key in keys]
    if len(factors) != rank or any(not isinstance(factor, int | float | None) for factor in factors):
        raise Unsupported("its scales do not fit its input")
    return [None if factor is None else float(factor) for factor in factors]


@operator(*_NEAREST, *_EXACT)
def nearest(call: Call) -> Value:
    """Repeat the nearest entries."""
    x = call.activation()
    exact = call.kind in _EXACT
    lengths, scales = _lengths(call, x)
    for axis, (length, scale) in enumerate(zip(lengths, scales, strict=True)):
        size = x.shape[axis + 1]
        mode = "tf_half_pixel_for_nn" if exact else "asymmetric"
        where = lowering_resample.coordinates(mode, size, length, scale)
        places = lowering_resample.nearest_positions(where, size, "floor")
        x = lowering_resample.nearest(call.emitter, x, axis + 1, places)
    return x


@operator(*_LINEAR)
def linear(call: Call) -> Value:
    """Interpolate linearly along every axis."""
    x = call.activation()
    mode = "align_corners" if call.flag("align_corners", False) else "half_pixel"
    lengths, scales = _lengths(call, x)
    for axis, (length, scale) in enumerate(zip(lengths, scales, strict=True)):
        size = x.shape[axis + 1]
        where = lowering_resample.coordinates(mode, size, length, scale)
        matrix = lowering_resample.linear_matrix(where, size)
        x = lowering_resample.weighted(call.emitter, x, axis + 1, matrix)
    return x
