"""Functions of one number: smooth ones, and those that only bend."""

from __future__ import annotations

import math

import numpy as np

from glocert.graph import lowering, lowering_functions, lowering_kinks
from glocert.graph.aten_operators.registry import Call, operator
from glocert.graph.aten_operators.scalars import on_numbers
from glocert.graph.lowering_functions import function
from glocert.graph.lowering_select import split
from glocert.graph.values import Activation, Unsupported, Value

_PLAIN = {
    "aten::cos": "Cos",
    "aten::erf": "Erf",
    "aten::exp": "Exp",
    "aten::hardswish": "HardSwish",
    "aten::log": "Log",
    "aten::mish": "Mish",
    "aten::reciprocal": "Reciprocal",
    "aten::sigmoid": "Sigmoid",
    "aten::silu": "Silu",
    "aten::sin": "Sin",
    "aten::sqrt": "Sqrt",
    "aten::tanh": "Tanh",
}


_STRAIGHT = (
    "Softplus is log(1 + exp(x)) everywhere here; PyTorch continues it by a straight line beyond its "
    "threshold, which differs by less than 2.1e-9 over beta."
)


@operator(*_PLAIN)
def plain(call: Call) -> Value:
    """Emit a function without parameters."""
    return function(call.emitter, _PLAIN[call.kind], call.activation())


@operator("aten::rsqrt")
def inverse_root(call: Call) -> Value:
    """Emit ``1 / sqrt(x)``."""
    return function(call.emitter, "Reciprocal", function(call.emitter, "Sqrt", call.activation()))


@operator("aten::square")
def square(call: Call) -> Value:
    """Emit ``x^2``."""
    return lowering_functions.power(call.emitter, call.activation(), 2.0)


@operator("aten::pow")
def power(call: Call) -> object:
    """Emit a power with a known exponent; powers of numbers are taken at once."""
    if on_numbers(call):
        return call.arguments[0] ** call.arguments[1]
    return lowering_functions.power(call.emitter, call.activation(), call.number(1, 1.0))


@operator("aten::softplus")
def softplus(call: Call) -> Value:
    """Emit a softplus, which torch replaces by a straight line beyond its threshold.

    From the usual threshold on the two differ by less than 2.1e-9 / beta, less than the rounding of float32;
    a lower one makes another function.
    """
    beta, threshold = call.number("beta", 1.0), call.number("threshold", 20.0)
    if beta <= 0 or threshold < 20.0:
        raise Unsupported(f"its beta {beta} and threshold {threshold} make it jump", "Use the usual ones.")
    if _STRAIGHT not in call.notes:
        call.notes.append(_STRAIGHT)
    return lowering_functions.softplus(call.emitter, call.activation(), beta)


@operator("aten::elu")
def elu(call: Call) -> Value:
    """Emit ``scale x`` above zero and ``scale alpha (exp(input_scale x) - 1)`` below."""
    if call.number("input_scale", 1.0) != 1.0:
        raise Unsupported("its input_scale is not one")
    alpha, scale = call.number("alpha", 1.0), call.number("scale", 1.0)
    return lowering_functions.selu(call.emitter, call.activation(), alpha, scale)


@operator("aten::selu")
def selu(call: Call) -> Value:
    """Emit a selu with the constants of its paper."""
    alpha, gamma = (
        float(np.array(number, call.dtype)) for number in (1.6732632423543772, 1.0507009873554805)
    )
    return lowering_functions.selu(call.emitter, call.activation(), alpha, gamma)


@operator("aten::celu")
def celu(call: Call) -> Value:
    """Emit a celu."""
    return lowering_functions.celu(call.emitter, call.activation(), call.number("alpha", 1.0))


@operator("aten::gelu")
def gelu(call: Call) -> Value:
    """Emit a gelu with erf or with tanh."""
    return lowering_functions.gelu(call.emitter, call.activation(), str(call.argument("approximate", "none")))


@operator("aten::softsign")
def softsign(call: Call) -> Value:
    """Emit ``x / (1 + |x|)``."""
    return lowering_functions.softsign(call.emitter, call.activation())


