"""Functions of one number, backwards: the adjoint takes the slope of each band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.backward.registry import Local, Reverse, reverse
from glocert.forms.form import Form
from glocert.forms.ops.functions import Along
from glocert.forms.ops.functions_line import Span
from glocert.forms.ops.registry import REGISTRY as FORWARD
from glocert.forms.ops.registry import Site
from glocert.graph.ir import Node
from glocert.rounding import CHARGE, TINY, UP, grow


@dataclass(frozen=True, slots=True)
class Banded:
    """A function that lies between two parallel lines on the reach of each number."""

    along: Along

    def local(self, inputs: Sequence[Form]) -> Local:
        """Write ``low <= f(x) - g (x - c) <= high`` as ``g x + m +- half``, with three roundings of m."""
        (x,) = inputs
        line = self.along.line_of(Span.of(x), x.error)
        tilt, peak = line.slope * x.centre, x.peak()
        middle = (line.low + line.high) * 0.5
        half = torch.maximum(line.high - middle, middle - line.low)
        size = tilt.abs() + middle.abs() + line.slope.abs() * peak
        charge = (half + size * CHARGE) * (UP * UP) + TINY
        floor = peak.flatten(1).sum(1) * (TINY * grow(peak[0].numel()))
        return Local.between(middle - tilt, charge, floor, line.slope)

    def back(self, adjoint: Tensor, gains: tuple[Tensor, ...]) -> Sequence[Tensor]:
        """Multiply by the slope."""
        return (adjoint * gains[0].unsqueeze(1),)


@reverse(
    *("Cos", "Erf", "Mish", "Sigmoid", "Silu", "Sin", "Softplus", "Tanh", "Gelu", "Exp", "Log", "Sqrt"),
    *("Reciprocal", "Pow", "Elu", "HardSwish", "Sign"),
)
def banded(node: Node, site: Site) -> Reverse | None:
    """A function of one number."""
    transfer = FORWARD[node.operator](node, site)
    return Banded(transfer) if isinstance(transfer, Along) else None
