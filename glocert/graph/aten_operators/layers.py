"""Normalisation layers, and operators that do nothing at inference."""

from __future__ import annotations

import numpy as np

from glocert.graph import lowering, lowering_normalise
from glocert.graph.aten_operators.registry import Call, Withheld, operator
from glocert.graph.values import Activation, Constant, Unsupported, Value

_TYPES = {6: "float32", 7: "float64"}
KINDS = {1: "int8", 3: "int32", 4: "int64", 11: "bool", **_TYPES}
"""Numbers that operators have for the types of weights."""

_STATISTICS = Withheld("it reads the statistics of a normalisation")


def _normalised(call: Call, epsilon: str) -> Value:
    x, mean, variance = call.activation(), call.optional("running_mean"), call.optional("running_var")
    if mean is None or variance is None:
        raise Unsupported("it normalises with the statistics of the batch", "Use running statistics.")
    scale = call.optional("weight") or Constant(np.ones_like(mean.array), f"{call.emitter.output}.scale")
    bias = call.optional("bias") or Constant(np.zeros_like(mean.array), f"{call.emitter.output}.bias")
    parameters = (scale, bias, mean, variance)
    return lowering.batch_normalization(call.emitter, x, parameters, call.number(epsilon, 1e-5))


@operator("aten::batch_norm")
def batch_norm(call: Call) -> Value:
    """Emit the inference form."""
    if call.flag("training", True):
        raise Unsupported("it is in training mode", "Call model.eval() before exporting.")
    return _normalised(call, "eps")


@operator("aten::_native_batch_norm_legit_no_training")
def native_batch_norm(call: Call) -> tuple[Value | Withheld, ...]:
    """Emit the inference form; the statistics are no output of the network."""
    return _normalised(call, "eps"), _STATISTICS, _STATISTICS


@operator("aten::layer_norm")
def layer_norm(call: Call) -> Value:
    """Emit a normalisation over the last axes."""
    axis = -len(call.lengths("normalized_shape"))
    x = call.activation()
    if x.shape[axis:] != call.lengths("normalized_shape"):
        raise Unsupported("its normalized_shape is not that of its input")
    return lowering_normalise.layer_normalization(
        call.emitter, x, axis, call.optional("weight"), call.optional("bias"), call.number("eps", 1e-5)
    )


@operator("aten::native_layer_norm")
def native_layer_norm(call: Call) -> tuple[Value | Withheld, ...]:
    """Emit a normalisation over the last axes; the statistics are no output of the network."""
    return layer_norm(call), _STATISTICS, _STATISTICS


@operator("aten::rms_norm")
def rms_norm(call: Call) -> Value:
    """Emit a division by the root of the mean square over the last axes."""
    if call.argument("eps") is None:
        raise Unsupported("its eps is left to the runtime", "Give nn.RMSNorm an eps.")
    axis = -len(call.lengths("normalized_shape"))
    return lowering_normalise.rms_normalization(
        call.emitter, call.activation(), axis, call.optional("weight"), call.number("eps", 0.0)
    )


@operator("aten::group_norm")
def group_norm(call: Call) -> Value:
    """Emit a normalisation of groups of channels."""
    parameters = (call.optional("weight"), call.optional("bias"))
    groups, epsilon = call.integer("num_groups", 1), call.number("eps", 1e-5)
    return lowering_normalise.group_normalization(
        call.emitter, call.activation(), groups, parameters, epsilon
    )


@operator("aten::native_group_norm")
def native_group_norm(call: Call) -> tuple[Value | Withheld, ...]:
    """Emit a normalisation of groups of channels; the statistics are no output of the network."""
    parameters = (call.optional("weight"), call.optional("bias"))
    groups, epsilon = call.integer("group", 1), call.number("eps", 1e-5)
    value = lowering_normalise.group_normalization(
        call.emitter, call.activation(), groups, parameters, epsilon
    )
    return value, _STATISTICS, _STATISTICS


@operator("aten::instance_norm")
def instance_norm(call: Call) -> Value:
    """Emit a normalisation of every channel of a sample, or one with running statistics."""
    if not call.flag("use_input_stats", True):
        return _normalised(call, "eps")
    return lowering_normalise.instance_normalization(
        call.emitter,
        call.activation(),
        call.optional("weight"),
        call.optional("bias"),
        call.number("eps", 1e-5),
    )


@operator(
    *("aten::contiguous", "aten::detach", "aten::alias", "aten::clone", "aten::requires_grad"),
    *("aten::lift_fresh_copy", "aten::lift_fresh", "aten::_unsafe_view_copy", "aten::positive"),
    shares=True,
)
def unchanged(call: Call) -> Value:
    """Pass the tensor on."""
    value = call.argument(0)
    if not isinstance(value, Activation | Constant):
        raise Unsupported("argument 0 is no tensor")
    return value


@operator("aten::dropout", "aten::feature_dropout", "aten::dropout2d", "aten::alpha_dropout", shares=True)
def dropout(call: Call) -> Value:
    """Pass the tensor on; refuse training mode."""
    if call.flag(2, True):
        raise Unsupported("it is in training mode: the output is random", "Call model.eval() first.")
    return call.value(0)


def _converted(x: Constant, kind: str) -> Constant:
    """Convert a weight, which must keep its numbers."""
    array = x.array.astype(kind)
    if not np.array_equal(array.astype(x.array.dtype), x.array) or (kind == "bool" and x.array.dtype != bool):
        raise Unsupported(f"the numbers of {x.name!r} would be rounded", "Store them in one float type.")
    return Constant(array, x.name, x.every)


@operator("aten::to", "aten::type_as", "aten::_to_copy", "aten::float", "aten::double", shares=True)
def converted(call: Call) -> Value:
    """Pass a tensor on that has the type already; whole numbers become the network's type."""
    if call.kind in {"aten::float", "aten::double"}:
        wanted: object = 6 if call.kind == "aten::float" else 7
    elif call.names:
        wanted = call.argument("dtype", call.argument("other"))
    else:
        wanted = call.argument(1)
    x = call.argument(0)
    if isinstance(x, Constant) and isinstance(wanted, int) and wanted in KINDS:
        return _converted(x, KINDS[wanted])
    if wanted is None and call.overload in {"device", "", "default"}:
        return call.value(0)  # only the device changes, and there is one
    if isinstance(wanted, Activation) or _TYPES.get(wanted) == call.dtype:  # type: ignore[call-overload]
        return call.value(0)
    raise Unsupported("a conversion of a tensor is not supported", "Use one float type throughout.")
