"""Products with matrices, sums, and everything that acts on each number by itself."""

from __future__ import annotations

import numpy as np

from glocert.graph.ir import Node
from glocert.segments.events import edges
from glocert.segments.events.layers import Edge, Float64, Layer, frame
from glocert.segments.events.loops.tables import LINEAR
from glocert.segments.events.lowering.registry import MOST, Beyond, Draft, lowers
from glocert.segments.ops.registry import Order, Shape, inverse, natural, plain, size


@lowers("Gemm")
def gemm(node: Node, draft: Draft) -> None:
    """Product with the rows of a matrix; the order of the input is absorbed by the matrix."""
    name, weight, *shift = node.inputs
    matrix = draft.parameter(weight)
    layer = _times(name, matrix.T, draft)
    if shift:
        layer.shifted(np.broadcast_to(draft.parameter(shift[0]), (len(matrix),)))
    draft.put(node, layer, plain((len(matrix),)))


@lowers("MatMul")
def matmul(node: Node, draft: Draft) -> None:
    """Product with a matrix on either side, as numpy defines it for each sample."""
    first, second = node.inputs
    name, weight = (first, second) if draft.varies(first) else (second, first)
    if draft.varies(weight):
        raise Beyond(node.name)
    matrix = draft.parameter(weight)
    if name == second:
        matrix = matrix.reshape(-1, matrix.shape[-1]).T
    matrix = matrix.reshape(len(matrix), -1)
    if len(draft.shape(name)) == 1:
        draft.put(node, _times(name, matrix, draft), plain((matrix.shape[1],)))
    else:
        _each(node, draft, name, matrix)


def _each(node: Node, draft: Draft, name: str, matrix: Float64) -> None:
    """Multiply every row of the activation with a matrix, or every column where it is the second factor."""
    shape, out = draft.shape(name), draft.shape(node.output)
    lines, results = plain(shape).reshape(shape), plain(out)
    if name == node.inputs[1]:
        lines = np.swapaxes(lines, -1, -2)
        results = np.swapaxes(results.reshape(*shape[:-2], matrix.shape[1], shape[-1]), -1, -2)
    lines, results = lines.reshape(-1, len(matrix)), results.reshape(-1, matrix.shape[1])
    if len(lines) * matrix.size > MOST:
        raise Beyond(node.name)
    order = natural(out)
    place = inverse(order)
    grid = len(lines), *matrix.shape
    sources = np.broadcast_to(draft.places(name)[lines][:, :, None], grid)
    targets = np.broadcast_to(place[results][:, None, :], grid)
    weights = np.broadcast_to(matrix, grid)
    layer, view = Layer.empty(frame(out)), draft.views[name]
    layer.edges.append(
        edges.sparse(view.layer, layer.shape, sources.reshape(-1), targets.reshape(-1), weights.reshape(-1))
    )
    draft.put(node, layer, order)


def _times(name: str, matrix: Float64, draft: Draft) -> Layer:
    view = draft.views[name]
    layer = Layer.empty((1, 1, matrix.shape[1]))
    layer.edges.append(edges.matrix(view.layer, matrix[view.order]))
    return layer


@lowers("Add", "Sub")
def add(node: Node, draft: Draft) -> None:
    """Sum or difference of two activations, or of one and a parameter."""
    signs = 1.0, 1.0 if node.operator == "Add" else -1.0
    varying = [pair for pair in zip(node.inputs, signs, strict=True) if draft.varies(pair[0])]
    shape = draft.shape(node.output)
    (first, sign), *others = varying
    if sign > 0 and draft.shape(first) == shape:
        layer, order = draft.sum_of(first), draft.views[first].order
    else:
        order, layer = natural(shape), Layer.empty(frame(shape))
        layer.edges.append(_spread(draft, first, layer, order, sign, shape))
    for name, more in others:
        _join(draft, name, layer, order, more, shape)
    for name, more in zip(node.inputs, signs, strict=True):
        if not draft.varies(name):
            layer.shifted(more * np.broadcast_to(draft.parameter(name), shape).reshape(-1)[order])
    draft.put(node, layer, order)


