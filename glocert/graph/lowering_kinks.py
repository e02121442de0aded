"""Maxima, minima and other piecewise linear functions as canonical nodes.

Each is one Relu, LeakyRelu or Clip between affine nodes, so that as little as possible has to be enclosed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from glocert.graph.fold import arithmetic
from glocert.graph.lowering import add, clip, multiply, number, subtract
from glocert.graph.lowering_reduce import negative
from glocert.graph.values import Activation, Constant, Emitter, Unsupported, Value


def absolute(emitter: Emitter, x: Activation) -> Activation:
    """Emit ``|x|``."""
    return emitter.add("LeakyRelu", (x,), {"alpha": -1.0})


def relu(emitter: Emitter, x: Activation) -> Activation:
    """Emit a Relu."""
    return emitter.add("Relu", (x,))


def one_value(emitter: Emitter, x: Activation, value: Value) -> float | None:
    """Return the number that ``value`` means for every entry of ``x``, or None where there is no such one."""
    if not isinstance(value, Constant) or value.array.ndim > len(x.shape) + emitter.offset:
        return None
    inner = value.array.shape[-len(x.shape) :] if x.shape else ()
    fits = all(size in (1, whole) for size, whole in zip(inner[::-1], x.shape[::-1], strict=False))
    first = value.array.ravel()[:1]
    if not fits or not first.size or not (value.array == first).all():
        return None
    number = first[0].item()
    return float(number) if float(number) == number else None


def maximum(emitter: Emitter, x: Value, y: Value) -> Activation:
    """Emit ``max(x, y)``, of which at least one varies."""
    if isinstance(x, Constant):
        x, y = y, x
    if not isinstance(x, Activation):
        raise Unsupported("both operands are constants", "Export the model with constant folding.")
    bound = one_value(emitter, x, y)
    if bound is not None:
        return relu(emitter, x) if bound == 0 else bounded(emitter, x, bound, math.inf)
    _checked(y)
    return add(emitter, y, relu(emitter, subtract(emitter, x, y)))


def minimum(emitter: Emitter, x: Value, y: Value) -> Activation:
    """Emit ``min(x, y)``, of which at least one varies."""
    if isinstance(x, Constant):
        x, y = y, x
    if not isinstance(x, Activation):
        raise Unsupported("both operands are constants", "Export the model with constant folding.")
    bound = one_value(emitter, x, y)
    if bound is not None:
        return bounded(emitter, x, -math.inf, bound)
    _checked(y)
    return subtract(emitter, y, relu(emitter, subtract(emitter, y, x)))


def _checked(bound: Value) -> None:
    if isinstance(bound, Constant) and not np.isfinite(bound.array).all():
        raise Unsupported(f"its operand {bound.name!r} holds NaN or infinity")


def bounded(emitter: Emitter, x: Activation, low: float, high: float) -> Activation:
    """Emit a Clip; nothing without a finite bound.

    Raises:
        Unsupported: a bound is NaN, or no number lies between the two.
    """
    if (low, high) == (-math.inf, math.inf):
        return x
    if low == math.inf or high == -math.inf:
        raise Unsupported(f"its bounds {low} and {high} leave no number")
    return clip(emitter, x, low, high)


def clip_between(emitter: Emitter, x: Activation, low: Value | None, high: Value | None) -> Activation:
    """Emit ``min(max(x, low), high)`` with bounds of any shape that broadcasts; None bounds nothing."""
    ends = [
        default if value is None else one_value(emitter, x, value)
        for value, default in ((low, -math.inf), (high, math.inf))
    ]
    if ends[0] is not None and ends[1] is not None and ends[0] <= ends[1]:
        return bounded(emitter, x, ends[0], ends[1])
    above = x if low is None else maximum(emitter, x, low)
    return above if high is None else minimum(emitter, above, high)


def prelu(emitter: Emitter, x: Activation, slope: Constant) -> Activation:
    """Emit ``x`` above zero and ``slope * x`` below; the slope broadcasts as in the upload."""
    single = one_value(emitter, x, slope)
    if single is not None:
        if not math.isfinite(single):
            raise Unsupported(f"its slope {single} is not finite")
        return emitter.add("LeakyRelu", (x,), {"alpha": single})
    below = relu(emitter, negative(emitter, x))
    bend = arithmetic("Sub", number(emitter, 1.0, "one"), slope, emitter.builder.limits)
    if bend.rounded:  # two products are exact where 1 - slope is not
        return subtract(emitter, add(emitter, x, below), multiply(emitter, below, slope))
    return add(emitter, x, multiply(emitter, below, Constant(bend.array, f"{slope.name}.bend")))


def per_channel(value: Constant, rank: int) -> Constant:
    """Let a vector of one number per channel broadcast against a tensor of per-sample ``rank``."""
    return Constant(value.array.reshape(-1, *[1] * (rank - 1)), value.name)


def shrink(emitter: Emitter, x: Activation, threshold: float, bias: float) -> Activation:
    """Emit zero within ``threshold`` of zero and ``x`` moved towards zero by ``bias`` outside.

    Raises:
        Unsupported: it jumps at the threshold, or a number is not finite.
    """
    if not (math.isfinite(threshold) and threshold >= 0):
        raise Unsupported(f"its threshold {threshold} is not a number from zero on")
    if bias != threshold:
        raise Unsupported("it jumps at its threshold", "Use a soft shrink, whose bias is its threshold.")
    return x if threshold == 0 else subtract(emitter, x, clip(emitter, x, -threshold, threshold))


def thresholded_relu(emitter: Emitter, x: Activation, threshold: float) -> Activation:
    """Emit ``x`` above ``threshold`` and zero elsewhere, which is continuous for a threshold of zero only.

    Raises:
        Unsupported: it jumps at the threshold.
    """
    if threshold != 0:
        raise Unsupported("it jumps at its threshold", "Use Relu.")
    return relu(emitter, x)


def mean_of(emitter: Emitter, values: Sequence[Value]) -> Activation:
    """Emit the mean of several tensors, of which at least one varies."""
    total = sum_of(emitter, values)
    if len(values) == 1:
        return total
    return emitter.add("Div", (total, number(emitter, float(len(values)), "count")))


def sum_of(emitter: Emitter, values: Sequence[Value]) -> Activation:
    """Emit the sum of several tensors, of which at least one varies."""
    varying = [value for value in values if isinstance(value, Activation)]
    fixed = [value for value in values if isinstance(value, Constant)]
    if not varying:
        raise Unsupported("all operands are constants", "Export the model with constant folding.")
    total = varying[0]
    rest: list[Value] = [*varying[1:], *fixed]
    for value in rest:
        total = add(emitter, total, value)
    return total
