"""Softmax behind a constant mask of -inf: what it hides has probability zero, and no infinity is needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocert.graph.lowering_select import take
from glocert.graph.values import Activation, Constant, Emitter, Unsupported

Array = NDArray[np.floating]


def masked_softmax(emitter: Emitter, x: Activation, axis: int) -> Activation | None:
    """Emit a Softmax over a per-sample axis where ``x`` is a sum with a constant that holds -inf.

    Returns:
        The probabilities, or None where there is no such constant.

    Raises:
        Unsupported: the mask hides everything, or differs in more than the axis before.
    """
    found = _sum(emitter, x)
    if found is None:
        return None
    scores, mask = found
    order = np.moveaxis(np.broadcast_to(mask, x.shape), axis, -1)
    seen = ~np.isneginf(order)
    if not seen.any(axis=-1).all():
        raise Unsupported("its mask hides every entry")
    if (seen == seen.reshape(-1, seen.shape[-1])[0]).all():
        return _visible(emitter, scores, np.broadcast_to(mask, x.shape), axis)
    if axis != len(x.shape) - 1 or (seen != seen[(0,) * (seen.ndim - 2)]).any():
        raise Unsupported("its mask of -inf differs from head to head")
    return _row_by_row(emitter, scores, np.broadcast_to(mask, x.shape), axis)


def _sum(emitter: Emitter, x: Activation) -> tuple[Activation, Array] | None:
    """Return what ``x`` is the sum of, where one addend is a constant with -inf and nothing worse."""
    builder = emitter.builder
    node = next((node for node in reversed(builder.nodes) if node.output == x.name), None)
    if node is None or node.operator != "Add":
        return None
    constants = [name for name in node.inputs if name in builder.parameters]
    others = [name for name in node.inputs if name in builder.shapes and builder.shapes[name] == x.shape]
    if len(constants) != 1 or len(others) != 1:
        return None
    mask = builder.parameters[constants[0]]
    if not np.isneginf(mask).any() or np.isnan(mask).any() or np.isposinf(mask).any():
        return None
    return Activation(others[0], x.shape), mask


def _visible(emitter: Emitter, scores: Activation, mask: Array, axis: int) -> Activation:
    """Emit the Softmax of the entries that a mask shows, the same everywhere, and zeros between them."""
    length = mask.shape[axis]
    line = np.moveaxis(mask, axis, -1).reshape(-1, length)[0]
    shown = np.flatnonzero(~np.isneginf(line))
    picked = take(emitter, scores, axis, shown.tolist())
    added = np.ascontiguousarray(np.take(mask, shown, axis))
    if added.any():
        picked = emitter.add("Add", (picked, Constant(added, f"{emitter.output}.mask")))
    result = emitter.add("Softmax", (picked,), {"axis": axis})
    if len(shown) == length:
        return result
    ends = [int(place == axis) for place in range(mask.ndim)]
    padded = emitter.add("Pad", (result,), {"pads": (*([0] * mask.ndim), *ends), "value": 0.0})
    places = np.full(length, len(shown))
    places[shown] = np.arange(len(shown))
    return take(emitter, padded, axis, places.tolist())


def _row_by_row(emitter: Emitter, scores: Activation, mask: Array, axis: int) -> Activation:
    """Emit one Softmax for all rows that see the same entries."""
    seen = ~np.isneginf(mask[(0,) * (mask.ndim - 2)])
    groups: dict[bytes, list[int]] = {}
    for position, row in enumerate(seen):
        groups.setdefault(row.tobytes(), []).append(position)
    if len(groups) * 6 > emitter.builder.limits.nodes:
        raise Unsupported(f"its mask has {len(groups)} different rows")
    parts, order = [], []
    for rows in groups.values():
        picked = take(emitter, scores, axis - 1, rows)
        parts.append(_visible(emitter, picked, np.take(mask, rows, axis - 1), axis))
        order += rows
    joined = emitter.add("Concat", parts, {"axis": axis - 1})
    return take(emitter, joined, axis - 1, np.argsort(order).tolist())
