"""Staying among the k best as a label's property: two scores, of which the first wins exactly there.

The label's score y_c is among the k highest, ties counted against it, exactly where it exceeds the k-th
largest score m of the other classes. Behind the network come nodes that compute ``(y_c, m)``; class 0 wins
where the property holds, and the difference of the two scores is its margin.

m is found by a sorting network of comparators (Batcher's merge exchange, Knuth, The Art of Computer
Programming, volume 3, algorithm 5.2.2M), of which only those are kept that reach the k-th place. One layer of
comparators on disjoint pairs (i, j), i < j, is

    r = relu(z_j - z_i),  z_i += r,  z_j -= r,

so ``z_i, z_j`` become their maximum and minimum: piecewise linear, exact over the reals, and made of Gemm,
Relu and Add, which every engine takes and whose rounding is charged like that of the network's own nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from glocert.errors import InvalidSpec
from glocert.graph.append import reshaped
from glocert.graph.ir import Array, Attribute, Graph, Node
from glocert.spec import MOST_RANKED

WINNER = 0
"""class of the ranked network that stands for "among the k best\""""

Pairs = list[tuple[int, int]]


def check_rank(k: int, classes: int) -> None:
    """Refuse a rank that is always held, and more classes than are sorted.

    Raises:
        InvalidSpec: says what is possible.
    """
    if not 1 <= k < classes:
        raise InvalidSpec(f"property.k is {k}: of {classes} classes it must be from 1 to {classes - 1}")
    if classes > MOST_RANKED:
        raise InvalidSpec(f"a rank is certified among {MOST_RANKED} classes at most, these are {classes}")


def ranked(network: Graph, label: int, k: int) -> Graph:
    """Return the network whose class ``WINNER`` wins exactly where the label is among the k best.

    Args:
        network: with n scores, in any output shape.
        label: 0 <= label < n.
        k: 1 <= k < n.

    Returns:
        A graph with two scores; everything before its last nodes is ``network``.

    Raises:
        InvalidSpec: the network has no k-th best other class, or more classes than are sorted.
    """
    count = int(np.prod(network.output_shape))
    check_rank(k, count)
    flat = reshaped(network, (count,), "flat")
    behind = _Behind(flat)
    others = behind.gathered(flat.output, [at for at in range(count) if at != label])
    for pairs in _kept(list(layers(count - 1)), k - 1):
        others = behind.compared(others, pairs, count - 1)
    scores = behind.add("Concat", (behind.gathered(flat.output, [label]), behind.gathered(others, [k - 1])),
                        (2,), {"axis": 0})  # fmt: skip
    return behind.graph(scores)


def layers(count: int) -> Iterator[Pairs]:
    """Yield the layers of a network that sorts so many numbers, the largest first."""
    first = 1 << max(0, (count - 1).bit_length() - 1)
    p = first
    while p and count > 1:
        q, r, d = first, 0, p
        while True:
            yield [(i, i + d) for i in range(count - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q // 2, p
        p //= 2


def _kept(network: Sequence[Pairs], place: int) -> list[Pairs]:
    """Return the comparators on which a place of the output depends."""
    needed, kept = {place}, list[Pairs]()
    for pairs in reversed(network):
        used = [pair for pair in pairs if needed & set(pair)]
        needed.update(*used)
        kept.append(used)
    return [pairs for pairs in reversed(kept) if pairs]


class _Behind:
    """Nodes behind a network, under names that it does not use."""

    def __init__(self, network: Graph) -> None:
        self._network, self._prefix = network, "top_k"
        self._nodes: list[Node] = []
        self._parameters: dict[str, Array] = {}
        self._shapes = dict(network.shapes)
        names = [*network.shapes, *network.parameters, *(node.name for node in network.nodes)]
        while any(name.startswith(self._prefix) for name in names):
            self._prefix += "_"

    def add(
        self,
        operator: str,
        inputs: Sequence[str],
        shape: tuple[int, ...],
        attributes: dict[str, Attribute] | None = None,
    ) -> str:
        """Append a node and return the name of its output."""
        name = f"{self._prefix}.{len(self._nodes)}"
        self._nodes.append(Node(name, operator, tuple(inputs), name, attributes or {}, "property"))
        self._shapes[name] = shape
        return name

    def gathered(self, x: str, places: Sequence[int]) -> str:
        """Return some places of a vector."""
        return self.add("Gather", (x,), (len(places),), {"axis": 0, "indices": tuple(places)})

    def compared(self, x: str, pairs: Pairs, count: int) -> str:
        """Return a vector with the larger number of each pair in front."""
        matrix = np.zeros((len(pairs), count))
        for row, (i, j) in enumerate(pairs):
            matrix[row, i], matrix[row, j] = -1.0, 1.0
        rise = self.add("Relu", (self._product(x, matrix),), (len(pairs),))
        return self.add("Add", (x, self._product(rise, -matrix.T)), (count,))

    def _product(self, x: str, matrix: Array) -> str:
        name = f"{self._prefix}.matrix{len(self._parameters)}"
        self._parameters[name] = matrix
        return self.add("Gemm", (x, name), matrix.shape[:1])

    def graph(self, output: str) -> Graph:
        """Return the network with the nodes behind it."""
        return replace(
            self._network,
            output=output,
            nodes=(*self._network.nodes, *self._nodes),
            parameters={**self._network.parameters, **self._parameters},
            shapes=self._shapes,
        )
