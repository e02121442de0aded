"""Transfers of the functions of one number that are not piecewise linear.

Each replaces its function, coordinate by coordinate, by a band between two parallel lines on the proven range
of the input. How the band is found depends on the kind of function: ``functions_smooth``,
``functions_convex`` with ``functions_power``, ``functions_kinked``.
"""

from __future__ import annotations

from dataclasses import dataclass

from glocert.forms.form import Form
from glocert.forms.ops import functions_kinked as kinked
from glocert.forms.ops import functions_power as powers
from glocert.forms.ops.functions_jets import SUPREMA
from glocert.forms.ops.functions_line import Span, follow
from glocert.forms.ops.functions_power import LineOf
from glocert.forms.ops.functions_smooth import Far, Smooth, beside_relu, bounded, rising
from glocert.forms.ops.registry import Site, Transfer, transfer
from glocert.graph.ir import Node

_FAR: dict[str, Far] = {
    "Sigmoid": rising,
    "Tanh": rising,
    "Softplus": rising,
    "Erf": rising,
    "Silu": beside_relu(0.2785),
    "Gelu none": beside_relu(0.1701),
    "Gelu tanh": beside_relu(0.1701),
    "Mish": beside_relu(0.3089),
    "Sin": bounded,
    "Cos": bounded,
}
"""What is said about a function on a span of any width."""


@dataclass(frozen=True, slots=True)
class Along:
    """The transfer of a function whose lines ``line_of`` finds."""

    line_of: LineOf

    def __call__(self, *inputs: Form) -> Form:
        """Follow the line of every coordinate."""
        (x,) = inputs
        return follow(x, self.line_of(Span.of(x), x.error))


def _smooth(name: str) -> Transfer:
    jets, fourth = SUPREMA[name]
    return Along(Smooth(jets, fourth, _FAR[name]).line)


@transfer("Cos", "Erf", "Mish", "Sigmoid", "Silu", "Sin", "Softplus", "Tanh", double=True)
def smooth(node: Node, site: Site) -> Transfer:  # noqa: ARG001
    """A smooth function without attributes."""
    return _smooth(node.operator)


@transfer("Gelu", double=True)
def gelu(node: Node, site: Site) -> Transfer:  # noqa: ARG001
    """``x`` times the normal distribution function, or its approximation with tanh."""
    return _smooth(f"Gelu {node.attributes['approximate']}")


@transfer("Exp", double=True)
def exp(node: Node, site: Site) -> Transfer:  # noqa: ARG001
    """``exp(x)``."""
    return Along(powers.exp_line)


@transfer("Log", double=True)
def log(node: Node, site: Site) -> Transfer:  # noqa: ARG001
    """``log(x)``; nothing is known unless x is proven positive."""
    return Along(powers.log_line)


@transfer("Sqrt", double=True)
def sqrt(node: Node, site: Site) -> Transfer:  # noqa: ARG001
    """``sqrt(x)``; nothing is known unless x is proven positive."""
    return Along(powers.power_line(0.5))


@transfer("Reciprocal", double=True)
def reciprocal(node: Node, site: Site) -> Transfer:  # noqa: ARG001
    """``1 / x``; nothing is known unless x is proven not to be zero."""
    return Along(powers.power_line(-1.0))


@transfer("Pow", double=True)
def power(node: Node, site: Site) -> Transfer:  # noqa: ARG001
    """``x ** exponent``."""
    return Along(powers.power_line(node.number("exponent")))


@transfer("Elu", double=True)
def elu(node: Node, site: Site) -> Transfer:  # noqa: ARG001
    """``x`` above zero, ``alpha (exp(x) - 1)`` below."""
    alpha = node.number("alpha")
    return Along(lambda span, error: kinked.elu(span, error, alpha))


@transfer("HardSwish", double=True)
def hard_swish(node: Node, site: Site) -> Transfer:  # noqa: ARG001
    """``x min(max(x/6 + 1/2, 0), 1)``."""
    return Along(kinked.hard_swish)


@transfer("Sign", double=True)
def sign(node: Node, site: Site) -> Transfer:  # noqa: ARG001
    """-1, 0 or 1."""
    return Along(kinked.sign)