@operator("aten::glu")
def glu(call: Call) -> Value:
    """Emit one half times the sigmoid of the other."""
    x, axis = call.activation(), call.integer("dim", -1)
    inner = call.emitter.axis(axis, len(x.shape))
    if x.shape[inner] % 2:
        raise Unsupported(f"an axis of length {x.shape[inner]} has no halves")
    first, second = split(call.emitter, x, axis, [x.shape[inner] // 2] * 2)
    return lowering_functions.gated(call.emitter, first, second)


def _check_type(call: Call) -> None:
    wanted = call.argument("dtype")
    if wanted is not None and {6: "float32", 7: "float64"}.get(wanted) != call.dtype:
        raise Unsupported("a conversion of a tensor is not supported", "Use one float type throughout.")


@operator("aten::softmax", "aten::_softmax")
def softmax(call: Call) -> Activation:
    """Emit a softmax over one axis."""
    _check_type(call)
    return lowering_functions.softmax(call.emitter, call.activation(), call.integer(1, -1))


@operator("aten::log_softmax", "aten::_log_softmax")
def log_softmax(call: Call) -> Value:
    """Emit the logarithm of a softmax."""
    return function(call.emitter, "Log", softmax(call))


@operator("aten::relu")
def relu(call: Call) -> Value:
    """Emit a Relu."""
    return lowering_kinks.relu(call.emitter, call.activation())


@operator("aten::abs")
def absolute(call: Call) -> Value:
    """Emit ``|x|``."""
    return lowering_kinks.absolute(call.emitter, call.activation())


@operator("aten::leaky_relu")
def leaky_relu(call: Call) -> Value:
    """Emit a LeakyRelu."""
    return lowering.leaky_relu(call.emitter, call.activation(), call.number(1, 0.01))


@operator("aten::rrelu")
def random_relu(call: Call) -> Value:
    """Emit the LeakyRelu that a randomised one is at inference."""
    if call.flag("training", False):
        raise Unsupported("it is in training mode: the output is random", "Call model.eval() first.")
    slope = (call.number("lower", 0.125) + call.number("upper", 1 / 3)) / 2
    return lowering.leaky_relu(call.emitter, call.activation(), float(np.array(slope, call.dtype)))


@operator("aten::prelu", "aten::_prelu_kernel")
def prelu(call: Call) -> Value:
    """Emit a leaky relu with a learned slope, one for all or one per channel."""
    x, slope = call.activation(), call.constant(1)
    if call.kind == "aten::prelu" and slope.array.size > 1:
        slope = lowering_kinks.per_channel(slope, len(x.shape))
    return lowering_kinks.prelu(call.emitter, x, slope)


@operator("aten::relu6")
def relu6(call: Call) -> Value:
    """Emit a Clip to [0, 6]."""
    return lowering.clip(call.emitter, call.activation(), 0.0, 6.0)


@operator("aten::hardtanh")
def hardtanh(call: Call) -> Value:
    """Emit a Clip to [-1, 1] or what was asked for."""
    return lowering.clip(call.emitter, call.activation(), call.number(1, -1.0), call.number(2, 1.0))


@operator("aten::hardsigmoid")
def hardsigmoid(call: Call) -> Value:
    """Emit ``min(max(x + 3, 0), 6) / 6``."""
    shifted = lowering.add(call.emitter, call.activation(), lowering.number(call.emitter, 3.0, "shift"))
    bent = lowering.clip(call.emitter, shifted, 0.0, 6.0)
    return lowering.divide(call.emitter, bent, lowering.number(call.emitter, 6.0, "width"))


@operator("aten::softshrink", "aten::hardshrink", "aten::threshold")
def shrink(call: Call) -> Value:
    """Emit what lies beyond a threshold, where that is continuous."""
    x = call.activation()
    if call.kind == "aten::softshrink":
        width = call.number("lambd", 0.5)
        return lowering_kinks.shrink(call.emitter, x, width, width)
    if call.kind == "aten::hardshrink":
        return lowering_kinks.shrink(call.emitter, x, call.number("lambd", 0.5), 0.0)
    threshold, value = call.number("threshold", 0.0), call.number("value", 0.0)
    if threshold != value:
        raise Unsupported("it jumps at its threshold", "Use Relu.")
    return lowering.clip(call.emitter, x, threshold, math.inf)


@operator("aten::clamp", "aten::clip", "aten::clamp_min", "aten::clamp_max")
def clamp(call: Call) -> Value:
    """Emit bounds, which may be numbers or tensors and may be left out."""
    low = None if call.argument("min") is None else call.value("min")
    high = None if call.argument("max") is None else call.value("max")
    return lowering_kinks.clip_between(call.emitter, call.activation(), low, high)


@operator("aten::maximum", "aten::minimum", "aten::fmax", "aten::fmin")
def extreme(call: Call) -> Value:
    """Emit the larger or the smaller of two tensors."""
    larger = call.kind in {"aten::maximum", "aten::fmax"}
    emit = lowering_kinks.maximum if larger else lowering_kinks.minimum
    return emit(call.emitter, call.value(0), call.value(1))
