"""Float32 executions of a graph, every one another: orders of summation, fused operations, folded nodes.

Numbers are float64 that hold float32 values. ``nearest`` rounds as float32 does; ``leaning`` is what IEEE 754
allows at worst, every rounding to the same side, which no hardware does but the theorem covers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from glocert.graph.ir import Graph, Node
from glocert.graph.pooling import divisors
from glocert.graph.run import run

Array = np.ndarray
Round = Callable[[Array], Array]
UNIT = 2.0**-24
_SUMS = {"Conv", "Gemm", "MatMul", "ReduceSum", "AveragePool"}
_MOVES = {"Reshape", "Transpose", "Gather"}


def nearest(x: Array) -> Array:
    """Round to float32."""
    return np.asarray(x, np.float64).astype(np.float32).astype(np.float64)


def leaning(side: int) -> Round:
    """Return a rounding that is off by the whole unit, always away from or towards zero."""
    return lambda x: np.asarray(x, np.float64) * (1 + side * UNIT)


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Numbers that are sums of products, before they are added up: more may be folded into them.

    Attributes:
        weights: shape (n, k), float32 values.
        values: shape (k,), what they are multiplied with.
        added: constants, shape (n,), each in the sum.
        shape: of the n results.
    """

    weights: Array
    values: Array
    added: tuple[Array, ...]
    shape: tuple[int, ...]


