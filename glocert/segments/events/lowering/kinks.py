"""Piecewise linear operators, written with rectified sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glocert.graph.ir import Node
from glocert.segments.events import edges
from glocert.segments.events.layers import Int64, Layer, frame
from glocert.segments.events.lowering.registry import Draft, lowers
from glocert.segments.events.lowering.windows import windows
from glocert.segments.ops.registry import Shape, channels_last


@lowers("Relu")
def relu(node: Node, draft: Draft) -> None:
    """``max(x, 0)``."""
    draft.put(node, draft.sum_of(node.inputs[0]).bend(), draft.views[node.inputs[0]].order)


@lowers("LeakyRelu")
def leaky_relu(node: Node, draft: Draft) -> None:
    """``x`` above zero, ``alpha x`` below; alpha may be any number."""
    layer = draft.sum_of(node.inputs[0]).bend(node.number("alpha"))
    draft.put(node, layer, draft.views[node.inputs[0]].order)


@lowers("Clip")
def clip(node: Node, draft: Draft) -> None:
    """``low + max(x - low, 0) - max(x - high, 0)``; without low ``x - max(x - high, 0)``."""
    view, low, high = draft.views[node.inputs[0]], node.number("min"), node.number("max")
    if low >= high:  # the upper bound wins
        layer = Layer.empty(view.layer.shape).shifted(np.full(len(view.order), high))
        layer.edges.append(edges.factors(view.layer, 0.0))
        draft.put(node, layer, view.order)
        return
    if low == 0.0 and high == np.inf:
        relu(node, draft)
        return
    layer = Layer.empty(view.layer.shape)
    if low == -np.inf:
        layer.edges.append(edges.factors(view.layer, 1.0))
    else:
        layer.edges.append(edges.factors(_above(view.layer, low), 1.0))
        layer.shifted(np.full(len(view.order), low))
    if high < np.inf:
        layer.edges.append(edges.factors(_above(view.layer, high), -1.0))
    draft.put(node, layer, view.order)


def _above(source: Layer, level: float) -> Layer:
    """Return ``max(x - level, 0)``."""
    layer = Layer.empty(source.shape)
    layer.edges.append(edges.factors(source, 1.0))
    return layer.shifted(np.full(len(layer.shift), -level)).bend()


class Part(NamedTuple):
    """Numbers of a layer, one for each window and channel: a term of a candidate for the maximum.

    Attributes:
        layer: whose units they are.
        units: shape (windows, channels); -1 where the term is missing.
    """

    layer: Layer
    units: Int64


Candidate = list[Part]
"""terms whose sum it is; missing where all of them are"""


@lowers("MaxPool")
def maximum(node: Node, draft: Draft) -> None:
    """Maxima of windows, in rounds: the larger of two is ``b + max(a - b, 0)``."""
    shape = draft.shape(node.output)
    seen = windows(node, draft, node.ints("kernel_shape"))
    channels = np.arange(seen.channels)
    left = [
        [Part(seen.layer, np.where(place[:, None] < 0, -1, place[:, None] * seen.channels + channels))]
        for place in seen.pixels.T
    ]
    while len(left) > 1:
        pairs = list(zip(left[::2], left[1::2], strict=False))
        left = [*_larger(pairs, frame(shape)), *left[2 * len(pairs) :]]
    layer = Layer.empty(frame(shape))
    targets = np.arange(len(seen.pixels) * seen.channels).reshape(-1, seen.channels)
    _connect(layer, [(part, targets, 1.0) for part in left[0]])
    draft.put(node, layer, channels_last(shape))


def _larger(pairs: Sequence[tuple[Candidate, Candidate]], shape: Shape) -> list[Candidate]:
    """Return the larger of each two candidates, all differences in one layer."""
    rows, columns, channels = shape
    layer = Layer.empty((rows, columns, channels * len(pairs)))
    base = np.arange(rows * columns)[:, None] * (channels * len(pairs)) + np.arange(channels)
    terms, made = [], []
    for at, (first, second) in enumerate(pairs):
        here, there = _present(first), _present(second)
        targets = np.where(here & there, base + at * channels, -1)
        terms += [(part, targets, 1.0) for part in first] + [(part, targets, -1.0) for part in second]
        only = [Part(part.layer, np.where(there, -1, part.units)) for part in first]
        made.append([*only, *second, Part(layer, targets)])
    _connect(layer, terms)
    layer.bend()
    return [[part for part in parts if (part.units >= 0).any()] or parts[-1:] for parts in made]


def _present(candidate: Candidate) -> NDArray[np.bool_]:
    return np.asarray(np.any([part.units >= 0 for part in candidate], axis=0))


def _connect(layer: Layer, terms: Sequence[tuple[Part, Int64, float]]) -> None:
    """Give a layer edges from parts: (part, units of the layer, factor); -1 is nowhere."""
    for source in dict.fromkeys(part.layer for part, _, _ in terms):
        mine = [
            (part.units[there], targets[there], factor)
            for part, targets, factor in terms
            if part.layer is source
            for there in [(part.units >= 0) & (targets >= 0)]
        ]
        sources, targets = (np.concatenate([one[at] for one in mine]) for at in (0, 1))
        weights = np.concatenate([np.full(len(one[0]), one[2]) for one in mine])
        layer.edges.append(edges.sparse(source, layer.shape, sources, targets, weights))
