"""Pairs sorted by two maxima: ``max(a, b)`` and ``-max(-a, -b)``, each over a window of two cells.

This is how MinMax arrives where a network takes the largest and the smallest along an axis of length two.
The region is recognised when both maxima see the same arrangement of the input, once as it is and once with
its sign changed in front and back again behind, through windows that part it into pairs. How the results are
arranged does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from glocert.graph.ir import Graph, Node
from glocert.graph.pooling import dilations


@dataclass(frozen=True, slots=True)
class _Term:
    """The input rearranged and times a sign, perhaps behind a maximum.

    Attributes:
        sign: 1 or -1, in front of the maximum.
        after: sign behind it.
        path: every step of the rearrangement in front of the maximum.
        pooled: whether the maximum was taken.
    """

    sign: int
    after: int = 1
    path: tuple[str, ...] = ()
    pooled: bool = False


def pools_pairs(region: Graph) -> bool:
    """Whether a region returns the larger and the smaller of every pair that windows of two cells make."""
    last = region.nodes[-1]
    if last.operator != "Concat" or len(last.inputs) != 2:
        return False
    terms: dict[str, _Term] = {region.input: _Term(1)}
    for node in region.nodes[:-1]:
        found = _term(region, node, terms)
        if found is not None:
            terms[node.output] = found
    if not set(last.inputs) <= terms.keys():
        return False
    first, second = (terms[name] for name in last.inputs)
    whole = all(term.pooled and term.sign == term.after for term in (first, second))
    return whole and first.path == second.path and first.sign == -second.sign


def _term(region: Graph, node: Node, terms: Mapping[str, _Term]) -> _Term | None:
    known = [terms[name] for name in node.inputs if name in terms]
    if len(known) != 1:
        return None
    term = known[0]
    if node.operator == "Mul":
        sign = _sign(region, node)
        return None if sign is None else _signed(term, sign)
    if term.pooled:
        return term if node.operator in {"Reshape", "Transpose"} else None
    step = f"{node.operator} {sorted(node.attributes.items())} {region.shapes[node.output]}"
    if node.operator in {"Reshape", "Transpose"}:
        return replace(term, path=(*term.path, step))
    if node.operator == "MaxPool" and _parts_into_pairs(region, node):
        return replace(term, path=(*term.path, step), pooled=True)
    return None


def _signed(term: _Term, sign: int) -> _Term:
    return replace(term, after=term.after * sign) if term.pooled else replace(term, sign=term.sign * sign)


def _sign(region: Graph, node: Node) -> int | None:
    """Return the sign that a product changes everything by, None where it does something else."""
    factors = [region.parameters[name] for name in node.inputs if name in region.parameters]
    source = next(name for name in node.inputs if name not in region.parameters)
    if len(factors) != 1 or region.shapes[source] != region.shapes[node.output]:
        return None
    values = set(np.unique(factors[0]).tolist())
    return {1.0: 1, -1.0: -1}.get(values.pop()) if len(values) == 1 else None


def _parts_into_pairs(region: Graph, node: Node) -> bool:
    """Whether every cell is in exactly one window, and every window has two."""
    kernel = node.ints("kernel_shape")
    sizes, windows = region.shapes[node.inputs[0]][1:], region.shapes[node.output][1:]
    plain = int(np.prod(kernel)) == 2 and not any(node.ints("pads")) and set(dilations(node)) == {1}
    apart = all(
        count * size == whole and (count == 1 or stride == size)
        for count, size, whole, stride in zip(windows, kernel, sizes, node.ints("strides"), strict=True)
    )
    return plain and apart