@lowers("Mul", "Div")
def multiply(node: Node, draft: Draft) -> None:
    """Product with a parameter, or quotient by one, number by number.

    A computed reciprocal is off by a rounding, which the charge of its products covers.
    """
    first = draft.varies(node.inputs[0])
    name, other = node.inputs if first else node.inputs[::-1]
    if draft.varies(other):
        raise Beyond(node.name)
    shape = draft.shape(node.output)
    same = draft.shape(name) == shape
    order = draft.views[name].order if same else natural(shape)
    factor = np.broadcast_to(draft.parameter(other), shape).reshape(-1)[order]
    layer = Layer.empty(draft.views[name].layer.shape if same else frame(shape))
    weights = 1.0 / factor if node.operator == "Div" else factor
    layer.edges.append(_spread(draft, name, layer, order, weights, shape))
    draft.put(node, layer, order)


@lowers("BatchNormalization")
def batch_normalization(node: Node, draft: Draft) -> None:
    """``(x - mean) g + bias`` with ``g = scale / sqrt(var + epsilon)``, as ``x g + (bias - mean g)``.

    The roundings of g are covered by the charge of its products, those of the constant by that of its terms.
    """
    name = node.inputs[0]
    view, shape = draft.views[name], draft.shape(name)
    channel = np.broadcast_to(np.arange(shape[0]).reshape(-1, *(1,) * (len(shape) - 1)), shape).reshape(-1)
    scale, bias, mean, variance = (
        draft.parameter(part).reshape(-1)[channel[view.order]] for part in node.inputs[1:]
    )
    with np.errstate(all="ignore"):
        factor = scale / np.sqrt(variance + node.number("epsilon"))
        layer = Layer.empty(view.layer.shape)
        layer.edges.append(edges.factors(view.layer, factor))
        layer.shifted(bias - mean * factor, np.abs(bias) + np.abs(mean * factor))
    draft.put(node, layer, view.order)


@lowers("ReduceSum")
def reduce_sum(node: Node, draft: Draft) -> None:
    """Add along axes."""
    (name,), axes, out = node.inputs, node.ints("axes"), draft.shape(node.output)
    shape, layer, order = draft.shape(name), Layer.empty(frame(out)), natural(out)
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    sources = plain(shape).reshape(shape).transpose(*kept, *axes).reshape(size(out), -1)[order]
    targets = np.repeat(np.arange(size(out)), sources.shape[1])
    places = draft.places(name)[sources.reshape(-1)]
    layer.edges.append(edges.sparse(draft.views[name].layer, layer.shape, places, targets, 1.0))
    draft.put(node, layer, order)


def _join(draft: Draft, name: str, layer: Layer, order: Order, sign: float, shape: Shape) -> None:
    """Add an activation to a layer: its own edges where nobody else reads it."""
    view = draft.views[name]
    same = view.layer.shape == layer.shape and np.array_equal(view.order, order)
    if same and sign > 0 and draft.alone(name) and view.layer.kind == LINEAR and view.layer.edges:
        layer.edges += view.layer.edges
        layer.shifted(view.layer.shift, view.layer.size)
    else:
        layer.edges.append(_spread(draft, name, layer, order, sign, shape))


def _spread(
    draft: Draft, name: str, target: Layer, order: Order, weights: Float64 | float, shape: Shape
) -> Edge:
    """Return an edge from an activation, broadcast to a shape, with a factor for each unit of the target."""
    view = draft.views[name]
    if view.layer.shape == target.shape and np.array_equal(view.order, order):
        return edges.factors(view.layer, weights)
    own = draft.shape(name)
    flat = np.broadcast_to(plain(own).reshape(own), shape).reshape(-1)[order]
    return edges.sparse(view.layer, target.shape, draft.places(name)[flat], np.arange(len(order)), weights)
