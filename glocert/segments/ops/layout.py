"""Operators that only say where numbers lie: no rounding, and no work where the order can absorb them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from glocert.graph.execution import level_lost
from glocert.graph.ir import Node
from glocert.segments.knots import Knots
from glocert.segments.ops.registry import Affine, Order, Site, natural, plain, size, transfer


@dataclass(frozen=True, slots=True)
class Same:
    """The same numbers in the same memory under another shape."""

    def __call__(self, *inputs: Knots) -> Knots:
        """Return the input."""
        return inputs[0]


@transfer("Reshape")
def reshape(node: Node, site: Site) -> tuple[Affine, Order]:
    """Keep the memory: flat indices do not change."""
    return Same(), site.orders[node.inputs[0]]


@transfer("Transpose")
def transpose(node: Node, site: Site) -> tuple[Affine, Order]:
    """Keep the memory: only the flat index of each number changes."""
    name = node.inputs[0]
    shape = site.shape(name)
    source = plain(shape).reshape(shape).transpose(node.ints("perm")).reshape(-1)
    return Same(), np.argsort(source, kind="stable")[site.orders[name]]


@dataclass(frozen=True, slots=True)
class Constant:
    """A parameter among the inputs of Concat, as a curve that does not move; ``lost`` when executed."""

    values: Tensor
    lost: Tensor

    def knots(self, like: Knots) -> Knots:
        """Return the constant at every vertex of ``like``."""
        rows = self.values.expand(len(like.values), -1)
        return Knots(rows, self.lost.clone(), self.values, self.values)


@dataclass(frozen=True, slots=True)
class Joined:
    """Activations and constants side by side in memory."""

    parts: tuple[Constant | None, ...]

    def __call__(self, *inputs: Knots) -> Knots:
        """Concatenate values, radii and extents."""
        remaining = iter(inputs)
        parts = [next(remaining) if part is None else part.knots(inputs[0]) for part in self.parts]
        extents = [part.extent() for part in parts]
        return Knots(
            torch.cat([part.values for part in parts], 1),
            torch.cat([part.radius for part in parts]),
            torch.cat([low for low, _ in extents]),
            torch.cat([high for _, high in extents]),
        )


@transfer("Concat", activations=2**31)
def concat(node: Node, site: Site) -> tuple[Affine, Order]:
    """Keep the memory of every part; the order says where its numbers belong."""
    axis, target = int(node.number("axis")), site.shape(node.output)
    positions, orders, parts, start = plain(target).reshape(target), [], [], 0
    for name in node.inputs:
        varies = site.is_activation(name)
        shape = site.shape(name) if varies else site.parameter(name).shape
        length = shape[axis]
        block = np.take(positions, range(start, start + length), axis).reshape(-1)
        orders.append(block[site.orders[name]] if varies else block)
        parts.append(None if varies else _constant(name, site))
        start += length
    return Joined(tuple(parts)), np.concatenate(orders)


def _constant(name: str, site: Site) -> Constant:
    values = site.tensor(site.parameter(name).reshape(-1))
    return Constant(values, site.lost(values))


@dataclass(frozen=True, slots=True)
class Padded:
    """Numbers moved into a larger (or smaller) frame that is filled with a constant.

    Attributes:
        target: positions in the output that come from the input.
        source: their positions in the input.
        size: how many numbers the output has.
        value: what the rest is filled with.
        lost: by how much that may change when executed.
    """

    target: Tensor
    source: Tensor
    size: int
    value: float
    lost: float

    def __call__(self, *inputs: Knots) -> Knots:
        """Move values, radius and extent."""
        (x,) = inputs
        low, high = x.extent()
        values = x.values.new_full((len(x.values), self.size), self.value)
        values[:, self.target] = x.values.index_select(1, self.source)
        return Knots(
            values,
            self._moved(x.radius, self.lost),
            self._moved(low, self.value),
            self._moved(high, self.value),
        )

    def _moved(self, vector: Tensor, value: float) -> Tensor:
        result = vector.new_full((self.size,), value)
        result[self.target] = vector[self.source]
        return result


@transfer("Pad")
def pad(node: Node, site: Site) -> tuple[Affine, Order]:
    """Constant padding; negative pads cut."""
    name, pads = node.inputs[0], node.ints("pads")
    shape, target = site.shape(name), site.shape(node.output)
    inner = plain(shape).reshape(shape)
    for axis, (before, after) in enumerate(zip(pads[: len(shape)], pads[len(shape) :], strict=True)):
        inner = np.take(inner, range(max(-before, 0), inner.shape[axis] - max(-after, 0)), axis)
    widths = [(max(b, 0), max(a, 0)) for b, a in zip(pads[: len(shape)], pads[len(shape) :], strict=True)]
    order = natural(target)
    flat = np.pad(inner, widths, constant_values=-1).reshape(-1)[order]
    inside = np.flatnonzero(flat >= 0)
    wanted = flat[inside]
    source = site.gather(name, np.arange(size(shape))) if len(shape) else None
    index = site.index(wanted) if source is None else source[site.index(wanted)]
    value = node.number("value")
    lost = level_lost(value) if site.execution.charged else 0.0
    return Padded(site.index(inside), index, size(target), value, lost), order


@dataclass(frozen=True, slots=True)
class Picked:
    """Numbers read from given places in memory; a number that is read twice is two coordinates."""

    index: Tensor

    def __call__(self, *inputs: Knots) -> Knots:
        """Move values, radius and extent."""
        return inputs[0].take(self.index)


@transfer("Gather")
def gather(node: Node, site: Site) -> tuple[Affine, Order]:
    """Read entries along an axis; where they are a permutation, the order absorbs it and nothing moves."""
    name, axis, indices = node.inputs[0], int(node.number("axis")), node.ints("indices")
    shape, target = site.shape(name), site.shape(node.output)
    source = np.take(plain(shape).reshape(shape), indices, axis).reshape(-1)
    if sorted(indices) == list(range(shape[axis])):
        return Same(), np.argsort(source, kind="stable")[site.orders[name]]
    order = natural(target)
    places = np.argsort(site.orders[name], kind="stable")
    return Picked(site.index(places[source[order]])), order
