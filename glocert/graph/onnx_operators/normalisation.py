"""Normalisations: by stored statistics, and by those of the sample."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from glocert.graph import lowering, lowering_normalise
from glocert.graph.onnx_operators.registry import Call, operator
from glocert.graph.values import Constant, Unsupported, Value

_DEFAULT_EPSILON = float(np.float32(1e-5))


def _epsilon(call: Call) -> float:
    return call.number("epsilon", _DEFAULT_EPSILON)


def _check_precision(call: Call) -> None:
    """Refuse a normalisation that a runtime computes in half precision."""
    if call.integer("stash_type", TensorProto.FLOAT) not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        raise Unsupported("it computes in half precision", "Export the model in float32.")


@operator("BatchNormalization")
def batch_normalization(call: Call) -> Value:
    """Emit the inference form."""
    training = call.integer("training_mode", 0) or len([name for name in call.node.output if name]) > 1
    call.attribute("momentum")
    if training:
        raise Unsupported("it is in training mode", "Export the model in evaluation mode.")
    if call.integer("spatial", 1) != 1:
        raise Unsupported("spatial=0 is not supported")
    parameters = (call.constant(1), call.constant(2), call.constant(3), call.constant(4))
    return lowering.batch_normalization(call.emitter, call.activation(), parameters, _epsilon(call))


@operator("LayerNormalization")
def layer_normalization(call: Call) -> Value:
    """Emit a normalisation over the axes from ``axis`` on; mean and deviation cannot be asked for."""
    _check_precision(call)
    axis, epsilon = call.integer("axis", -1), _epsilon(call)
    return lowering_normalise.layer_normalization(
        call.emitter, call.activation(), axis, call.optional(1), call.optional(2), epsilon
    )


@operator("RMSNormalization")
def rms_normalization(call: Call) -> Value:
    """Emit a normalisation by the root of the mean square."""
    _check_precision(call)
    axis, epsilon = call.integer("axis", -1), _epsilon(call)
    return lowering_normalise.rms_normalization(
        call.emitter, call.activation(), axis, call.optional(1), epsilon
    )


@operator("InstanceNormalization")
def instance_normalization(call: Call) -> Value:
    """Emit a normalisation of every channel."""
    return lowering_normalise.instance_normalization(
        call.emitter, call.activation(), call.constant(1), call.constant(2), _epsilon(call)
    )


@operator("GroupNormalization")
def group_normalization(call: Call) -> Value:
    """Emit a normalisation of groups of channels; scale and bias are per group before opset 21."""
    _check_precision(call)
    x, groups = call.activation(), call.integer("num_groups", 0)
    parameters: tuple[Constant, Constant] = (call.constant(1), call.constant(2))
    expected = groups if call.opset < 21 else x.shape[0]
    for parameter in parameters:
        if parameter.array.shape != (expected,):
            raise Unsupported(f"{parameter.name!r} must hold {expected} numbers")
    return lowering_normalise.group_normalization(call.emitter, x, groups, parameters, _epsilon(call))


@operator("LpNormalization")
def lp_normalization(call: Call) -> Value:
    """Emit a division by the 1-norm or 2-norm along one axis."""
    axis, p = call.integer("axis", -1), call.integer("p", 2)
    return lowering_normalise.lp_normalization(call.emitter, call.activation(), axis, p)


@operator("MeanVarianceNormalization")
def mean_variance_normalization(call: Call) -> Value:
    """Emit a normalisation over the named axes, by default those of a batch of images without channels."""
    axes = call.ints("axes", (0, 2, 3))
    epsilon = float(np.float32(1e-9))  # a constant of the operator's definition
    return lowering_normalise.mean_variance_normalization(call.emitter, call.activation(), axes, epsilon)
