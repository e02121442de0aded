"""Operators that only say where numbers lie."""

from __future__ import annotations

import numpy as np

from glocert.graph.ir import Node
from glocert.segments.events import edges
from glocert.segments.events.layers import Layer, frame
from glocert.segments.events.lowering.registry import Draft, lowers
from glocert.segments.ops.registry import Order, inverse, natural, plain, size


@lowers("Reshape")
def reshape(node: Node, draft: Draft) -> None:
    """Keep the memory: flat indices do not change."""
    (name,) = node.inputs
    view = draft.views[name]
    draft.put(node, view.layer, view.order, alone=draft.alone(name))


@lowers("Transpose")
def transpose(node: Node, draft: Draft) -> None:
    """Keep the memory: only the flat index of each number changes."""
    (name,) = node.inputs
    view, shape = draft.views[name], draft.shape(name)
    source = plain(shape).reshape(shape).transpose(node.ints("perm")).reshape(-1)
    draft.put(node, view.layer, np.argsort(source, kind="stable")[view.order], alone=draft.alone(name))


@lowers("Gather")
def gather(node: Node, draft: Draft) -> None:
    """Read entries along an axis, in any order, repeated or not."""
    (name,) = node.inputs
    shape = draft.shape(name)
    source = np.take(plain(shape).reshape(shape), node.ints("indices"), int(node.number("axis")))
    _read(node, draft, source.reshape(-1))


@lowers("Pad")
def pad(node: Node, draft: Draft) -> None:
    """Constant padding; negative pads cut."""
    (name,), pads = node.inputs, node.ints("pads")
    shape = draft.shape(name)
    before, after = pads[: len(shape)], pads[len(shape) :]
    inner = plain(shape).reshape(shape)
    for axis, (first, last) in enumerate(zip(before, after, strict=True)):
        inner = np.take(inner, range(max(-first, 0), inner.shape[axis] - max(-last, 0)), axis)
    widths = [(max(first, 0), max(last, 0)) for first, last in zip(before, after, strict=True)]
    _read(node, draft, np.pad(inner, widths, constant_values=-1).reshape(-1), node.number("value"))


def _read(node: Node, draft: Draft, source: Order, value: float = 0.0) -> None:
    """Make an activation of flat indices of another one; -1 stands for a constant."""
    (name,) = node.inputs
    order = natural(draft.shape(node.output))
    layer = Layer.empty(frame(draft.shape(node.output)))
    wanted = source[order]
    targets = np.flatnonzero(wanted >= 0)
    sources = draft.places(name)[wanted[targets]]
    layer.edges.append(edges.sparse(draft.views[name].layer, layer.shape, sources, targets, 1.0))
    draft.put(node, layer.shifted(np.where(wanted < 0, value, 0.0)), order)


@lowers("Concat")
def concat(node: Node, draft: Draft) -> None:
    """Put activations and parameters side by side."""
    axis, shape = int(node.number("axis")), draft.shape(node.output)
    order, flat = natural(shape), plain(shape).reshape(shape)
    place = inverse(order)
    layer, start = Layer.empty(frame(shape)), 0
    for name in node.inputs:
        part = draft.shape(name) if draft.varies(name) else draft.parameter(name).shape
        block = np.take(flat, range(start, start + part[axis]), axis).reshape(-1)
        start += part[axis]
        if draft.varies(name):
            view = draft.views[name]
            targets = place[block[view.order]]
            sources = np.arange(len(view.order))
            layer.edges.append(edges.sparse(view.layer, layer.shape, sources, targets, 1.0))
        else:
            constant = np.zeros(size(shape))
            constant[place[block]] = draft.parameter(name).reshape(-1)
            layer.shifted(constant)
    draft.put(node, layer, order)
