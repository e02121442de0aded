"""Layers as the arrays that the compiled loops take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glocert.graph.ir import Graph
from glocert.rounding import dot, grow
from glocert.segments.events import lowering
from glocert.segments.events.layers import Float64, Int64, Layer
from glocert.segments.events.loops.begin import begin
from glocert.segments.events.loops.follow import follow
from glocert.segments.events.loops.radius import radius
from glocert.segments.events.loops.tables import (
    BLOCK,
    COLUMNS,
    EDGE,
    ROWS,
    SCORES,
    STARTS,
    TARGETS,
    Plan,
)
from glocert.segments.events.lowering.registry import MOST, REGISTRY, Beyond, Draft
from glocert.segments.ops.registry import Order, natural, size

assert lowering.__all__, "importing the package fills the registry"

UNITS = 2**18
"""numbers of all activations from which a grid's blocks are the better use of memory"""
_ROUNDED = 16
"""roundings of a factor that was computed from parameters"""


class Loops(NamedTuple):
    """The compiled loops that follow a network; ``benchmarks`` measures others against those of ``PROVEN``.

    Attributes:
        begin: see ``loops.begin``.
        follow: see ``loops.follow``.
        radius: see ``loops.radius``.
        room: vertices after which values are computed anew, which forgets what rounding has added up.
    """

    begin: Callable[..., None]
    follow: Callable[..., tuple[int, int, float]]
    radius: Callable[..., None]
    room: int


PROVEN = Loops(begin, follow, radius, room=2048)


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network that is followed event by event.

    Attributes:
        plan: see ``loops.tables``.
        absolute: the same with absolute weights.
        owner: layer of each block of units.
        shifts: constant of each unit.
        sizes: bound on the absolute terms of each constant.
        entry: memory order of the input.
        exit: where each score lies among the units of the last layer.
        gammas: of each layer: relative error of any sum that it makes or takes part in, factors rounded.
        lifts: of each layer: what makes a computed sum of non-negative products that it makes a bound.
        loops: what follows it.
    """

    plan: Plan
    absolute: Plan
    owner: Int64
    shifts: Float64
    sizes: Float64
    entry: Order
    exit: Order
    gammas: Float64
    lifts: Float64
    loops: Loops = PROVEN

    @property
    def units(self) -> int:
        """Of all layers."""
        return len(self.shifts)


def prepare(graph: Graph) -> Network | None:
    """Return the network of a piecewise linear graph; None where events do not suit it."""
    numbers = sum(size(shape) for shape in graph.shapes.values())
    if numbers > UNITS or sum(np.size(values) for values in graph.parameters.values()) > MOST:
        return None
    draft = Draft(graph)
    try:
        for node in graph.nodes:
            if node.operator not in REGISTRY:
                return None
            REGISTRY[node.operator](node, draft)
    except Beyond:
        return None
    return _packed(draft)


def _packed(draft: Draft) -> Network | None:
    graph = draft.graph
    last = draft.sum_of(graph.output)
    last.kind = SCORES
    layers = _sorted(last, draft.views[graph.input].layer)
    if sum(edge.weights.size for layer in layers for edge in layer.edges) > MOST:
        return None
    offsets = np.cumsum([0, *(_blocks(layer) * BLOCK for layer in layers)])
    rows, numbers, weights, positions = _tables(layers, offsets)
    weights = _narrow(weights)
    below = np.array([layer.below for layer in layers])
    owner = np.repeat(np.arange(len(layers)), [_blocks(layer) for layer in layers])
    shifts, sizes = np.zeros(offsets[-1]), np.zeros(offsets[-1])
    for layer, start in zip(layers, offsets[:-1].tolist(), strict=True):
        shifts[start : start + len(layer.shift)] = layer.shift
        sizes[start : start + len(layer.size)] = layer.size
    gammas, lifts = _factors(layers)
    exit_order = np.argsort(draft.views[graph.output].order, kind="stable")
    return Network(
        (rows, numbers, weights, positions, below),
        (rows, numbers, np.abs(weights), positions, below),
        owner,
        shifts,
        sizes,
        natural(graph.input_shape),
        exit_order,
        gammas,
        lifts,
    )


def _narrow(weights: Float64) -> NDArray[Any]:
    """Return weights in float32 where they are exactly that: half as much to read."""
    with np.errstate(over="ignore"):
        narrow = weights.astype(np.float32)
    return narrow if np.array_equal(narrow, weights) else weights


def _factors(layers: list[Layer]) -> tuple[Float64, Float64]:
    """Return what rounds at most, and what lifts a sum, of each layer."""
    index = {layer: at for at, layer in enumerate(layers)}
    made = [sum(edge.inputs for edge in layer.edges) + _ROUNDED for layer in layers]
    most = list(made)
    for layer, inputs in zip(layers, made, strict=True):
        for edge in layer.edges:
            most[index[edge.source]] = max(most[index[edge.source]], inputs)
    return np.array([dot(inputs) for inputs in most]), np.array([grow(inputs) for inputs in made])


def _sorted(last: Layer, first: Layer) -> list[Layer]:
    """Return the layers on which the last one depends, sources first, the input at the very first."""
    found: dict[Layer, None] = {first: None}
    stack = [(last, iter(last.edges))]
    while stack:
        layer, rest = stack[-1]
        edge = next(rest, None)
        if edge is None:
            found.setdefault(layer)
            stack.pop()
        elif edge.source not in found:
            stack.append((edge.source, iter(edge.source.edges)))
    return list(found)


def _blocks(layer: Layer) -> int:
    return -(-size(layer.shape) // BLOCK)


def _tables(layers: list[Layer], offsets: Int64) -> tuple[Int64, Int64, Float64, Int64]:
    """Return the rows of layers and edges, all weights and all positions."""
    index = {layer: at for at, layer in enumerate(layers)}
    rows: list[list[int]] = []
    numbers: list[list[int]] = []
    weights: list[Float64] = [np.zeros(0)]
    positions: list[Int64] = [np.zeros(0, np.int64)]
    taken = [0, 0]
    for layer, offset in zip(layers, offsets.tolist()[:-1], strict=True):
        rows.append([offset, *layer.shape, layer.kind, len(numbers), len(numbers) + len(layer.edges)])
        for edge in layer.edges:
            row = [index[edge.source], edge.how, taken[0], *edge.numbers]
            row += [0] * (EDGE - len(row))
            for column, part in zip((STARTS, TARGETS, ROWS, COLUMNS), edge.lists, strict=False):
                row[column] = taken[1]
                positions.append(part)
                taken[1] += len(part)
            numbers.append(row)
            weights.append(edge.weights)
            taken[0] += len(edge.weights)
    table = np.array(numbers, np.int64).reshape(-1, EDGE)
    return np.array(rows, np.int64), table, np.concatenate(weights), np.concatenate(positions)
