"""Carries a piecewise linear curve through each operator, with a bound on how far the truth may be from it.

A curve is its values at fixed vertices and one radius per coordinate: at every t the exact activation is
within the radius of the straight line between the two vertices around t. No vertex is ever inserted here.
Where an operator bends between two vertices, the straight line misses the bend by at most the smaller of the
distances of both ends from the level of the bend, and that is added to the radius: a proof whose vertices lie
at the bends costs nothing, one whose vertices do not gets a radius that shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from glocert_check.graph import Float64, number

UNIT = 2.0**-53
TINY = 2.0**-960
"""more than all underflows of one operation together"""


@dataclass(frozen=True)
class Curve:
    """``values`` of shape (vertices, *shape) and ``radius`` of shape ``shape``."""

    values: Float64
    radius: Float64

    @property
    def peak(self) -> Float64:
        """Largest absolute value of each coordinate."""
        return np.asarray(np.abs(self.values).max(axis=0))


Node = dict[str, Any]
Operand = Curve | Float64
Transfer = Callable[[Node, tuple[int, ...], list[Any]], Curve]
TRANSFERS: dict[str, Transfer] = {}


def transfer(*operators: str) -> Callable[[Transfer], Transfer]:
    """Register how curves pass ``operators``: ``f(node, shape of the output, operands)``."""

    def register(function: Transfer) -> Transfer:
        TRANSFERS.update(dict.fromkeys(operators, function))
        return function

    return register


def gamma(terms: int) -> float:
    """Bound on the relative error of a sum of ``terms`` products and a bias, in any order."""
    return 1.1 * (terms + 4) * UNIT


def up(radius: Float64, terms: int = 0) -> Float64:
    """Lift a computed sum of non-negative products above the exact one."""
    return radius * (1 + 4 * (terms + 16) * UNIT) + TINY


def linear(x: Curve, apply: Callable[[Float64], Float64], size: Callable[[Float64], Float64], terms: int,
           bias: Float64 | float = 0.0) -> Curve:  # fmt: skip
    """Map by ``apply``, batched over vertices, and add ``bias``; ``size`` is that map of absolute weights."""
    reach = size((x.radius + gamma(terms) * x.peak)[None])[0]
    return Curve(apply(x.values) + bias, up(reach + gamma(terms) * np.abs(bias), terms))


def missed(values: Float64, level: float) -> Float64:
    """Return for every piece how far a straight line misses a unit change of slope at ``level``."""
    before, after = values[:-1] - level, values[1:] - level
    crossed = (before < 0) != (after < 0)
    return np.where(crossed, np.minimum(np.abs(before), np.abs(after)), 0.0)


def worst(pieces: Float64) -> Float64:
    """Return the largest of all pieces."""
    return np.asarray(pieces.max(axis=0, initial=0.0))


def _aligned(values: Float64, rank: int) -> Float64:
    return values.reshape(values.shape[0], *[1] * (rank + 1 - values.ndim), *values.shape[1:])


@transfer("Add", "Sub")
def _sum(node: Node, shape: tuple[int, ...], operands: list[Operand]) -> Curve:
    sign = 1.0 if node["operator"] == "Add" else -1.0
    left, right = (
        each if isinstance(each, Curve) else Curve(each[None], np.zeros_like(each)) for each in operands
    )
    values = _aligned(left.values, len(shape)) + sign * _aligned(right.values, len(shape))
    radius = left.radius + right.radius + 4 * UNIT * (left.peak + right.peak)
    return Curve(values, up(np.broadcast_to(radius, shape)))


@transfer("Mul", "Div")
def _scale(node: Node, shape: tuple[int, ...], operands: list[Operand]) -> Curve:
    x, factor = operands if isinstance(operands[0], Curve) else operands[::-1]
    assert isinstance(x, Curve)
    assert not isinstance(factor, Curve)
    values = _aligned(x.values, len(shape))
    share = x.radius + 4 * UNIT * x.peak
    if node["operator"] == "Mul":
        return Curve(values * factor, up(np.broadcast_to(share * np.abs(factor), shape)))
    return Curve(values / factor, up(np.broadcast_to(share / np.abs(factor), shape)))


@transfer("MatMul")
def _matmul(_node: Node, _shape: tuple[int, ...], operands: list[Operand]) -> Curve:
    left, right = operands
    if isinstance(left, Curve):
        weight = np.asarray(right)
        return linear(left, lambda z: z @ weight, lambda z: z @ np.abs(weight), weight.shape[0])
    assert isinstance(right, Curve)
    if right.values.ndim == 2:
        return linear(right, lambda z: z @ left.T, lambda z: z @ np.abs(left).T, left.shape[-1])
    return linear(right, lambda z: np.matmul(left, z), lambda z: np.matmul(np.abs(left), z), left.shape[-1])


@transfer("Gemm")
def _gemm(_node: Node, _shape: tuple[int, ...], operands: list[Any]) -> Curve:
    x, weight, *bias = operands
    return linear(x, lambda z: z @ weight.T, lambda z: z @ np.abs(weight).T, weight.shape[1], *bias)


@transfer("Conv")
def _conv(node: Node, shape: tuple[int, ...], operands: list[Any]) -> Curve:
    x, weight, *bias = operands
    offset = bias[0][:, None, None] if bias else 0.0
    terms = int(np.prod(weight.shape[1:]))
    return linear(
        x, lambda z: _convolved(node, shape, z, weight), lambda z: _convolved(node, shape, z, np.abs(weight)),
        terms, offset,
    )  # fmt: skip


def _convolved(node: Node, shape: tuple[int, ...], z: Float64, weight: Float64) -> Float64:
    groups = int(node["attributes"]["group"])
    maps, channels = len(weight) // groups, weight.shape[1]
    out = np.zeros((len(z), *shape))
    for group in range(groups):
        part = z[:, group * channels : (group + 1) * channels]
        mine = slice(group * maps, (group + 1) * maps)
        for down, right, pixels in _windows(node, shape, part, weight.shape[2:], 0.0):
            out[:, mine] += np.einsum("vcij,oc->voij", pixels, weight[mine, :, down, right], optimize=True)
    return out


def _windows(node: Node, shape: tuple[int, ...], z: Float64, kernel: tuple[int, ...], filling: float) -> Any:
    """Yield (down, right, pixels): one place of every window, shape (vertices, channels, *places)."""
    attributes, places = node["attributes"], shape[1:]
    strides, pads = attributes["strides"], attributes["pads"]
    gaps = attributes.get("dilations", (1, 1))
    ends = [
        max(0, (places[a] - 1) * strides[a] + (kernel[a] - 1) * gaps[a] + 1 - pads[a] - z.shape[2 + a])
        for a in (0, 1)
    ]
    framed = np.pad(z, ((0, 0), (0, 0), (pads[0], ends[0]), (pads[1], ends[1])), constant_values=filling)
    for down in range(kernel[0]):
        for right in range(kernel[1]):
            top, left = down * gaps[0], right * gaps[1]
            rows = slice(top, top + (places[0] - 1) * strides[0] + 1, strides[0])
            yield (
                down,
                right,
                framed[:, :, rows, slice(left, left + (places[1] - 1) * strides[1] + 1, strides[1])],
            )


@transfer("BatchNormalization")
def _normalise(node: Node, _shape: tuple[int, ...], operands: list[Any]) -> Curve:
    x, *parameters = operands
    scale, bias, mean, var = (each.reshape(-1, *[1] * (x.radius.ndim - 1)) for each in parameters)
    factor = scale / np.sqrt(var + number(node["attributes"]["epsilon"]))
    size = np.abs(factor)
    radius = size * x.radius + 32 * UNIT * (size * (x.peak + x.radius + np.abs(mean)) + np.abs(bias))
    return Curve((x.values - mean) * factor + bias, up(radius))


@transfer("Relu")
def _relu(_node: Node, _shape: tuple[int, ...], operands: list[Any]) -> Curve:
    (x,) = operands
    return Curve(np.maximum(x.values, 0.0), up(x.radius + worst(missed(x.values, 0.0))))


@transfer("LeakyRelu")
def _leaky_relu(node: Node, _shape: tuple[int, ...], operands: list[Any]) -> Curve:
    (x,) = operands
    slope = number(node["attributes"]["alpha"])
    radius = max(1.0, abs(slope)) * (x.radius + 4 * UNIT * x.peak) + abs(1.0 - slope) * worst(
        missed(x.values, 0.0)
    )
    return Curve(np.where(x.values > 0, x.values, slope * x.values), up(radius))


@transfer("Clip")
def _clip(node: Node, _shape: tuple[int, ...], operands: list[Any]) -> Curve:
    (x,) = operands
    levels = [number(node["attributes"][name]) for name in ("min", "max")]
    bends = [missed(x.values, level) for level in levels if np.isfinite(level)]
    values = np.clip(x.values, levels[0], levels[1])
    # A clip never turns back, so on a piece both it and the line stay between the values of the two ends.
    charge = worst(np.minimum(sum(bends, np.zeros(1)), np.abs(np.diff(values, axis=0))))
    largest = max([0.0, *(abs(level) for level in levels if np.isfinite(level))])
    return Curve(values, up(x.radius + charge + 16 * UNIT * (x.peak + largest)))


@transfer("MaxPool")
def _max_pool(node: Node, shape: tuple[int, ...], operands: list[Any]) -> Curve:
    (x,) = operands
    kernel = node["attributes"]["kernel_shape"]
    lines = np.stack([pixels for *_, pixels in _windows(node, shape, x.values, kernel, -np.inf)])
    errors = np.stack([pixels for *_, pixels in _windows(node, shape, x.radius[None], kernel, 0.0)])
    best, winner = lines.max(axis=0), lines.argmax(axis=0)[None]
    # The maximum is convex on a piece and lies above the winners of both ends.
    left = best[1:] - np.take_along_axis(lines[:, 1:], winner[:, :-1], 0)[0]
    right = best[:-1] - np.take_along_axis(lines[:, :-1], winner[:, 1:], 0)[0]
    missed = np.minimum(left, right).max(axis=0, initial=0.0)
    return Curve(best, up(errors.max(axis=0)[0] + missed + 4 * UNIT * np.abs(best).max(axis=0)))


@transfer("AveragePool")
def _average_pool(node: Node, shape: tuple[int, ...], operands: list[Any]) -> Curve:
    (x,) = operands
    kernel = node["attributes"]["kernel_shape"]
    counts = _counts(node, shape, x.radius.shape[1:])

    def mean(z: Float64) -> Float64:
        return np.asarray(sum(pixels for *_, pixels in _windows(node, shape, z, kernel, 0.0)) / counts)

    return linear(x, mean, mean, kernel[0] * kernel[1] + 1)


def _counts(node: Node, shape: tuple[int, ...], sizes: tuple[int, ...]) -> Float64:
    attributes, counts = node["attributes"], []
    for axis in (0, 1):
        pads = (attributes["pads"][axis], attributes["pads"][axis + 2])
        low, high = (-pads[0], sizes[axis] + pads[1]) if attributes["count_include_pad"] else (0, sizes[axis])
        first = np.arange(shape[1 + axis])[:, None] * attributes["strides"][axis] - pads[0]
        places = (
            first + np.arange(attributes["kernel_shape"][axis]) * attributes.get("dilations", (1, 1))[axis]
        )
        counts.append(((places >= low) & (places < high)).sum(axis=1))
    return np.asarray(counts[0][:, None] * counts[1], np.float64)


@transfer("Reshape")
def _reshape(_node: Node, shape: tuple[int, ...], operands: list[Any]) -> Curve:
    (x,) = operands
    return Curve(x.values.reshape(-1, *shape), x.radius.reshape(shape))


@transfer("Transpose")
def _transpose(node: Node, _shape: tuple[int, ...], operands: list[Any]) -> Curve:
    (x,) = operands
    perm = node["attributes"]["perm"]
    return Curve(x.values.transpose(0, *(axis + 1 for axis in perm)), x.radius.transpose(perm))


@transfer("Concat")
def _concat(node: Node, _shape: tuple[int, ...], operands: list[Operand]) -> Curve:
    vertices = next(len(each.values) for each in operands if isinstance(each, Curve))
    parts = [
        each if isinstance(each, Curve)
        else Curve(np.broadcast_to(each, (vertices, *each.shape)), np.zeros_like(each))
        for each in operands
    ]  # fmt: skip
    axis = node["attributes"]["axis"]
    return Curve(
        np.concatenate([part.values for part in parts], axis + 1),
        np.concatenate([part.radius for part in parts], axis),
    )


@transfer("Pad")
def _pad(node: Node, shape: tuple[int, ...], operands: list[Any]) -> Curve:
    (x,) = operands
    pads, rank = node["attributes"]["pads"], len(shape)
    widths = list(zip(pads[:rank], pads[rank:], strict=True))
    value = number(node["attributes"].get("value", 0.0))
    return Curve(np.pad(x.values, [(0, 0), *widths], constant_values=value), np.pad(x.radius, widths))


@transfer("Gather")
def _gather(node: Node, _shape: tuple[int, ...], operands: list[Any]) -> Curve:
    (x,) = operands
    axis, indices = node["attributes"]["axis"], node["attributes"]["indices"]
    return Curve(np.take(x.values, indices, axis + 1), np.take(x.radius, indices, axis))


@transfer("ReduceSum")
def _reduce_sum(node: Node, shape: tuple[int, ...], operands: list[Any]) -> Curve:
    (x,) = operands
    axes = tuple(axis + 1 for axis in node["attributes"]["axes"])

    def total(z: Float64) -> Float64:
        return np.asarray(z.sum(axis=axes)).reshape(-1, *shape)

    return linear(x, total, total, x.radius.size // max(int(np.prod(shape)), 1))
