"""Smooth functions of one number, powers and Softmax."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from glocert.graph import lowering_functions as lowering
from glocert.graph.lowering_functions import PLAIN
from glocert.graph.lowering_kinks import one_value
from glocert.graph.onnx_operators.registry import Call, operator
from glocert.graph.values import Activation, Unsupported, Value

_ONE_EXPONENT = "A power needs one constant exponent."
_COEFFICIENTS: dict[str, tuple[Callable[..., Activation], dict[str, float]]] = {
    "Celu": (lowering.celu, {"alpha": 1.0}),
    "Elu": (lowering.elu, {"alpha": 1.0}),
    "HardSigmoid": (lowering.hard_sigmoid, {"alpha": 0.2, "beta": 0.5}),
    "Selu": (lowering.selu, {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}),
}
"""Functions with numbers as attributes, which are float32, and their defaults."""


@operator(*sorted(PLAIN - {"Silu"}))
def plain(call: Call) -> Value:
    """Emit a function without attributes."""
    return lowering.function(call.emitter, call.node.op_type, call.activation())


@operator(*_COEFFICIENTS)
def with_coefficients(call: Call) -> Value:
    """Emit a function with numbers as attributes."""
    emit, defaults = _COEFFICIENTS[call.node.op_type]
    numbers = [call.number(key, float(np.float32(default))) for key, default in defaults.items()]
    return emit(call.emitter, call.activation(), *numbers)


@operator("Softsign")
def softsign(call: Call) -> Value:
    """Emit ``x / (1 + |x|)``."""
    return lowering.softsign(call.emitter, call.activation())


@operator("Gelu")
def gelu(call: Call) -> Value:
    """Emit a Gelu."""
    return lowering.gelu(call.emitter, call.activation(), call.text("approximate", "none"))


@operator("Pow")
def power(call: Call) -> Value:
    """Emit a power whose exponent is one number."""
    exponent = call.value(1)
    if isinstance(exponent, Activation):
        raise Unsupported("its exponent depends on the model's input", _ONE_EXPONENT)
    x = call.activation()
    single = one_value(call.emitter, x, exponent)
    if single is None:
        raise Unsupported("its exponents differ", _ONE_EXPONENT)
    return lowering.power(call.emitter, x, single)


def _softmax(call: Call) -> Activation:
    """Emit a Softmax; before opset 13 over all axes from the named one on."""
    x = call.activation()
    if call.opset >= 13:
        return lowering.softmax(call.emitter, x, call.integer("axis", -1))
    return lowering.softmax_of_matrix(call.emitter, x, call.integer("axis", 1))


@operator("Softmax")
def softmax(call: Call) -> Value:
    """Emit a Softmax."""
    return _softmax(call)


@operator("LogSoftmax")
def log_softmax(call: Call) -> Value:
    """Emit the logarithm of a Softmax."""
    return lowering.logarithm(call.emitter, _softmax(call))
