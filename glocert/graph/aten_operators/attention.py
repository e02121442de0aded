"""Attention as one operator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocert.graph import lowering_attention
from glocert.graph.aten_operators.registry import Call, operator
from glocert.graph.lowering_select import take
from glocert.graph.values import Activation, Constant, Unsupported, Value

Mask = NDArray[np.bool_]


@operator("aten::scaled_dot_product_attention")
def attention(call: Call) -> Value:
    """Emit attention without dropout; what a mask hides is left out, so that no infinity is needed."""
    query, key, value = (call.activation(name) for name in ("query", "key", "value"))
    if call.number("dropout_p", 0.0) != 0.0:
        raise Unsupported("its dropout makes the output random", "Call model.eval() first.")
    if call.argument("enable_gqa") not in (None, False):
        raise Unsupported("grouped queries are not supported", "Repeat keys and values before.")
    scale = None if call.argument("scale") is None else call.number("scale", 1.0)
    mask = call.argument("attn_mask")
    if call.flag("is_causal", False):
        return _masked(call, query, key, value, scale, np.tri(query.shape[-2], key.shape[-2], dtype=bool))
    if isinstance(mask, Constant) and mask.array.dtype == bool:
        if mask.array.ndim > 2 and any(size != 1 for size in mask.array.shape[:-2]):
            raise Unsupported("its mask differs from head to head")
        rows = np.broadcast_to(mask.array.reshape(mask.array.shape[-2:]), (query.shape[-2], key.shape[-2]))
        return _masked(call, query, key, value, scale, rows)
    bias = None if mask is None else call.value("attn_mask")
    return lowering_attention.attention(call.emitter, query, key, value, scale=scale, bias=bias)


def _masked(
    call: Call,
    query: Activation,
    key: Activation,
    value: Activation,
    scale: float | None,
    seen: Mask,
) -> Value:
    """Attend query by query to the keys that it sees; queries that see the same keys go together."""
    if not seen.any(axis=1).all():
        raise Unsupported("its mask hides every key from some query")
    axis = len(query.shape) - 2
    groups: dict[bytes, list[int]] = {}
    for position, row in enumerate(seen):
        groups.setdefault(row.tobytes(), []).append(position)
    if len(groups) * 6 > call.emitter.builder.limits.nodes:
        raise Unsupported(f"its mask has {len(groups)} different rows")
    parts, order = [], []
    for positions in groups.values():
        keys = np.flatnonzero(seen[positions[0]]).tolist()
        rows = take(call.emitter, query, axis, positions)
        picked = [take(call.emitter, part, axis, keys) for part in (key, value)]
        parts.append(lowering_attention.attention(call.emitter, rows, picked[0], picked[1], scale=scale))
        order += positions
    joined = parts[0] if len(parts) == 1 else call.emitter.add("Concat", parts, {"axis": axis})
    return take(call.emitter, joined, axis, np.argsort(order).tolist())
