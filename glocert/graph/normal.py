"""The normal form of a graph: what is left without names, order and different ways of saying the same.

Two graphs of one normal form compute the same real function with the same stored numbers. It is for
comparing imports of one network from several formats; what is certified is the graph itself.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace

import numpy as np

from glocert.graph.ir import Array, Graph, Node
from glocert.graph.normal_rules import Term, simplified
from glocert.graph.shapes import Shape

_COMMUTES = frozenset({"Add", "Mul"})


@dataclass(slots=True)
class _Terms:
    """Terms by the digest of what they compute, each once.

    Attributes:
        shapes: digest of an activation -> per-sample shape.
        terms: digest of an activation -> how it is computed; the input has none.
        parameters: digest of a parameter -> its numbers.
    """

    shapes: dict[str, Shape] = field(default_factory=dict)
    terms: dict[str, Term] = field(default_factory=dict)
    parameters: dict[str, Array] = field(default_factory=dict)

    def parameter(self, array: Array) -> str:
        """Store a parameter under its digest, in float32 where that changes no number."""
        with np.errstate(over="ignore"):
            narrow = array.astype(np.float32)
        array = narrow if np.array_equal(narrow.astype(np.float64), array.astype(np.float64)) else array
        array = np.ascontiguousarray(array + 0.0)  # no negative zeros
        digest = _digest("parameter", str(array.dtype), list(array.shape)) + _bytes_digest(array)
        self.parameters[digest] = array
        return digest

    def make(self, term: Term) -> str:
        """Return the digest of a term after everything that can be said more simply was."""
        result = simplified(self.lookup, term, self.parameter)
        if isinstance(result, str):
            return result
        if result.operator in _COMMUTES:
            result = replace(result, inputs=tuple(sorted(result.inputs)))
        attributes = {key: repr(value) for key, value in sorted(result.attributes.items())}
        digest = _digest("term", result.operator, attributes, list(result.inputs), list(result.shape))
        self.terms[digest] = result
        self.shapes[digest] = result.shape
        return digest

    def lookup(self, name: str) -> Term | Array | Shape:
        """Return how an activation is computed, its shape where it is the input, or a parameter."""
        if name in self.terms:
            return self.terms[name]
        return self.parameters[name] if name in self.parameters else self.shapes[name]


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _bytes_digest(array: Array) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def normal_form(graph: Graph) -> Graph:
    """Return the normal form of ``graph``.

    Nodes are in the order of a walk from the output along the inputs and are called by their position in it;
    notes and sources are gone. Chains of reshapes, transposes and selections are one each, dense layers are
    Gemm nodes with a bias, and attributes that change nothing are set to fixed values.
    """
    made = _Terms()
    digests = {name: made.parameter(array) for name, array in graph.parameters.items()}
    start = _digest("input", list(graph.input_shape))
    digests[graph.input] = start
    made.shapes[start] = graph.input_shape
    for node in graph.nodes:
        inputs = tuple(digests[name] for name in node.inputs)
        term = Term(node.operator, dict(node.attributes), inputs, graph.shapes[node.output])
        digests[node.output] = made.make(term)
    return _named(made, start, digests[graph.output])


def normal_digest(graph: Graph) -> str:
    """Return the digest of the normal form: equal for all forms of one network."""
    return normal_form(graph).digest()


def _named(made: _Terms, start: str, output: str) -> Graph:
    """Give the terms that the output needs their names."""
    names = {start: "input"}
    nodes: list[Node] = []
    parameters: dict[str, Array] = {}
    for digest in _walk(made, output):
        if digest in made.parameters:
            names[digest] = f"p{len(parameters)}"
            parameters[names[digest]] = made.parameters[digest]
        elif digest != start:
            term = made.terms[digest]
            names[digest] = f"n{len(nodes)}"
            inputs = tuple(names[name] for name in term.inputs)
            nodes.append(Node(names[digest], term.operator, inputs, names[digest], term.attributes))
    shapes = {name: made.shapes[digest] for digest, name in names.items() if digest in made.shapes}
    return Graph("input", names[output], tuple(nodes), parameters, shapes)


def _walk(made: _Terms, output: str) -> list[str]:
    """Return everything that the output needs, arguments before what takes them."""
    order: dict[str, None] = {}
    stack = [(output, False)]
    while stack:
        digest, ready = stack.pop()
        if digest in order:
            continue
        arguments = made.terms[digest].inputs if digest in made.terms else ()
        if ready or not arguments:
            order[digest] = None
            continue
        stack.append((digest, True))
        stack += [(argument, False) for argument in reversed(arguments)]
    return list(order)
