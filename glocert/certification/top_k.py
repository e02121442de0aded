"""Staying among the k best as a label's property: two scores, of which the first wins exactly there.

The label's score y_c is among the k highest, ties counted against it, exactly where it exceeds the k-th
largest score m of the other classes. Behind the network come nodes that compute ``(y_c, m)``; class 0 wins
where the property holds, and the difference of the two scores is its margin.

m is found by a sorting network of comparators (Batcher's merge exchange, Knuth, The Art of Computer
Programming, volume 3, algorithm 5.2.2M), of which only what reaches the k-th place is kept. One layer of
comparators on disjoint pairs (i, j), i < j, puts their maximum in place i and ``-max(-z_i, -z_j)``, their
minimum, in place j: one MaxPool over windows of two, between changes of sign. That is piecewise linear and
exact over the reals, every engine takes it, and its rounding is charged like that of the network's own nodes.
Maxima do not enlarge the errors of what they are made of, however many layers there are; comparators made of
``relu(z_j - z_i)``, which is added here and subtracted there, would triple them in every layer.
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

PAIRWISE: dict[str, Attribute] = {
    "kernel_shape": (1, 2),
    "strides": (1, 2),
    "pads": (0, 0, 0, 0),
    "dilations": (1, 1),
}
Pairs = list[tuple[int, int]]
Output = tuple[int, tuple[int, int]]
"""a place of a comparator's result, and its pair"""


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
    for outputs in _kept(list(layers(count - 1)), k - 1):
        others = behind.compared(others, outputs, count - 1)
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


def _kept(network: Sequence[Pairs], place: int) -> list[list[Output]]:
    """Return the outputs of comparators on which a place of the result depends, layer by layer."""
    needed, kept = {place}, list[list[Output]]()
    for pairs in reversed(network):
        used = [(at, pair) for pair in pairs for at in pair if at in needed]
        needed.update(*(pair for _, pair in used))
        kept.append(used)
    return [outputs for outputs in reversed(kept) if outputs]


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

    def compared(self, x: str, outputs: Sequence[Output], count: int) -> str:
        """Return a vector with the larger number of each pair in front, in the places that matter."""
        windows, signs = len(outputs), np.array([1.0 if at == i else -1.0 for at, (i, _) in outputs])
        both = self.signed(self.gathered(x, [at for _, pair in outputs for at in pair]), signs.repeat(2))
        rows = self.add("Reshape", (both,), (1, windows, 2), {"shape": (1, windows, 2)})
        largest = self.add("MaxPool", (rows,), (1, windows, 1), PAIRWISE)
        found = self.signed(self.add("Reshape", (largest,), (windows,), {"shape": (windows,)}), signs)
        places = list(range(count))
        for row, (at, _) in enumerate(outputs):
            places[at] = count + row
        return self.gathered(self.add("Concat", (x, found), (count + windows,), {"axis": 0}), places)

    def signed(self, x: str, signs: Array) -> str:
        """Return a vector with the signs of some of its numbers changed."""
        name = f"{self._prefix}.signs{len(self._parameters)}"
        self._parameters[name] = signs
        return self.add("Mul", (x, name), signs.shape)

    def graph(self, output: str) -> Graph:
        """Return the network with the nodes behind it."""
        return replace(
            self._network,
            output=output,
            nodes=(*self._network.nodes, *self._nodes),
            parameters={**self._network.parameters, **self._parameters},
            shapes=self._shapes,
        )
