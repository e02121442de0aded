"""Moves between channels and space, and writes at constant places, as canonical nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocert.graph.lowering_select import flat_gather, full, take
from glocert.graph.lowering_shape import reshape, transpose
from glocert.graph.shapes import Shape, ShapeError
from glocert.graph.values import BATCH, Activation, Constant, Emitter, Unsupported, Value

Positions = NDArray[np.int64]


def depth_to_space(emitter: Emitter, x: Activation, block: int, *, columns_first: bool) -> Activation:
    """Emit ONNX's DepthToSpace; ``columns_first`` is its mode CRD, which is torch's pixel shuffle.

    Raises:
        ShapeError: the channels do not divide.
    """
    _check_image(emitter, x)
    channels, height, width = x.shape
    if block < 1 or channels % (block * block):
        raise ShapeError(f"{channels} channels do not make blocks of {block} x {block}")
    depth = channels // (block * block)
    lead = [depth, block, block] if columns_first else [block, block, depth]
    split = reshape(emitter, x, [BATCH, *lead, height, width])
    turned = transpose(emitter, split, (0, 1, 4, 2, 5, 3) if columns_first else (0, 3, 4, 1, 5, 2))
    return reshape(emitter, turned, [BATCH, depth, height * block, width * block])


def space_to_depth(emitter: Emitter, x: Activation, block: int, *, columns_first: bool = False) -> Activation:
    """Emit ONNX's SpaceToDepth; with ``columns_first`` torch's pixel unshuffle.

    Raises:
        ShapeError: the image does not divide.
    """
    _check_image(emitter, x)
    channels, height, width = x.shape
    if block < 1 or height % block or width % block:
        raise ShapeError(f"an image of {height} x {width} has no blocks of {block} x {block}")
    split = reshape(emitter, x, [BATCH, channels, height // block, block, width // block, block])
    turned = transpose(emitter, split, (0, 1, 3, 5, 2, 4) if columns_first else (0, 3, 5, 1, 2, 4))
    return reshape(emitter, turned, [BATCH, channels * block * block, height // block, width // block])


def _check_image(emitter: Emitter, x: Activation) -> None:
    if not emitter.batch.present:
        raise Unsupported("it needs a batch axis")
    if len(x.shape) != 3:
        raise ShapeError(f"it takes channels, height and width, not {list(x.shape)}")


def written(emitter: Emitter, base: Value, updates: Value, places: Positions, shape: Shape) -> Activation:
    """Emit ``base`` with ``updates`` at flat ``places``; where a place occurs twice the last one counts.

    Args:
        emitter: appends the nodes.
        base: per-sample ``shape``; a constant without a batch axis.
        updates: as many numbers as ``places``, likewise.
        places: positions in the C order of ``shape``.
        shape: per-sample shape of ``base`` and of the result.
    """
    size = int(np.prod(shape, dtype=np.int64))
    source = np.arange(size)
    source[places.ravel()] = size + np.arange(places.size)
    line = emitter.add("Concat", (_line(emitter, base), _line(emitter, updates)), {"axis": 0})
    return reshape(emitter, take(emitter, line, 0, source.tolist()), full(emitter, shape))


def _line(emitter: Emitter, value: Value) -> Value:
    """Return all numbers of one sample on one axis."""
    if isinstance(value, Constant):
        return Constant(value.array.reshape(-1), value.name)
    return reshape(emitter, value, full(emitter, (int(np.prod(value.shape, dtype=np.int64)),)))


def gathered_elements(emitter: Emitter, x: Activation, axis: int, indices: Positions) -> Activation:
    """Emit ``y[i, j, ...] = x[i, indices[i, j, ...], ...]`` along a *per-sample* ``axis``.

    Args:
        emitter: appends the nodes.
        x: what is read.
        axis: per sample.
        indices: per sample, of the rank of ``x``; negative ones count from the end.

    Raises:
        Unsupported: the indices are out of range.
    """
    size = x.shape[axis]
    if indices.ndim != len(x.shape) or ((indices < -size) | (indices >= size)).any():
        raise Unsupported("its indices are out of range")
    places: list[Positions] = list(np.indices(indices.shape))
    places[axis] = np.asarray(indices % size, np.int64)
    flat = np.ravel_multi_index(places, x.shape)
    return flat_gather(emitter, x, np.asarray(flat), indices.shape)


def element_places(shape: Shape, axis: int, indices: NDArray[np.integer[Any]]) -> Positions:
    """Return the flat positions that ScatterElements writes with ``indices`` along ``axis``."""
    size = shape[axis]
    if indices.ndim != len(shape) or ((indices < -size) | (indices >= size)).any():
        raise Unsupported("its indices are out of range")
    places: list[Positions] = list(np.indices(indices.shape))
    places[axis] = np.asarray(indices % size, np.int64)
    return np.asarray(np.ravel_multi_index(places, shape), np.int64)


def tuple_places(shape: Shape, indices: NDArray[np.integer[Any]]) -> Positions:
    """Return the flat positions of the entries that the last axis of ``indices`` names (GatherND, ScatterND).

    Returns:
        Shape (*indices.shape[:-1], *shape[k:]) for tuples of k indices.
    """
    depth = indices.shape[-1]
    sizes = np.array(shape[:depth])
    if depth > len(shape) or ((indices < -sizes) | (indices >= sizes)).any():
        raise Unsupported("its indices are out of range")
    flat = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
    return np.asarray(flat[tuple(np.moveaxis(indices % sizes, -1, 0))], np.int64)
