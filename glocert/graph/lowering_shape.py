"""Layers that move numbers without computing, as canonical nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from glocert.graph.shapes import Shape
from glocert.graph.values import BATCH, Activation, Constant, Emitter, Unsupported, Value

MIXES = "it moves numbers between samples"
ALONE = "Every sample must be computed on its own."


def reshape(emitter: Emitter, x: Activation, target: Sequence[int]) -> Activation:
    """Emit a reshape to ``target``, which may hold one -1 and ``BATCH``; zeros must be resolved already."""
    shape = _resolved(emitter, x.shape, list(target))
    return x if shape == x.shape else emitter.add("Reshape", (x,), {"shape": shape})


def _resolved(emitter: Emitter, shape: Shape, target: list[int]) -> Shape:
    """Return the per-sample shape that ``target`` means."""
    size = math.prod(shape)
    if target.count(-1) > 1 or any(entry < 1 and entry not in (-1, BATCH) for entry in target):
        raise Unsupported(f"its target shape {_shown(target)} is not a shape")
    if not emitter.batch.present:
        return _filled(target, size)
    if not target:
        raise Unsupported(MIXES, ALONE)
    lead, rest = target[0], target[1:]
    if BATCH in rest or (lead == -1 and math.prod(rest) != size):
        raise Unsupported(MIXES, ALONE)
    resolved = _filled(rest, size)
    if lead not in (-1, BATCH):
        emitter.batch.pin(lead)
    return resolved


def _filled(target: list[int], size: int) -> Shape:
    """Replace a -1 so that ``size`` elements fit."""
    known = math.prod(entry for entry in target if entry != -1)
    if size % known or (-1 not in target and known != size):
        raise Unsupported(f"{size} numbers per sample do not fit the shape {_shown(target)}", ALONE)
    return tuple(size // known if entry == -1 else entry for entry in target)


def _shown(target: Sequence[int]) -> str:
    return str(["batch" if entry == BATCH else entry for entry in target])


def flatten(emitter: Emitter, x: Activation, start: int, stop: int = -1) -> Activation:
    """Emit a flattening of the axes ``start`` to ``stop``, both included."""
    rank = len(x.shape) + emitter.offset
    first, last = (axis + rank if axis < 0 else axis for axis in (start, stop))
    full = [*([BATCH] * emitter.offset), *x.shape]
    if not 0 <= first <= last < rank:
        raise Unsupported(f"axes {start} to {stop} are out of range for a tensor of rank {rank}")
    merged = full[first : last + 1]
    if BATCH in merged and len(merged) > 1:
        raise Unsupported(MIXES, ALONE)
    return reshape(
        emitter, x, [*full[:first], math.prod(merged), *full[last + 1 :]] if len(merged) > 1 else full
    )


def matrix(emitter: Emitter, x: Activation, axis: int) -> Activation:
    """Emit ONNX's Flatten: the axes before ``axis`` become one, those from it on another."""
    rank = len(x.shape) + emitter.offset
    cut = axis + rank if axis < 0 else axis
    if not 0 <= cut <= rank:
        raise Unsupported(f"axis {axis} is out of range for a tensor of rank {rank}")
    if not emitter.batch.present:
        return reshape(emitter, x, [math.prod(x.shape[:cut]), math.prod(x.shape[cut:])])
    before = math.prod(x.shape[: max(cut - 1, 0)])
    if cut == 0:
        emitter.batch.pin(1)
    if before != 1:
        raise Unsupported(MIXES, ALONE)
    return reshape(emitter, x, [BATCH, math.prod(x.shape)])


def transpose(emitter: Emitter, x: Activation, perm: Sequence[int]) -> Activation:
    """Emit a permutation of the axes."""
    rank = len(x.shape) + emitter.offset
    positive = [axis + rank if axis < 0 else axis for axis in perm]
    if sorted(positive) != list(range(rank)):
        raise Unsupported(f"{list(perm)} is no permutation of {rank} axes")
    if emitter.batch.present and positive[0] != 0:
        raise Unsupported("it moves the batch axis", ALONE)
    inner = tuple(axis - emitter.offset for axis in positive[emitter.offset :])
    return x if inner == tuple(range(len(inner))) else emitter.add("Transpose", (x,), {"perm": inner})


def concat(emitter: Emitter, values: Sequence[Value], axis: int) -> Activation:
    """Emit a concatenation; constants among ``values`` are the same for every sample."""
    rank = next(len(value.shape) for value in values if isinstance(value, Activation))
    inner = emitter.axis(axis, rank)
    parts = [value if isinstance(value, Activation) else emitter.sample(value) for value in values]
    if len(parts) == 1 and isinstance(parts[0], Activation):
        return parts[0]
    for value in values:
        if isinstance(value, Constant) and emitter.batch.present and not value.every:
            emitter.batch.pin(len(value.array))  # no broadcasting here: its rows are the batch
    return emitter.add("Concat", parts, {"axis": inner})


def pad(
    emitter: Emitter, x: Activation, begins: Sequence[int], ends: Sequence[int], value: float
) -> Activation:
    """Emit constant padding; ``begins`` and ``ends`` per axis of the upload."""
    rank = len(x.shape) + emitter.offset
    if len(begins) != rank or len(ends) != rank:
        raise Unsupported(f"its pads do not fit a tensor of rank {rank}")
    if min((*begins, *ends), default=0) < 0:
        raise Unsupported("negative pads cut numbers off")
    if any((*begins[: emitter.offset], *ends[: emitter.offset])):
        raise Unsupported("it pads the batch axis", ALONE)
    if not np.isfinite(value):
        raise Unsupported(f"its padding value {value} is not finite")
    pads = tuple(map(int, (*begins[emitter.offset :], *ends[emitter.offset :])))
    return emitter.add("Pad", (x,), {"pads": pads, "value": float(value)}) if any(pads) else x
