"""Functions of one number with kinks, backwards: the adjoint takes the gain of each line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.backward.registry import Local, Reverse, reverse
from glocert.forms.form import Form
from glocert.forms.ops.kinks import Bent, chord
from glocert.forms.ops.registry import REGISTRY as FORWARD
from glocert.forms.ops.registry import Site
from glocert.graph.ir import Node
from glocert.rounding import TINY, UP, grow


@dataclass(frozen=True, slots=True)
class Gained:
    """A piecewise linear function of one number."""

    bent: Bent

    def local(self, inputs: Sequence[Form]) -> Local:
        """Return the lines of all coordinates; where the function is one line, nothing is charged.

        ``chord`` charges three roundings of ``g x + m``, of which ``g a`` is one.
        """
        low, high = inputs[0].bounds()
        settled = self.bent.passed(low, high)
        gain, shift = settled.to(low.dtype), torch.zeros_like(low)
        for value, there in self.bent.constant(low, high):
            settled = settled | there
            shift = torch.where(there, value, shift) if value else shift
        charge, size = torch.full_like(low, TINY), torch.zeros_like(low)
        loose = (~settled).nonzero(as_tuple=True)
        line = chord(self.bent.function, self.bent.levels, low[loose], high[loose])
        gain[loose], shift[loose], charge[loose] = line.gain, line.middle, line.half
        size[loose] = torch.maximum(low[loose].abs(), high[loose].abs())
        floor = size.flatten(1).sum(1) * (TINY * grow(size[0].numel()) * UP)
        return Local.between(shift, charge, floor, gain)

    def back(self, adjoint: Tensor, gains: tuple[Tensor, ...]) -> Sequence[Tensor]:
        """Multiply by the gain."""
        return (adjoint * gains[0].unsqueeze(1),)


@reverse("Relu", "LeakyRelu", "Clip")
def bent(node: Node, site: Site) -> Reverse | None:
    """A piecewise linear function; one that is constant is substituted as it is."""
    transfer = FORWARD[node.operator](node, site)
    return Gained(transfer) if isinstance(transfer, Bent) else None
