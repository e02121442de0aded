"""The same networks in exact rational arithmetic: an oracle that shares no code with the engine.

``exact_curve`` follows a segment with ``fractions``: every breakpoint is exact, nothing is rounded. Only the
square root of a batch normalisation is cut, after 400 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, pairwise
from math import isqrt

import numpy as np

from glocert.graph.ir import Graph, Node
from glocert.graph.pooling import divisors
from glocert.paths.segment import Segment

Exact = np.ndarray
"""Array of dtype object that holds fractions; the first axis counts vertices."""

exactly = np.frompyfunc(Fraction, 1, 1)


@dataclass(frozen=True)
class ExactCurve:
    """Scores along a segment: ``scores[k]`` at ``t[k]``, straight in between."""

    t: list[Fraction]
    scores: Exact

    def at(self, where: list[Fraction]) -> Exact:
        """Return the scores at increasing parameters, shape (len(where), classes)."""
        rows, k = [], 0
        for t in where:
            while k < len(self.t) - 2 and self.t[k + 1] < t:
                k += 1
            share = (t - self.t[k]) / (self.t[k + 1] - self.t[k])
            rows.append(self.scores[k] + share * (self.scores[k + 1] - self.scores[k]))
        return np.stack(rows)

    def margins(self, label: int) -> Exact:
        """Return the smallest margin of ``label`` at every vertex."""
        return (self.scores[:, label, None] - np.delete(self.scores, label, axis=1)).min(axis=1)

    def robust_mass(self, label: int) -> Fraction:
        """Return the share of [0, 1] on which ``label`` wins."""
        return sum((_length(*ends) for ends in self._pieces(label)), Fraction(0))

    def _pieces(self, label: int):
        differences = self.scores[:, label, None] - np.delete(self.scores, label, axis=1)
        return zip(self.t[:-1], self.t[1:], differences[:-1], differences[1:], strict=True)


def _length(start: Fraction, stop: Fraction, left: Exact, right: Exact) -> Fraction:
    """Return the length on which all lines from ``left`` to ``right`` are positive."""
    low, high = Fraction(0), Fraction(1)
    for a, b in zip(left, right, strict=True):
        if a <= 0 and b <= 0:
            return Fraction(0)
        if a <= 0:
            low = max(low, a / (a - b))
        elif b <= 0:
            high = min(high, a / (a - b))
    return max(high - low, Fraction(0)) * (stop - start)


def exact_curve(graph: Graph, segment: Segment) -> ExactCurve:
    """Follow the segment through every node."""
    t = [Fraction(0), Fraction(1)]
    live = {graph.input: exactly(np.stack([segment.start, segment.stop]))}
    for node in graph.nodes:
        if node.operator in _CUTS:
            t, live = _refine(
                t, live, _CUTS[node.operator](node, t, live[node.inputs[0]], graph.shapes[node.output])
            )
        live[node.output] = evaluate(graph, node, live)
    return ExactCurve(t, live[graph.output].reshape(len(t), -1))


def _refine(t: list[Fraction], live: dict[str, Exact], cuts: set[Fraction]):
    merged = sorted({*t, *cuts})
    left = np.searchsorted(np.array(t, dtype=object), np.array(merged, dtype=object), side="right") - 1
    left = np.minimum(left, len(t) - 2)
    share = [(new - t[k]) / (t[k + 1] - t[k]) for new, k in zip(merged, left, strict=True)]
    return merged, {name: _interpolated(x, left, share) for name, x in live.items()}


def _interpolated(x: Exact, left: np.ndarray, share: list[Fraction]) -> Exact:
    weights = np.array(share, dtype=object).reshape(-1, *[1] * (x.ndim - 1))
    return x[left] + weights * (x[left + 1] - x[left])


def _level_cuts(levels):
    def cuts(node: Node, t: list[Fraction], x: Exact, _shape) -> set[Fraction]:
        found = set()
        for (start, stop), (left, right) in zip(pairwise(t), pairwise(x.reshape(len(t), -1)), strict=True):
            for level in levels(node):
                hit = [(a, b) for a, b in zip(left - level, right - level, strict=True) if a * b < 0]
                found |= {start + a / (a - b) * (stop - start) for a, b in hit}
        return found

    return cuts


def _envelope_cuts(node: Node, t: list[Fraction], x: Exact, shape) -> set[Fraction]:
    """Every crossing of two lines of a window: more than needed, never too few."""
    found = set()
    for members in _windows(node, x.shape[1:], shape[1:]):
        lines = x.reshape(len(t), -1)[:, members]
        for i, j in combinations(range(len(members)), 2):
            gap = lines[:, i] - lines[:, j]
            for k, (start, stop) in enumerate(pairwise(t)):
                if gap[k] * gap[k + 1] < 0:
                    found.add(start + gap[k] / (gap[k] - gap[k + 1]) * (stop - start))
    return found


def _windows(node: Node, shape: tuple[int, ...], outside: tuple[int, ...]) -> list[list[int]]:
    """Return the flat indices of the real pixels in each window, output in C order."""
    (kh, kw), (sh, sw), (dh, dw) = (node.ints(key) for key in ("kernel_shape", "strides", "dilations"))
    top, left, _, _ = node.ints("pads")
    channels, height, width = shape
    rows, columns = outside
    return [
        [
            (c * height + y) * width + x
            for y in (oy * sh - top + i * dh for i in range(kh))
            for x in (ox * sw - left + j * dw for j in range(kw))
            if 0 <= y < height and 0 <= x < width
        ]
        for c in range(channels)
        for oy in range(rows)
        for ox in range(columns)
    ]


_CUTS = {
    "Relu": _level_cuts(lambda _node: [0]),
    "LeakyRelu": _level_cuts(lambda _node: [0]),
    "Clip": _level_cuts(
        lambda node: [Fraction(node.number(k)) for k in ("min", "max") if abs(node.number(k)) < float("inf")]
    ),
    "MaxPool": _envelope_cuts,
}


def evaluate(graph: Graph, node: Node, live: dict[str, Exact]) -> Exact:
    """Return the output of one node; parameters get a vertex axis of length one."""
    shape = graph.shapes[node.output]
    inputs = [
        live[name] if name in live else exactly(graph.parameters[name].astype(np.float64))[None]
        for name in node.inputs
    ]
    return _EVALUATE[node.operator](node, shape, *inputs)


def _aligned(x: Exact, rank: int) -> Exact:
    return x.reshape(len(x), *[1] * (rank + 1 - x.ndim), *x.shape[1:])


def _arithmetic(function):
    return lambda _node, shape, x, y: function(_aligned(x, len(shape)), _aligned(y, len(shape)))


def _gemm(_node: Node, _shape, x: Exact, weight: Exact, *bias: Exact) -> Exact:
    return x @ weight[0].T + (bias[0] if bias else 0)


def _conv(node: Node, shape, x: Exact, weight: Exact, *bias: Exact) -> Exact:
    top, left, bottom, right = node.ints("pads")
    (sh, sw), (dh, dw), group = node.ints("strides"), node.ints("dilations"), int(node.number("group"))
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=Fraction(0))
    kernel = weight[0]
    out = np.full((len(x), *shape), Fraction(0), dtype=object)
    maps, depth = len(kernel) // group, kernel.shape[1]
    for o, y, z in np.ndindex(*shape):
        first = (o // maps) * depth
        ends = y * sh + dh * (kernel.shape[2] - 1) + 1, z * sw + dw * (kernel.shape[3] - 1) + 1
        patch = padded[:, first : first + depth, y * sh : ends[0] : dh, z * sw : ends[1] : dw]
        out[:, o, y, z] = (patch * kernel[o]).sum(axis=(1, 2, 3)) + (bias[0][0, o] if bias else 0)
    return out


def _normalise(node: Node, shape, x: Exact, *parameters: Exact) -> Exact:
    scale, bias, mean, variance = (p.reshape(1, -1, *[1] * (len(shape) - 1)) for p in parameters)
    root = np.frompyfunc(_root, 1, 1)(variance + Fraction(node.number("epsilon")))
    return (x - mean) * (scale / root) + bias


def _root(x: Fraction) -> Fraction:
    return Fraction(isqrt((x.numerator << 800) // x.denominator), 1 << 400)


def _leaky(node: Node, _shape, x: Exact) -> Exact:
    return np.where(x < 0, Fraction(node.number("alpha")) * x, x)


def _clip(node: Node, _shape, x: Exact) -> Exact:
    low, high = node.number("min"), node.number("max")
    x = x if low == float("-inf") else np.maximum(x, Fraction(low))
    return x if high == float("inf") else np.minimum(x, Fraction(high))


def _max_pool(node: Node, shape, x: Exact) -> Exact:
    flat = x.reshape(len(x), -1)
    windows = _windows(node, x.shape[1:], shape[1:])
    return np.stack([flat[:, members].max(axis=1) for members in windows], 1).reshape(len(x), *shape)


def _average_pool(node: Node, shape, x: Exact) -> Exact:
    flat = x.reshape(len(x), -1)
    sums = [flat[:, members].sum(axis=1) for members in _windows(node, x.shape[1:], shape[1:])]
    counts = np.broadcast_to(divisors(node, x.shape[2:], shape[1:]), shape)
    return np.stack(sums, 1).reshape(len(x), *shape) / exactly(counts.astype(object))


def _transpose(node: Node, _shape, x: Exact) -> Exact:
    return x.transpose(0, *(axis + 1 for axis in node.ints("perm")))


def _concat(node: Node, _shape, *parts: Exact) -> Exact:
    rows = max(len(part) for part in parts)
    full = [np.broadcast_to(part, (rows, *part.shape[1:])) for part in parts]
    return np.concatenate(full, axis=int(node.number("axis")) + 1)


def _pad(node: Node, shape, x: Exact) -> Exact:
    pads = node.ints("pads")
    widths = [(0, 0), *zip(pads[: len(shape)], pads[len(shape) :], strict=True)]
    return np.pad(x, widths, constant_values=Fraction(node.number("value")))


def _gather(node: Node, _shape, x: Exact) -> Exact:
    return np.take(x, node.ints("indices"), int(node.number("axis")) + 1)


def _reduce_sum(node: Node, shape, x: Exact) -> Exact:
    return x.sum(axis=tuple(axis + 1 for axis in node.ints("axes"))).reshape(len(x), *shape)


def _matmul(node: Node, shape, x: Exact, y: Exact) -> Exact:
    if y.shape[0] == 1:
        return (x @ y[0]).reshape(len(x), *shape)
    return np.stack([x[0] @ row for row in y]).reshape(len(y), *shape)


_EVALUATE = {
    "Add": _arithmetic(np.add),
    "Sub": _arithmetic(np.subtract),
    "Mul": _arithmetic(np.multiply),
    "Div": _arithmetic(np.true_divide),
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _conv,
    "BatchNormalization": _normalise,
    "Relu": lambda _node, _shape, x: np.maximum(x, 0),
    "LeakyRelu": _leaky,
    "Clip": _clip,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "Reshape": lambda _node, shape, x: x.reshape(len(x), *shape),
    "Transpose": _transpose,
    "Concat": _concat,
    "Pad": _pad,
    "Gather": _gather,
    "ReduceSum": _reduce_sum,
}
