"""Functions of one number, backwards: the adjoint takes the slope of each band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glocert.forms.backward.registry import Local, Reverse, reverse, under
from glocert.forms.form import Form
from glocert.forms.ops.functions import Along
from glocert.forms.ops.functions_line import Span
from glocert.forms.ops.registry import REGISTRY as FORWARD
from glocert.forms.ops.registry import Site
from glocert.graph.ir import Node
from glocert.rounding import CHARGE, TINY, UP


@dataclass(frozen=True, slots=True)
class Banded:
    """A function that lies between two parallel lines on the reach of each number; found in float64."""

    along: Along

    def local(self, inputs: Sequence[Form]) -> Local:
        """Write ``low <= f(x) - g (x - c) <= high`` as ``g x + m +- half``, with three roundings of m.

        Where g and m are rounded to float32, the differences are charged: those are exact.
        """
        dtype, x = inputs[0].centre.dtype, inputs[0].to(torch.float64)
        line, peak = self.along.line_of(Span.of(x), x.error), x.peak()
        gain = line.slope.to(dtype)
        tilt, middle = line.slope * x.centre, (line.low + line.high) * 0.5
        shift = (middle - tilt).to(dtype)
        half = torch.maximum(line.high - middle, middle - line.low)
        moved = (gain.double() - line.slope).abs() * peak + (shift.double() - (middle - tilt)).abs()
        size = tilt.abs() + middle.abs() + line.slope.abs() * peak
        charge = (half + moved + size * CHARGE) * (UP * UP) + TINY
        own, wide = inputs[0].rounding, peak.to(dtype)
        charge = (charge.to(dtype) + gain.abs() * wide * own.charge) * (own.up * own.up) + own.tiny
        return Local.between(shift, charge, under(wide * own.up, own.tiny), gain)

    def back(self, adjoint: Tensor, gains: tuple[Tensor, ...]) -> Sequence[Tensor]:
        """Multiply by the slope."""
        return (adjoint * gains[0].unsqueeze(1),)


@reverse(
    *("Cos", "Erf", "Mish", "Sigmoid", "Silu", "Sin", "Softplus", "Tanh", "Gelu", "Exp", "Log", "Sqrt"),
    *("Reciprocal", "Pow", "Elu", "HardSwish", "Sign"),
)
def banded(node: Node, site: Site) -> Reverse | None:
    """A function of one number."""
    transfer = FORWARD[node.operator](node, replace(site, dtype=torch.float64))
    return Banded(transfer) if isinstance(transfer, Along) else None
