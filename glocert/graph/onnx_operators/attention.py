"""Attention without caches and masks that vary."""

from __future__ import annotations

import numpy as np

from glocert.graph import lowering_attention
from glocert.graph.onnx_operators.registry import Call, operator
from glocert.graph.shapes import ShapeError
from glocert.graph.values import Unsupported, Value


@operator("Attention")
def attention(call: Call) -> Value:
    """Emit attention over heads that are an axis of their own, or parts of the last one."""
    _check_plain(call)
    emitter = call.emitter
    query, key, value = (call.activation(position) for position in range(3))
    counts = call.integer("q_num_heads", 0), call.integer("kv_num_heads", 0)
    flat = len(query.shape) == 2
    if flat:
        query = lowering_attention.heads(emitter, query, counts[0])
        key = lowering_attention.heads(emitter, key, counts[1])
        value = lowering_attention.heads(emitter, value, counts[1])
    if not len(query.shape) == len(key.shape) == len(value.shape) == 3:
        raise ShapeError("its inputs must have three axes, or four with one of heads")
    key = lowering_attention.repeated(emitter, key, query.shape[0])
    value = lowering_attention.repeated(emitter, value, query.shape[0])
    scale = call.number("scale", 0.0) if call.has("scale") else None
    result = lowering_attention.attention(emitter, query, key, value, scale=scale, bias=_bias(call))
    return lowering_attention.joined(emitter, result) if flat else result


def _check_plain(call: Call) -> None:
    """Refuse what makes it more than two products around a Softmax."""
    if call.integer("is_causal", 0):
        raise Unsupported("a causal mask is not supported", "Export the model with a stored float mask.")
    if call.number("softcap", 0.0) != 0.0:
        raise Unsupported("a soft cap is not supported")
    if call.integer("softmax_precision", 1) not in (1, 11):
        raise Unsupported("it computes in half precision", "Export the model in float32.")
    call.attribute("qk_matmul_output_mode")  # says what a second output holds, which cannot be asked for
    if any(call.optional(position) is not None for position in (4, 5, 6)):
        raise Unsupported("a cache of keys and values is not supported", "Export the model without a cache.")
    if not call.emitter.batch.present:
        raise Unsupported("it needs a batch axis")


def _bias(call: Call) -> Value | None:
    """Return a stored mask of finite floats."""
    if call.optional(3) is None:
        return None
    mask = call.constant(3)
    if not mask.is_float or not np.isfinite(mask.array).all():
        raise Unsupported("its mask forbids positions", "A mask of finite floats is supported.")
    return mask
