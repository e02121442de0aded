"""Norms and logarithms of sums over axes, as canonical nodes."""

from __future__ import annotations

from collections.abc import Sequence

from glocert.graph.lowering_kinks import absolute
from glocert.graph.lowering_reduce import reduce_sum
from glocert.graph.values import Activation, Emitter

Axes = Sequence[int] | None


def reduce_l1(emitter: Emitter, x: Activation, axes: Axes, *, keepdims: bool = True) -> Activation:
    """Emit the sum of absolute values over ``axes`` of the upload, all where None."""
    return reduce_sum(emitter, absolute(emitter, x), axes, keepdims=keepdims)


def reduce_square(emitter: Emitter, x: Activation, axes: Axes, *, keepdims: bool = True) -> Activation:
    """Emit the sum of squares over ``axes``."""
    return reduce_sum(emitter, emitter.add("Pow", (x,), {"exponent": 2.0}), axes, keepdims=keepdims)


def reduce_l2(emitter: Emitter, x: Activation, axes: Axes, *, keepdims: bool = True) -> Activation:
    """Emit the root of the sum of squares over ``axes``."""
    return emitter.add("Sqrt", (reduce_square(emitter, x, axes, keepdims=keepdims),))


def reduce_log_sum(emitter: Emitter, x: Activation, axes: Axes, *, keepdims: bool = True) -> Activation:
    """Emit the logarithm of the sum over ``axes``."""
    return emitter.add("Log", (reduce_sum(emitter, x, axes, keepdims=keepdims),))


def reduce_log_sum_exp(emitter: Emitter, x: Activation, axes: Axes, *, keepdims: bool = True) -> Activation:
    """Emit the logarithm of the sum of exponentials over ``axes``."""
    return reduce_log_sum(emitter, emitter.add("Exp", (x,)), axes, keepdims=keepdims)
