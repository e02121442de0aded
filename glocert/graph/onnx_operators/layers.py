"""Piecewise linear functions of one number, and operators that do nothing at inference."""

from __future__ import annotations

import numpy as np

from glocert.graph import lowering, lowering_kinks
from glocert.graph.lowering_reduce import negative
from glocert.graph.onnx_operators.registry import Call, operator
from glocert.graph.values import Unsupported, Value


@operator("Relu")
def relu(call: Call) -> Value:
    """Emit a Relu."""
    return lowering_kinks.relu(call.emitter, call.activation())


@operator("Abs")
def absolute(call: Call) -> Value:
    """Emit an absolute value."""
    return lowering_kinks.absolute(call.emitter, call.activation())


@operator("Neg")
def negated(call: Call) -> Value:
    """Emit a negation."""
    return negative(call.emitter, call.activation())


@operator("PRelu")
def prelu(call: Call) -> Value:
    """Emit a Relu with a stored slope below zero."""
    return lowering_kinks.prelu(call.emitter, call.activation(), call.constant(1))


@operator("Shrink")
def shrink(call: Call) -> Value:
    """Emit a soft shrink."""
    bias, threshold = call.number("bias", 0.0), call.number("lambd", 0.5)
    return lowering_kinks.shrink(call.emitter, call.activation(), threshold, bias)


@operator("ThresholdedRelu")
def thresholded_relu(call: Call) -> Value:
    """Emit a Relu where it does not jump."""
    return lowering_kinks.thresholded_relu(call.emitter, call.activation(), call.number("alpha", 1.0))


@operator("LeakyRelu")
def leaky_relu(call: Call) -> Value:
    """Emit a LeakyRelu with the stored float32 slope."""
    return lowering.leaky_relu(call.emitter, call.activation(), call.number("alpha", float(np.float32(0.01))))


@operator("Clip")
def clip(call: Call) -> Value:
    """Emit a Clip; its bounds are attributes before opset 11 and inputs since."""
    if call.opset < 11:
        limit = float(np.finfo(np.float32).max)
        low, high = call.number("min", -limit), call.number("max", limit)
        # The defaults of old opsets are the ends of float32, which bound nothing.
        low, high = (-np.inf if low == -limit else low), (np.inf if high == limit else high)
    else:
        low, high = call.scalar(1, -np.inf), call.scalar(2, np.inf)
    return lowering.clip(call.emitter, call.activation(), low, high)


@operator("Identity")
def identity(call: Call) -> Value:
    """Pass the value on."""
    return call.value(0)


@operator("Dropout")
def dropout(call: Call) -> Value:
    """Pass the value on; refuse training mode."""
    for key in ("ratio", "seed"):
        call.attribute(key)
    if call.optional(2) is not None and call.constant(2).array.any():
        raise Unsupported("it is in training mode: the output is random", "Export in evaluation mode.")
    return call.value(0)
