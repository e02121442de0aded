"""Attention without a cache, as canonical nodes: two matrix products around a Softmax."""

from __future__ import annotations

import math

from glocert.graph.lowering import add, matmul, scaled
from glocert.graph.lowering_normalise import per_sample
from glocert.graph.shapes import ShapeError
from glocert.graph.values import Activation, Emitter, Unsupported, Value


def default_scale(width: int) -> float:
    """Return one over the root of ``width``, rounded to float64: the factor where the upload stores none."""
    return 1.0 / math.sqrt(width)


def attention(
    emitter: Emitter,
    query: Activation,
    key: Activation,
    value: Activation,
    *,
    scale: float | None = None,
    bias: Value | None = None,
) -> Activation:
    """Emit ``softmax(scale * query key^T + bias) value``.

    Args:
        emitter: appends the nodes.
        query: shape (..., queries, width) per sample.
        key: shape (..., keys, width) per sample.
        value: shape (..., keys, features) per sample.
        scale: factor of the products; None for one over the root of ``width``.
        bias: added to the scaled products, or None.

    Raises:
        ShapeError: the three do not belong together.
        Unsupported: the scale is not finite.
    """
    ranks = {len(part.shape) for part in (query, key, value)}
    if len(ranks) > 1 or min(ranks) < 2 or query.shape[-1] != key.shape[-1]:
        shapes = [list(part.shape) for part in (query, key, value)]
        raise ShapeError(f"query, key and value of shapes {shapes} do not belong together")
    factor = default_scale(query.shape[-1]) if scale is None else scale
    if not math.isfinite(factor):
        raise Unsupported(f"its scale {factor} is not finite")
    rank = len(key.shape)
    perm = (*range(rank - 2), rank - 1, rank - 2)
    turned = emitter.add("Transpose", (key,), {"perm": perm})
    scores = scaled(emitter, matmul(emitter, query, turned), factor)
    scores = scores if bias is None else add(emitter, scores, bias)
    weights = emitter.add("Softmax", (scores,), {"axis": rank - 1})
    return matmul(emitter, weights, value)


def heads(emitter: Emitter, x: Activation, count: int) -> Activation:
    """Split the last axis into heads: (length, count * width) to (count, length, width) per sample.

    Raises:
        ShapeError: the last axis does not fall into ``count`` heads.
    """
    if len(x.shape) != 2 or count < 1 or x.shape[1] % count:
        raise ShapeError(f"a tensor of shape {list(x.shape)} per sample does not fall into {count} heads")
    length, width = x.shape
    split = per_sample(emitter, x, (length, count, width // count))
    return emitter.add("Transpose", (split,), {"perm": (1, 0, 2)})


def joined(emitter: Emitter, x: Activation) -> Activation:
    """Undo ``heads``: (count, length, width) to (length, count * width) per sample."""
    count, length, width = x.shape
    turned = emitter.add("Transpose", (x,), {"perm": (1, 0, 2)})
    return per_sample(emitter, turned, (length, count * width))


def repeated(emitter: Emitter, x: Activation, count: int) -> Activation:
    """Repeat every head so that there are ``count``, equal ones side by side.

    Raises:
        ShapeError: ``count`` is no multiple of the heads.
    """
    heads_now = x.shape[0]
    if count % heads_now:
        raise ShapeError(f"{heads_now} heads of keys do not serve {count} heads of queries")
    if heads_now == count:
        return x
    positions = tuple(head for head in range(heads_now) for _ in range(count // heads_now))
    return emitter.add("Gather", (x,), {"axis": 0, "indices": positions})
