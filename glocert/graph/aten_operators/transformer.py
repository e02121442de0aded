"""The fused layers that PyTorch takes for attention modules in evaluation mode without gradients."""

from __future__ import annotations

from glocert.graph import lowering, lowering_attention, lowering_functions, lowering_kinks
from glocert.graph.aten_operators.registry import Call, Withheld, operator
from glocert.graph.lowering_normalise import layer_normalization
from glocert.graph.lowering_select import split
from glocert.graph.values import Activation, Unsupported

_WEIGHTS = Withheld("it reads the weights of a fused attention")


def _attended(call: Call, x: Activation, heads: int) -> Activation:
    """Emit multi-head attention of the rows of ``x`` of per-sample shape (length, width) with themselves."""
    if call.argument("mask") is not None:
        raise Unsupported("a mask of a fused attention is not supported", "Export with gradients enabled.")
    if len(call.full(x)) != 3 or call.emitter.offset != 1:
        raise Unsupported("it takes a batch of sequences")
    weight, bias = call.constant("qkv_weight"), call.constant("qkv_bias")
    width = x.shape[-1]
    if weight.array.shape != (3 * width, width):
        raise Unsupported(f"its weight of shape {list(weight.array.shape)} makes no queries, keys and values")
    joint = lowering.dense(call.emitter, x, weight, bias)
    parts = split(call.emitter, joint, 2, [width] * 3)
    query, key, value = (lowering_attention.heads(call.emitter, part, heads) for part in parts)
    seen = lowering_attention.attention(call.emitter, query, key, value)
    whole = lowering_attention.joined(call.emitter, seen)
    return lowering.dense(call.emitter, whole, call.constant("proj_weight"), call.constant("proj_bias"))


@operator("aten::_native_multi_head_attention")
def attention(call: Call) -> tuple[Activation | Withheld, ...]:
    """Emit multi-head self-attention."""
    x, *others = (call.activation(name) for name in ("query", "key", "value"))
    if any(other.name != x.name for other in others):
        raise Unsupported("a fused attention of different tensors is not supported")
    return _attended(call, x, call.integer("num_head", 1)), _WEIGHTS


@operator("aten::_transformer_encoder_layer_fwd")
def encoder_layer(call: Call) -> Activation:
    """Emit one layer of a transformer: attention and two dense layers, each with a skip and a norm."""
    x, first = call.activation("src"), call.flag("norm_first", False)
    inner = _attended(call, _normed(call, x, 1) if first else x, call.integer("num_heads", 1))
    x = lowering.add(call.emitter, x, inner)
    x = x if first else _normed(call, x, 1)
    x = lowering.add(call.emitter, x, _fed_forward(call, _normed(call, x, 2) if first else x))
    return x if first else _normed(call, x, 2)


def _normed(call: Call, x: Activation, number: int) -> Activation:
    scale, bias = (call.constant(f"norm_{kind}_{number}") for kind in ("weight", "bias"))
    return layer_normalization(call.emitter, x, -1, scale, bias, call.number("eps", 1e-5))


def _fed_forward(call: Call, x: Activation) -> Activation:
    hidden = lowering.dense(call.emitter, x, call.constant("ffn_weight_1"), call.constant("ffn_bias_1"))
    if call.flag("use_gelu", False):
        hidden = lowering_functions.gelu(call.emitter, hidden, "none")
    else:
        hidden = lowering_kinks.relu(call.emitter, hidden)
    return lowering.dense(call.emitter, hidden, call.constant("ffn_weight_2"), call.constant("ffn_bias_2"))
