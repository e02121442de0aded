"""Layers that pick, repeat and reorder entries, as canonical Gathers; nothing is computed.

Axes of the arguments are those of the upload, with its batch axis where it has one, unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocert.errors import ModelTooLarge, Offence
from glocert.graph.lowering_shape import ALONE, MIXES, pad, reshape
from glocert.graph.values import BATCH, Activation, Emitter, Unsupported

_LONGEST = 2**21
"""positions of one axis; as a list they take fifty times as much memory as the numbers themselves"""
_OPEN = (2**31 - 1, 2**63 - 1)
"""Ends of a slice that mean the end of the axis, also backwards."""


def full(emitter: Emitter, shape: Sequence[int]) -> list[int]:
    """Return a per-sample ``shape`` as a reshape's target in the upload's axes."""
    return [BATCH, *shape] if emitter.batch.present else list(shape)


def check_length(emitter: Emitter, length: int) -> None:
    """Refuse an axis that is too long, before its positions are listed.

    Raises:
        ModelTooLarge: more than ``limits.activation`` entries, or more than are worth listing.
    """
    if length > min(emitter.builder.limits.activation, _LONGEST):
        detail = f"an axis of {length} entries is too long"
        raise ModelTooLarge("A tensor of the model is too large.", [Offence(emitter.name, detail)])


def take(emitter: Emitter, x: Activation, axis: int, positions: Sequence[int] | range) -> Activation:
    """Emit the entries at ``positions`` of a *per-sample* ``axis``; nothing where they are all in order.

    Raises:
        Unsupported: no position at all.
    """
    if not len(positions):
        raise Unsupported("it selects nothing")
    check_length(emitter, len(positions))
    indices = tuple(int(position) for position in positions)
    if indices == tuple(range(x.shape[axis])):
        return x
    return emitter.add("Gather", (x,), {"axis": axis, "indices": indices})


def gather(emitter: Emitter, x: Activation, axis: int, indices: NDArray[np.integer[Any]]) -> Activation:
    """Emit a selection along ``axis``, which the axes of ``indices`` replace; a scalar removes it.

    Raises:
        Unsupported: an index is out of range, or the axis is that of the batch.
    """
    check_length(emitter, indices.size)
    inner = emitter.axis(axis, len(x.shape))
    picked = take(emitter, x, inner, _positive(indices.ravel(), x.shape[inner]))
    shape = (*x.shape[:inner], *indices.shape, *x.shape[inner + 1 :])
    return reshape(emitter, picked, full(emitter, shape))


def _positive(indices: NDArray[np.integer[Any]], size: int) -> list[int]:
    """Count negative positions from the end."""
    if ((indices < -size) | (indices >= size)).any():
        raise Unsupported(f"an index is out of range for an axis of length {size}")
    return [int(index) % size for index in indices]


def slice_positions(size: int, start: int, stop: int, step: int) -> range:
    """Return the positions of a slice of an axis of length ``size``, bounds clamped as ONNX says.

    Raises:
        Unsupported: a step of zero.
    """
    if step == 0:
        raise Unsupported("its step is zero")
    start = start + size if start < 0 else start
    stop = -1 if step < 0 and stop in _OPEN else stop + size if stop < 0 else stop
    if step > 0:
        return range(min(max(start, 0), size), min(max(stop, 0), size), step)
    return range(min(max(start, 0), size - 1), min(max(stop, -1), size - 1), step)


def slice_(emitter: Emitter, x: Activation, axis: int, start: int, stop: int, step: int = 1) -> Activation:
    """Emit the slice ``start:stop:step`` of ``axis``; a whole batch may be named as well.

    Raises:
        Unsupported: nothing is left, or it cuts the batch.
    """
    rank = len(x.shape) + emitter.offset
    if emitter.batch.present and axis in (0, -rank):
        if _whole_batch(emitter, start, stop, step):
            return x
        raise Unsupported("it cuts the batch axis", ALONE)
    inner = emitter.axis(axis, len(x.shape))
    if BATCH in (start, stop, step):
        raise Unsupported("its bounds depend on the length of the batch", "Export with a fixed batch size.")
    return take(emitter, x, inner, slice_positions(x.shape[inner], start, stop, step))


def _whole_batch(emitter: Emitter, start: int, stop: int, step: int) -> bool:
    size = emitter.batch.size
    return start == 0 and step == 1 and (stop == BATCH or stop >= (_OPEN[0] if size is None else size))


def split(emitter: Emitter, x: Activation, axis: int, sizes: Sequence[int]) -> list[Activation]:
    """Emit consecutive parts of ``axis`` of the given ``sizes``, in the upload's order.

    Raises:
        Unsupported: the sizes do not add up to the axis, or one is not above zero.
    """
    inner = emitter.axis(axis, len(x.shape))
    if sum(sizes) != x.shape[inner] or min(sizes, default=0) < 1:
        raise Unsupported(f"an axis of length {x.shape[inner]} does not split into {list(sizes)}")
    starts = np.cumsum([0, *sizes])
    return [
        take(emitter, x, inner, range(start, start + size))
        for start, size in zip(starts.tolist(), sizes, strict=False)
    ]


def even_sizes(size: int, parts: int) -> list[int]:
    """Return the lengths of ``parts`` parts, all but the last one equal.

    Raises:
        Unsupported: so many parts do not fit.
    """
    length = -(-size // parts) if parts > 0 else 0
    last = size - length * (parts - 1)
    if parts < 1 or last < 1:
        raise Unsupported(f"an axis of length {size} does not split into {parts} parts")
    return [length] * (parts - 1) + [last]


def expand(emitter: Emitter, x: Activation, target: Sequence[int]) -> Activation:
    """Emit a broadcast to ``target``, both ways as in ONNX; it may hold ``BATCH``, and ones keep lengths.

    Raises:
        Unsupported: the shapes do not broadcast, or it would make a batch axis.
    """
    wanted = list(target)
    rank = len(x.shape) + emitter.offset
    if emitter.batch.present and len(wanted) >= rank:
        if len(wanted) > rank:
            raise Unsupported("it adds an axis before the batch axis", ALONE)
        lead = wanted.pop(0)
        if lead not in (1, BATCH):
            emitter.batch.pin(lead)
    shape = _broadcast(x.shape, wanted)
    x = reshape(emitter, x, full(emitter, (1,) * (len(shape) - len(x.shape)) + x.shape))
    for axis, size in enumerate(shape):
        if x.shape[axis] != size:
            check_length(emitter, size)
            x = take(emitter, x, axis, (0,) * size)
    return x


def _broadcast(shape: tuple[int, ...], wanted: list[int]) -> tuple[int, ...]:
    if any(entry < 1 for entry in wanted):
        raise Unsupported("its target shape is not known", "Export with a fixed batch size.")
    try:
        return np.broadcast_shapes(shape, tuple(wanted))
    except ValueError:
        raise Unsupported(f"{list(shape)} cannot be expanded to {wanted}") from None


def tile(emitter: Emitter, x: Activation, repeats: Sequence[int]) -> Activation:
    """Emit ``repeats`` copies side by side along every axis.

    Raises:
        Unsupported: it repeats the batch, or the counts do not fit.
    """
    if len(repeats) != len(x.shape) + emitter.offset or min(repeats, default=1) < 1:
        raise Unsupported(f"its repeats {list(repeats)} do not fit its input")
    if emitter.batch.present and repeats[0] != 1:
        raise Unsupported(MIXES, ALONE)
    for axis, count in enumerate(repeats[emitter.offset :]):
        check_length(emitter, x.shape[axis] * count)
        x = take(emitter, x, axis, tuple(range(x.shape[axis])) * count)
    return x


def flip(emitter: Emitter, x: Activation, axes: Sequence[int]) -> Activation:
    """Emit the reversal of ``axes``."""
    for axis in axes:
        inner = emitter.axis(axis, len(x.shape))
        x = take(emitter, x, inner, range(x.shape[inner] - 1, -1, -1))
    return x


def roll(emitter: Emitter, x: Activation, axis: int, shift: int) -> Activation:
    """Emit a rotation of ``axis``: what leaves at its end comes in at its begin."""
    inner = emitter.axis(axis, len(x.shape))
    size = x.shape[inner]
    return take(emitter, x, inner, [(position - shift) % size for position in range(size)])


def pad_by_copies(
    emitter: Emitter, x: Activation, begins: Sequence[int], ends: Sequence[int], mode: str
) -> Activation:
    """Emit padding with entries of the tensor itself.

    Args:
        emitter: appends the nodes.
        x: what is padded.
        begins: per axis of the upload; below zero where it cuts.
        ends: likewise.
        mode: ``reflect`` (the border is not repeated), ``edge`` or ``wrap``.

    Raises:
        Unsupported: another mode, a pad of the batch, or one that is wider than ``mode`` allows.
    """
    if len(begins) != len(x.shape) + emitter.offset or len(ends) != len(begins):
        raise Unsupported(f"its pads do not fit a tensor of rank {len(x.shape) + emitter.offset}")
    if any((*begins[: emitter.offset], *ends[: emitter.offset])):
        raise Unsupported("it pads the batch axis", ALONE)
    for axis, (begin, end) in enumerate(zip(begins[emitter.offset :], ends[emitter.offset :], strict=True)):
        check_length(emitter, x.shape[axis] + begin + end)
        x = take(emitter, x, axis, _copied(x.shape[axis], begin, end, mode))
    return x


def padded(
    emitter: Emitter,
    x: Activation,
    begins: Sequence[int],
    ends: Sequence[int],
    mode: str = "constant",
    value: float = 0.0,
) -> Activation:
    """Emit padding of any mode; a pad below zero cuts.

    Args:
        emitter: appends the nodes.
        x: what is padded.
        begins: per axis of the upload.
        ends: likewise.
        mode: ``constant``, ``reflect``, ``edge`` or ``wrap``.
        value: what a constant padding is filled with.
    """
    if mode != "constant":
        return pad_by_copies(emitter, x, begins, ends, mode)
    if min((*begins, *ends), default=0) < 0:
        cuts = [[min(entry, 0) for entry in pads] for pads in (begins, ends)]
        x = pad_by_copies(emitter, x, cuts[0], cuts[1], "edge")
        begins, ends = ([max(entry, 0) for entry in pads] for pads in (begins, ends))
    return pad(emitter, x, begins, ends, value)


def _copied(size: int, begin: int, end: int, mode: str) -> list[int]:
    """Return the position that each place of a padded axis copies."""
    places = np.arange(-begin, size + end)
    if mode == "edge":
        return [int(place) for place in np.clip(places, 0, size - 1)]
    if mode == "wrap":
        if min(begin, end) < 0:
            raise Unsupported("a wrapping pad below zero is not supported")
        return [int(place) for place in places % size]
    if mode != "reflect":
        raise Unsupported(f"mode {mode!r} is not supported")
    if max(begin, end) >= size:
        raise Unsupported(f"it reflects more than an axis of length {size} holds")
    return [int(place) for place in size - 1 - abs(size - 1 - abs(places))]


def crop(emitter: Emitter, x: Activation, begins: Sequence[int], ends: Sequence[int]) -> Activation:
    """Emit what is left after ``begins`` and ``ends`` entries per *per-sample* axis were cut off."""
    for axis, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        x = take(emitter, x, axis, range(begin, x.shape[axis] - end))
    return x


def flat_gather(
    emitter: Emitter, x: Activation, positions: NDArray[np.integer[Any]], shape: Sequence[int]
) -> Activation:
    """Emit the entries of ``x`` at flat per-sample ``positions``, in C order of the per-sample ``shape``."""
    count = int(np.prod(x.shape, dtype=np.int64))
    line = reshape(emitter, x, full(emitter, (count,)))
    return reshape(emitter, take(emitter, line, 0, positions.ravel().tolist()), full(emitter, shape))
