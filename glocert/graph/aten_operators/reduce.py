"""Sums, means and extremes over axes."""

from __future__ import annotations

from collections.abc import Callable

from glocert.graph import lowering, lowering_functions, lowering_kinks, lowering_reduce
from glocert.graph.aten_operators.registry import Call, Withheld, operator
from glocert.graph.values import Activation, Unsupported, Value

_PLACE = Withheld("it reads the place of an extreme, which jumps")
Reduce = Callable[..., Activation]


def _axes(call: Call) -> tuple[int, ...] | None:
    """Return the named axes; none, or an empty list, means all of them."""
    if call.argument("dim") is None:
        return None
    return call.lengths("dim") or None


def _reduced(call: Call, reduce: Reduce) -> Activation:
    wanted = call.argument("dtype")
    if wanted is not None and {6: "float32", 7: "float64"}.get(wanted) != call.dtype:
        raise Unsupported("a conversion of a tensor is not supported", "Use one float type throughout.")
    return reduce(call.emitter, call.activation(), _axes(call), keepdims=call.flag("keepdim", False))


@operator("aten::sum")
def total(call: Call) -> Value:
    """Emit a sum over axes."""
    return _reduced(call, lowering_reduce.reduce_sum)


@operator("aten::mean")
def mean(call: Call) -> Value:
    """Emit a mean over axes."""
    return _reduced(call, lowering_reduce.reduce_mean)


@operator("aten::amax", "aten::amin")
def extreme(call: Call) -> Value:
    """Emit the largest or the smallest entry over axes."""
    larger = call.kind == "aten::amax"
    return _reduced(call, lowering_reduce.reduce_max if larger else lowering_reduce.reduce_min)


@operator("aten::max", "aten::min")
def extreme_of_some(call: Call) -> Value | tuple[Value | Withheld, ...]:
    """Emit the extreme of two tensors, of an axis (with its place), or of everything."""
    larger = call.kind == "aten::max"
    if "other" in call.names:
        emit = lowering_kinks.maximum if larger else lowering_kinks.minimum
        return emit(call.emitter, call.value(0), call.value(1))
    value = _reduced(call, lowering_reduce.reduce_max if larger else lowering_reduce.reduce_min)
    return (value, _PLACE) if "dim" in call.names else value


@operator("aten::linalg_vector_norm", "aten::norm")
def norm(call: Call) -> Value:
    """Emit the 1-norm, the 2-norm or the largest size over axes."""
    key = "ord" if call.kind == "aten::linalg_vector_norm" else "p"
    order = 2.0 if call.argument(key) is None else call.number(key, 2.0)
    x, emitter = call.activation(), call.emitter
    axes, keep = _axes(call), call.flag("keepdim", False)
    if order == 2.0:
        squares = lowering_functions.power(emitter, x, 2.0)
        return lowering_functions.power(
            emitter, lowering_reduce.reduce_sum(emitter, squares, axes, keepdims=keep), 0.5
        )
    size = lowering_kinks.absolute(emitter, x)
    if order == 1.0:
        return lowering_reduce.reduce_sum(emitter, size, axes, keepdims=keep)
    if order == float("inf"):
        return lowering_reduce.reduce_max(emitter, size, axes, keepdims=keep)
    raise Unsupported(f"the {order}-norm is not supported")


@operator("aten::var", "aten::std")
def spread(call: Call) -> Value:
    """Emit a variance over axes, or its root."""
    if call.names and "correction" not in call.names and "unbiased" not in call.names:
        raise Unsupported("its correction is not known")
    x, emitter, axes, keep = call.activation(), call.emitter, _axes(call), call.flag("keepdim", False)
    correction = call.argument("correction", None)
    if correction is None:
        correction = int(call.flag("unbiased", True))
    count = 1
    for axis in lowering_reduce.inner_axes(emitter, x, axes):
        count *= x.shape[axis]
    if not isinstance(correction, int | float) or count - correction <= 0:
        raise Unsupported("it divides by zero")
    centred = lowering.subtract(emitter, x, lowering_reduce.reduce_mean(emitter, x, axes))
    squares = lowering_functions.power(emitter, centred, 2.0)
    sums = lowering_reduce.reduce_sum(emitter, squares, axes, keepdims=keep)
    variance = lowering.divide(emitter, sums, lowering.number(emitter, float(count - correction), "count"))
    return variance if call.kind == "aten::var" else lowering_functions.power(emitter, variance, 0.5)


@operator("aten::logsumexp")
def log_sum_exp(call: Call) -> Value:
    """Emit the logarithm of a sum of exponentials."""
    exponentials = lowering_functions.function(call.emitter, "Exp", call.activation())
    sums = lowering_reduce.reduce_sum(
        call.emitter, exponentials, _axes(call), keepdims=call.flag("keepdim", False)
    )
    return lowering_functions.function(call.emitter, "Log", sums)