class Execution:
    """One way of executing a graph."""

    def __init__(self, graph: Graph, rng: np.random.Generator, rounded: Round = nearest) -> None:
        self.graph, self.rng, self.rounded = graph, rng, rounded
        self.live: dict[str, Array] = {}
        self.sums: dict[str, Sums] = {}

    def run(self, image: Array) -> Mapping[str, Array]:
        """Return every activation, float64 arrays of per-sample shapes; the image is rounded first."""
        self.live = {self.graph.input: self.rounded(np.asarray(image, np.float64))}
        for node in self.graph.nodes:
            self.live[node.output] = self._node(node)
        return self.live

    def parameter(self, name: str) -> Array:
        """A parameter as float32."""
        return nearest(self.graph.parameters[name].astype(np.float64))

    def coin(self) -> bool:
        return bool(self.rng.random() < 0.5)

    def _node(self, node: Node) -> Array:
        if node.operator in _SUMS:
            sums = self.sums[node.output] = self._products(node)
            if node.operator == "AveragePool" and self.coin():
                ones = replace(sums, weights=(sums.weights != 0).astype(np.float64))
                return self._averaged(node, self._added(ones))
            return self._added(sums)
        if node.operator in {"Add", "Sub", "Mul", "Div", "BatchNormalization"}:
            return self._pointwise(node)
        source = self.sums.get(node.inputs[0])
        if node.operator in _MOVES and source is not None:
            self.sums[node.output] = self._moved(node, source)
        if node.operator == "LeakyRelu":
            x = self.live[node.inputs[0]]
            return np.where(x < 0, self.rounded(x * nearest(np.float64(node.number("alpha")))), x)
        if node.operator == "Clip":
            low, high = (nearest(np.float64(node.number(end))) for end in ("min", "max"))
            return np.minimum(np.maximum(self.live[node.inputs[0]], low), high)
        return self._exactly(node, self.live)

    def _exactly(self, node: Node, live: Mapping[str, Array]) -> Array:
        """Execute a node in float64, which is exact for what only moves or compares numbers."""
        names = [name for name in dict.fromkeys(node.inputs) if self.graph.is_activation(name)]
        results = _alone(self.graph, node, [live[name][None] for name in names])
        return results[0]

    def _products(self, node: Node) -> Sums:
        name = next(name for name in node.inputs if self.graph.is_activation(name))
        size = int(np.prod(self.graph.shapes[name]))
        basis = np.eye(size).reshape(size, *self.graph.shapes[name])
        outside = self.graph.shapes[node.output]
        zero = _alone(self.graph, node, [np.zeros((1, *self.graph.shapes[name]))])[0].reshape(-1)
        columns = _alone(self.graph, node, [basis], bias=False).reshape(size, -1).T
        added = (nearest(zero),) if len(node.inputs) > 2 else ()
        return Sums(nearest(columns), self.live[name].reshape(-1), added, outside)

    def _added(self, sums: Sums, first: Array | None = None) -> Array:
        """Add up in some order, in some blocks, fused or not."""
        k = sums.weights.shape[1]
        terms = [(sums.weights[:, j], sums.values[j]) for j in range(k)]
        terms += [(np.ones(len(sums.weights)), part) for part in sums.added]
        order = self._order(sums)
        blocks = np.array_split(order, self.rng.integers(1, 4)) if self.coin() else [order]
        parts = [self._block(terms, block) for block in blocks if len(block)]
        if first is not None:
            parts.insert(0, first.reshape(-1))
        total = parts[0]
        for part in parts[1:]:
            total = self.rounded(total + part)
        return total.reshape(sums.shape)

    def _order(self, sums: Sums) -> Array:
        """Any order; sometimes the numbers of one sign first, which makes partial sums large."""
        count = sums.weights.shape[1] + len(sums.added)
        if self.coin():
            return self.rng.permutation(count)
        sizes = (sums.weights[self.rng.integers(len(sums.weights))] * sums.values).tolist()
        return np.argsort(np.array(sizes + [0.0] * len(sums.added)))

    def _block(self, terms: list[tuple[Array, Array]], block: Array) -> Array:
        fused, total = self.coin(), None
        for at in block:
            weight, value = terms[at]
            product = weight * value
            if total is None:
                total = self.rounded(product)
            else:
                more = self.rounded(total + (product if fused else self.rounded(product)))
                total = np.where(product == 0, total, more)
        assert total is not None
        return total

    def _averaged(self, node: Node, total: Array) -> Array:
        shape = self.graph.shapes[node.output]
        counts = divisors(node, self.graph.shapes[node.inputs[0]][1:], shape[1:])
        counts = np.broadcast_to(counts, shape).astype(np.float64)
        if self.coin():
            return self.rounded(total / counts)
        return self.rounded(total * self.rounded(1 / counts))

    def _moved(self, node: Node, source: Sums) -> Sums:
        places = np.arange(len(source.weights), dtype=np.float64).reshape(source.shape)
        rows = self._exactly(node, {node.inputs[0]: places}).reshape(-1).astype(int)
        added = tuple(part[rows] for part in source.added)
        return Sums(source.weights[rows], source.values, added, self.graph.shapes[node.output])

    def _pointwise(self, node: Node) -> Array:
        varying = [name for name in node.inputs if self.graph.is_activation(name)]
        shape = self.graph.shapes[node.output]
        if len(varying) > 1:
            return self._of_two(node, shape)
        (name,) = varying
        source = self.sums.get(name)
        if source is not None and source.shape == shape:
            folded = self._folded(node, source)
            self.sums[node.output] = folded
            if self.coin() and len(folded.weights):
                return self._added(folded)
        return np.broadcast_to(self._apart(node, self.live[name]), shape)

    def _of_two(self, node: Node, shape: tuple[int, ...]) -> Array:
        x, y = (self.live[name] for name in node.inputs)
        if node.operator == "Mul":
            return self.rounded(x * y)
        sign = -1.0 if node.operator == "Sub" else 1.0
        source = self.sums.get(node.inputs[0])
        if source is not None and source.shape == shape and self.coin():
            return self._added(source, np.broadcast_to(sign * y, shape))
        return self.rounded(x + sign * y)

    def _apart(self, node: Node, x: Array) -> Array:
        """Execute one pointwise node by itself."""
        rounded = self.rounded
        if node.operator == "BatchNormalization":
            scale, bias, mean, root = self._norm(node, x.ndim)
            if self.coin():
                return rounded(rounded(rounded(rounded(x - mean) * scale) / root) + bias)
        if node.operator == "Div" and self.coin():
            return rounded(x / self.parameter(node.inputs[1]))
        factor, shift = self._line(node, x.ndim)
        y = x if factor is None else rounded(x * factor)
        return y if shift is None else rounded(y + shift)

    def _norm(self, node: Node, rank: int) -> tuple[Array, ...]:
        columns = (self.parameter(name).reshape(-1, *(1,) * (rank - 1)) for name in node.inputs[1:])
        scale, bias, mean, variance = columns
        root = self.rounded(variance + nearest(np.float64(node.number("epsilon"))))
        return scale, bias, mean, self.rounded(np.sqrt(root))

    def _line(self, node: Node, rank: int) -> tuple[Array | None, Array | None]:
        """Return factor and shift, as a runtime folds them."""
        rounded = self.rounded
        if node.operator == "BatchNormalization":
            scale, bias, mean, root = self._norm(node, rank)
            factor = rounded(scale / root) if self.coin() else rounded(scale * rounded(1 / root))
            return factor, rounded(bias - rounded(mean * factor))
        first = self.graph.is_activation(node.inputs[0])
        value = self.parameter(node.inputs[1] if first else node.inputs[0])
        if node.operator in {"Mul", "Div"}:
            return (value if node.operator == "Mul" else rounded(1 / value)), None
        if node.operator == "Add":
            return None, value
        return (None, -value) if first else (np.float64(-1.0), value)

    def _folded(self, node: Node, source: Sums) -> Sums:
        factor, shift = self._line(node, len(source.shape))
        flat = [None if x is None else np.broadcast_to(x, source.shape).reshape(-1) for x in (factor, shift)]
        weights, added = source.weights, source.added
        if flat[0] is not None:
            weights = self.rounded(weights * flat[0][:, None])
            added = tuple(self.rounded(part * flat[0]) for part in added)
        if flat[1] is not None:
            added = (*added, flat[1]) if self.coin() or not added else (self.rounded(sum(added) + flat[1]),)
        return Sums(weights, source.values, added, source.shape)


def _alone(graph: Graph, node: Node, inputs: list[Array], bias: bool = True) -> Array:
    """Run one node in float64 on a batch for each of its activations."""
    names = [name for name in dict.fromkeys(node.inputs) if graph.is_activation(name)]
    first, *rest = names
    parameters = {name: graph.parameters[name] for name in node.inputs if name in graph.parameters}
    kept = node.inputs if bias or node.operator not in {"Conv", "Gemm"} else node.inputs[:2]
    one = Node(node.name, node.operator, tuple(kept), node.output, node.attributes)
    if rest:
        parameters |= {name: x[0] for name, x in zip(rest, inputs[1:], strict=True)}
    shapes = {name: graph.shapes[name] for name in (first, node.output)}
    alone = Graph(first, node.output, (one,), {n: parameters[n] for n in kept if n in parameters}, shapes)
    return run(alone, torch.from_numpy(np.array(inputs[0]))).numpy()
