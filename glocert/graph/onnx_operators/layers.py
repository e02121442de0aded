"""Activations functions, normalisation, and operators that do nothing at inference."""

from __future__ import annotations

import numpy as np

from glocert.graph import lowering
from glocert.graph.onnx_operators.registry import Call, operator
from glocert.graph.values import Unsupported, Value


@operator("Relu")
def relu(call: Call) -> Value:
    """Emit a Relu."""
    return call.emitter.add("Relu", (call.activation(),))


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


@operator("BatchNormalization")
def batch_normalization(call: Call) -> Value:
    """Emit the inference form."""
    training = call.integer("training_mode", 0) or len([name for name in call.node.output if name]) > 1
    call.attribute("momentum")
    if training:
        raise Unsupported("it is in training mode", "Export the model in evaluation mode.")
    if call.integer("spatial", 1) != 1:
        raise Unsupported("spatial=0 is not supported")
    epsilon = call.number("epsilon", float(np.float32(1e-5)))
    parameters = (call.constant(1), call.constant(2), call.constant(3), call.constant(4))
    return lowering.batch_normalization(call.emitter, call.activation(), parameters, epsilon)


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
