"""Changing the lengths of axes, as Gathers (nearest) and products with small matrices (linear, cubic).

Every output position of an axis has a *coordinate* on the input's axis. Runtimes compute coordinates and
weights in float32, before any input arrives; so does this module, and the weights become parameters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocert.graph.lowering_select import check_length, take
from glocert.graph.lowering_shape import transpose
from glocert.graph.values import Activation, Constant, Emitter, Unsupported

Coordinates = NDArray[np.float32]
Matrix = NDArray[np.float32]

_HALF = np.float32(0.5)
_WEIGHTS = ".weights"


def is_interpolation(parameter: str) -> bool:
    """Whether a parameter's name says that it holds weights which runtimes compute on their own."""
    return re.search(rf"{re.escape(_WEIGHTS)}\d+(_\d+)?$", parameter) is not None


def coordinates(mode: str, size: int, length: int, scale: float) -> Coordinates:
    """Return where ``length`` output positions lie on an axis of ``size`` entries.

    Args:
        mode: ONNX's ``coordinate_transformation_mode``.
        size: entries of the input.
        length: entries of the output.
        scale: how much longer the output is; ``length / size`` up to rounding.

    Raises:
        Unsupported: the mode needs a region of interest, or is unknown.
    """
    places, factor = np.arange(length, dtype=np.float32), np.float32(scale)
    if mode == "align_corners":
        if length == 1:
            return places
        return places * np.float32(size - 1) / np.float32(length - 1)
    if mode == "asymmetric":
        return places / factor
    if mode == "tf_half_pixel_for_nn":
        return (places + _HALF) / factor
    if mode == "pytorch_half_pixel" and length == 1:
        return np.zeros(1, np.float32)
    if mode in {"half_pixel", "pytorch_half_pixel"}:
        return (places + _HALF) / factor - _HALF
    if mode == "half_pixel_symmetric":
        shift = np.float32(size / 2) * (1 - np.float32(length) / (factor * np.float32(size)))
        return np.asarray(shift + (places + _HALF) / factor - _HALF, np.float32)
    raise Unsupported(f"coordinates {mode!r} are not supported")


def nearest_positions(where: Coordinates, size: int, rounding: str) -> list[int]:
    """Return the entry that each coordinate takes, ``rounding`` as ONNX's ``nearest_mode``.

    Raises:
        Unsupported: another rounding.
    """
    rules: dict[str, Callable[[Coordinates], Coordinates]] = {
        "round_prefer_floor": lambda x: np.ceil(x - _HALF),
        "round_prefer_ceil": lambda x: np.floor(x + _HALF),
        "floor": np.floor,
        "ceil": np.ceil,
    }
    if rounding not in rules:
        raise Unsupported(f"nearest_mode {rounding!r} is not supported")
    return [int(place) for place in np.clip(rules[rounding](where), 0, size - 1)]


def linear_matrix(where: Coordinates, size: int) -> Matrix:
    """Return the weights of linear interpolation, shape (size, len(where))."""
    inside = np.clip(where, np.float32(0), np.float32(size - 1))
    left = np.floor(inside).astype(np.int64)
    share = inside - left.astype(np.float32)
    matrix = np.zeros((size, len(where)), np.float32)
    columns = np.arange(len(where))
    matrix[left, columns] = np.float32(1) - share
    matrix[np.minimum(left + 1, size - 1), columns] += share
    return matrix


def cubic_matrix(where: Coordinates, size: int, a: float = -0.75, *, exclude_outside: bool = False) -> Matrix:
    """Return the weights of cubic convolution, shape (size, len(where)).

    Args:
        where: coordinates.
        size: entries of the input.
        a: the free coefficient.
        exclude_outside: weigh only entries that exist, instead of repeating the border.
    """
    left = np.floor(where)
    share = (where - left).astype(np.float32)
    weights = _keys(share, np.float32(a))
    matrix = np.zeros((size, len(where)), np.float32)
    places = left.astype(np.int64) + np.arange(-1, 3)[:, None]
    if exclude_outside:
        weights = np.where((places < 0) | (places >= size), np.float32(0), weights)
        weights = weights / weights.sum(axis=0)
    for row, weight in zip(np.clip(places, 0, size - 1), weights, strict=True):
        np.add.at(matrix, (row, np.arange(len(where))), weight)
    return matrix


def _keys(s: Matrix, a: np.float32) -> Matrix:
    """Weights of the four neighbours of a coordinate that lies ``s`` behind the second one.

    Source: R. Keys, Cubic convolution interpolation for digital image processing, 1981.
    """
    r = np.float32(1) - s

    def far(d: Matrix) -> Matrix:
        return np.asarray(((a * d - 5 * a) * d + 8 * a) * d - 4 * a)

    def near(d: Matrix) -> Matrix:
        return np.asarray(((a + 2) * d - (a + 3)) * d * d + 1)

    return np.stack([far(s + 1), near(s), near(r), far(r + 1)]).astype(np.float32)


def nearest(emitter: Emitter, x: Activation, axis: int, positions: list[int]) -> Activation:
    """Emit a selection along a *per-sample* ``axis``."""
    return take(emitter, x, axis, positions)


def weighted(emitter: Emitter, x: Activation, axis: int, matrix: NDArray[np.floating[Any]]) -> Activation:
    """Emit a product with ``matrix`` of shape (size, length) along a *per-sample* ``axis``.

    Raises:
        ModelTooLarge: the new axis is too long.
    """
    check_length(emitter, matrix.shape[1])
    if matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(len(matrix))):
        return x
    rank = len(x.shape)
    name = f"{emitter.name}{_WEIGHTS}{axis}"
    if axis == rank - 2:
        return emitter.add("MatMul", (Constant(np.ascontiguousarray(matrix.T), name), x))
    order = list(range(rank))
    order[axis], order[-1] = order[-1], order[axis]
    perm = [*range(emitter.offset), *(entry + emitter.offset for entry in order)]
    product = emitter.add("MatMul", (transpose(emitter, x, perm), Constant(matrix, name)))
    return transpose(emitter, product, perm)
