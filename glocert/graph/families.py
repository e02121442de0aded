"""What kind of function a node is, which decides what can be said about a network that contains it.

A network of affine and piecewise linear nodes is followed *exactly* along a segment. One with a smooth node,
or with a product of two activations, is *enclosed*: bounded on parts of the segment, to any accuracy that
time allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from glocert.graph.ir import Graph, Node

BENT = frozenset({"Relu", "LeakyRelu", "Clip", "MaxPool"})
"""Continuous, piecewise linear, not affine."""

FUNCTIONS: Mapping[str, tuple[str, ...]] = {
    "Cos": (),
    "Elu": ("alpha",),
    "Erf": (),
    "Exp": (),
    "Gelu": ("approximate",),
    "HardSwish": (),
    "Log": (),
    "Mish": (),
    "Pow": ("exponent",),
    "Reciprocal": (),
    "Sigmoid": (),
    "Sign": (),
    "Silu": (),
    "Sin": (),
    "Softplus": (),
    "Sqrt": (),
    "Tanh": (),
}
"""Functions of one number that are not piecewise linear and continuous, with their attributes."""

COUPLED = frozenset({"Softmax"})
"""Functions of many numbers that are not piecewise linear."""

_BILINEAR = frozenset({"Mul", "MatMul"})


class Family(StrEnum):
    """How well a network can be followed along a segment."""

    EXACT = "exact"
    ENCLOSURE = "enclosure"


def is_bilinear(graph: Graph, node: Node) -> bool:
    """Whether the node multiplies two activations."""
    return node.operator in _BILINEAR and all(graph.is_activation(name) for name in node.inputs)


def is_smooth(graph: Graph, node: Node) -> bool:
    """Whether the node is neither affine nor piecewise linear."""
    return node.operator in FUNCTIONS or node.operator in COUPLED or is_bilinear(graph, node)


def is_nonlinear(graph: Graph, node: Node) -> bool:
    """Whether the node is not affine."""
    return node.operator in BENT or is_smooth(graph, node)


def smooth_nodes(graph: Graph) -> tuple[Node, ...]:
    """Return the nodes that forbid an exact answer, in the graph's order."""
    return tuple(node for node in graph.nodes if is_smooth(graph, node))


def family(graph: Graph) -> Family:
    """Return how well the graph can be followed along a segment."""
    return Family.ENCLOSURE if smooth_nodes(graph) else Family.EXACT
