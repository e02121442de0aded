"""Normalisation by the statistics of each sample, as canonical nodes.

A variance is the mean of squared distances from the mean, and the division by a standard deviation is one
power of -1/2: two functions of one number and one product of activations per normalisation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from glocert.graph.lowering import add, multiply, number, subtract
from glocert.graph.lowering_kinks import absolute, per_channel
from glocert.graph.lowering_reduce import reduce_mean, reduce_sum
from glocert.graph.lowering_select import full
from glocert.graph.lowering_shape import reshape
from glocert.graph.shapes import ShapeError
from glocert.graph.values import Activation, Constant, Emitter, Unsupported, Value

Axes = tuple[int, ...]


def trailing_axes(emitter: Emitter, x: Activation, axis: int) -> Axes:
    """Return the per-sample axes from ``axis`` of the upload's tensor on."""
    return tuple(range(emitter.axis(axis, len(x.shape)), len(x.shape)))


def per_sample(emitter: Emitter, x: Activation, shape: Sequence[int]) -> Activation:
    """Emit a reshape of every sample to ``shape``."""
    return reshape(emitter, x, full(emitter, shape))


def mean(emitter: Emitter, x: Activation, axes: Axes) -> Activation:
    """Emit the mean over per-sample ``axes``, which stay with length one."""
    if not axes:
        raise Unsupported("it has no axes to take a mean over")
    return reduce_mean(emitter, x, [axis + emitter.offset for axis in axes])


def over_root(emitter: Emitter, x: Activation, square: Activation, epsilon: float) -> Activation:
    """Emit ``x / sqrt(square + epsilon)``.

    Raises:
        Unsupported: ``epsilon`` is not a number from zero on.
    """
    if not (math.isfinite(epsilon) and epsilon >= 0):
        raise Unsupported(f"its epsilon {epsilon} is not a number from zero on")
    if epsilon:
        square = add(emitter, square, number(emitter, epsilon, "epsilon"))
    return emitter.add("Mul", (x, emitter.add("Pow", (square,), {"exponent": -0.5})))


def squared(emitter: Emitter, x: Activation) -> Activation:
    """Emit ``x^2``."""
    return emitter.add("Pow", (x,), {"exponent": 2.0})


def standardised(emitter: Emitter, x: Activation, axes: Axes, epsilon: float) -> Activation:
    """Emit ``(x - mean) / sqrt(variance + epsilon)`` with both statistics taken over ``axes``."""
    centred = subtract(emitter, x, mean(emitter, x, axes))
    return over_root(emitter, centred, mean(emitter, squared(emitter, centred), axes), epsilon)


def stretched(emitter: Emitter, x: Activation, scale: Value | None, bias: Value | None) -> Activation:
    """Emit ``scale * x + bias``; either may be left out."""
    x = x if scale is None else multiply(emitter, x, scale)
    return x if bias is None else add(emitter, x, bias)


def layer_normalization(
    emitter: Emitter, x: Activation, axis: int, scale: Value | None, bias: Value | None, epsilon: float
) -> Activation:
    """Emit a normalisation over the axes of the upload's tensor from ``axis`` on."""
    axes = trailing_axes(emitter, x, axis)
    return stretched(emitter, standardised(emitter, x, axes, epsilon), scale, bias)


def rms_normalization(
    emitter: Emitter, x: Activation, axis: int, scale: Value | None, epsilon: float
) -> Activation:
    """Emit ``scale * x / sqrt(mean(x^2) + epsilon)`` over the axes from ``axis`` on."""
    axes = trailing_axes(emitter, x, axis)
    square = mean(emitter, squared(emitter, x), axes)
    return stretched(emitter, over_root(emitter, x, square, epsilon), scale, None)


def _channels(emitter: Emitter, x: Activation, *parameters: Constant | None) -> list[Constant | None]:
    """Give parameters of one number per channel the rank of ``x``."""
    if not emitter.batch.present:
        raise Unsupported("it needs a batch axis")
    if len(x.shape) < 2:
        raise ShapeError(f"it needs channels and at least one more axis, not {['batch', *x.shape]}")
    for parameter in parameters:
        if parameter is not None and parameter.array.shape != x.shape[:1]:
            shape = list(parameter.array.shape)
            raise ShapeError(f"{parameter.name!r} of shape {shape} does not fit {x.shape[0]} channels")
    return [None if value is None else per_channel(value, len(x.shape)) for value in parameters]


def instance_normalization(
    emitter: Emitter, x: Activation, scale: Constant | None, bias: Constant | None, epsilon: float
) -> Activation:
    """Emit a normalisation of every channel by itself; ``scale`` and ``bias`` of shape (channels,)."""
    factor, offset = _channels(emitter, x, scale, bias)
    axes = tuple(range(1, len(x.shape)))
    return stretched(emitter, standardised(emitter, x, axes, epsilon), factor, offset)


def group_normalization(
    emitter: Emitter,
    x: Activation,
    groups: int,
    parameters: tuple[Constant | None, Constant | None],
    epsilon: float,
) -> Activation:
    """Emit a normalisation of every group of channels; ``parameters`` of shape (channels,) or (groups,).

    Raises:
        ShapeError: the channels do not fall into ``groups``, or a parameter has another shape.
    """
    if not x.shape or groups < 1 or x.shape[0] % groups:
        raise ShapeError(f"{list(x.shape[:1])} channels do not fall into {groups} groups")
    rows = per_sample(emitter, x, (groups, math.prod(x.shape) // groups))
    normal = standardised(emitter, rows, (1,), epsilon)
    grouped = all(value is None or value.array.shape == (groups,) for value in parameters)
    if grouped and groups != x.shape[0]:
        factor, offset = _channels(emitter, rows, *parameters)
        return per_sample(emitter, stretched(emitter, normal, factor, offset), x.shape)
    factor, offset = _channels(emitter, x if len(x.shape) > 1 else rows, *parameters)
    return stretched(emitter, per_sample(emitter, normal, x.shape), factor, offset)


def lp_normalization(emitter: Emitter, x: Activation, axis: int, p: int) -> Activation:
    """Emit ``x`` over its 1-norm or 2-norm along one axis of the upload's tensor.

    Raises:
        Unsupported: another norm.
    """
    if p == 2:
        return over_root(emitter, x, reduce_sum(emitter, squared(emitter, x), [axis]), 0.0)
    if p != 1:
        raise Unsupported(f"a normalisation by the {p}-norm is not supported")
    size = reduce_sum(emitter, absolute(emitter, x), [axis])
    return emitter.add("Mul", (x, emitter.add("Reciprocal", (size,))))


def mean_variance_normalization(
    emitter: Emitter, x: Activation, axes: Sequence[int], epsilon: float
) -> Activation:
    """Emit ``(x - mean) / (sqrt(variance) + epsilon)`` over axes of the upload's tensor."""
    centred = subtract(emitter, x, reduce_mean(emitter, x, axes))
    variance = reduce_mean(emitter, squared(emitter, centred), axes)
    deviation = add(emitter, emitter.add("Sqrt", (variance,)), number(emitter, epsilon, "epsilon"))
    return emitter.add("Mul", (centred, emitter.add("Reciprocal", (deviation,))))
