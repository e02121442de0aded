"""relu, leaky_relu, clamp and its relatives, batch_norm, and operators that do nothing at inference."""

from __future__ import annotations

import math

import numpy as np

from glocert.graph import lowering
from glocert.graph.aten_operators.registry import Call, operator
from glocert.graph.values import Activation, Constant, Unsupported, Value


@operator("aten::relu")
def relu(call: Call) -> Value:
    """Emit a Relu."""
    return call.emitter.add("Relu", (call.activation(),))


@operator("aten::leaky_relu")
def leaky_relu(call: Call) -> Value:
    """Emit a LeakyRelu."""
    return lowering.leaky_relu(call.emitter, call.activation(), call.number(1, 0.01))


@operator("aten::relu6")
def relu6(call: Call) -> Value:
    """Emit a Clip to [0, 6]."""
    return lowering.clip(call.emitter, call.activation(), 0.0, 6.0)


@operator("aten::hardtanh")
def hardtanh(call: Call) -> Value:
    """Emit a Clip to [-1, 1] or what was asked for."""
    return lowering.clip(call.emitter, call.activation(), call.number(1, -1.0), call.number(2, 1.0))


@operator("aten::clamp", "aten::clip", "aten::clamp_min", "aten::clamp_max")
def clamp(call: Call) -> Value:
    """Emit a Clip whose bounds may be left out."""
    position = 1 if call.kind == "aten::clamp_max" else 2
    low = -math.inf if call.kind == "aten::clamp_max" or call.argument(1) is None else call.number(1, 0.0)
    high = math.inf if call.argument(position) is None else call.number(position, 0.0)
    if call.kind == "aten::clamp_min":
        high = math.inf
    return lowering.clip(call.emitter, call.activation(), low, high)


@operator("aten::batch_norm")
def batch_norm(call: Call) -> Value:
    """Emit the inference form."""
    if call.flag(5, True):
        raise Unsupported("it is in training mode", "Call model.eval() before exporting.")
    x, mean, variance = call.activation(), call.optional(3), call.optional(4)
    if mean is None or variance is None:
        raise Unsupported("it normalises with the statistics of the batch", "Use running statistics.")
    scale = call.optional(1) or Constant(np.ones_like(mean.array), f"{call.emitter.output}.scale")
    bias = call.optional(2) or Constant(np.zeros_like(mean.array), f"{call.emitter.output}.bias")
    return lowering.batch_normalization(call.emitter, x, (scale, bias, mean, variance), call.number(7, 1e-5))


@operator(
    *("aten::contiguous", "aten::detach", "aten::alias", "aten::clone", "aten::requires_grad"), shares=True
)
def unchanged(call: Call) -> Value:
    """Pass the tensor on."""
    return call.value(0)


@operator("aten::dropout", "aten::feature_dropout", "aten::dropout2d", "aten::alpha_dropout", shares=True)
def dropout(call: Call) -> Value:
    """Pass the tensor on; refuse training mode."""
    if call.flag(2, True):
        raise Unsupported("it is in training mode: the output is random", "Call model.eval() first.")
    return call.value(0)


@operator("aten::to", "aten::type_as", shares=True)
def converted(call: Call) -> Value:
    """Pass a tensor on that has the type already."""
    x, wanted = call.value(0), call.argument(1)
    if isinstance(wanted, Activation):
        return x
    if isinstance(wanted, int) and {6: "float32", 7: "float64"}.get(wanted) == call.dtype:
        return x
    raise Unsupported("a conversion of a tensor is not supported", "Use one float type throughout.")
