"""Functions of one number with kinks, backwards: the adjoint takes the gain of each line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.backward.peaks import lifted
from glocert.forms.backward.products import as_it_lies, in_order, restored
from glocert.forms.backward.registry import Local, Reverse, constants_cost, in_double, reverse, under
from glocert.forms.form import Form, rounding_of
from glocert.forms.loops import backward as loops
from glocert.forms.loops.views import by_rows
from glocert.forms.ops.kinks import Bent, chord, rectifier
from glocert.forms.ops.registry import REGISTRY as FORWARD
from glocert.forms.ops.registry import Site
from glocert.forms.ranges import Range
from glocert.graph.ir import Node
from glocert.rounding import UP


@dataclass(frozen=True, slots=True)
class Gained:
    """A piecewise linear function of one number."""

    bent: Bent

    def local(self, inputs: Sequence[Form]) -> Local:
        """Return the lines on the ranges of a form."""
        return self.between(Range.of(inputs[0]))

    def in_one_pass(self, x: Form, index: Tensor) -> Local | None:
        """Return ``local`` on some rows of a form, where a compiled loop goes through them."""
        seen = by_rows(x) if self.bent.rectifies or self.bent.clamps else None
        if seen is None:
            return None
        own, shape, rows = x.rounding, (len(index), *x.error.shape[1:]), len(index)
        made = [torch.empty_strided(shape, x.error.stride(), dtype=x.error.dtype) for _ in range(3)]
        sums, count = torch.empty(rows, dtype=torch.float64), seen.error.shape[1]
        gains, middles, charges = (part.as_strided((rows, count), (count, 1)).numpy() for part in made)
        flat = gains, middles, charges
        constants = x.lift(3), own.charge, own.up, own.tiny, constants_cost(x.error, count)
        if self.bent.rectifies:
            loops.rectifier_lines(*seen, constants, index.numpy(), flat, sums.numpy())
        else:
            levels = (*self.bent.same, self.bent.lost)
            loops.clamp_lines(*seen, constants, levels, index.numpy(), flat, sums.numpy())
        gain, middle, charge = made
        return Local(middle, charge, lifted(sums, count) * (own.tiny * UP), (gain,))

    def between(self, x: Range) -> Local:
        """Return the lines of all coordinates; where the function is one line, nothing is charged.

        ``chord`` charges three roundings of ``g x + m``, of which ``g a`` is one.
        """
        own = rounding_of(x.low.dtype)
        if self.bent.rectifies:
            size = torch.maximum(-x.low, x.high)
            line, settled = rectifier(x.low.clone(), x.high.clone())
            charge = line.half.mul_(own.up).add_(own.tiny)
            return Local.between(
                line.middle, charge, under(size.masked_fill_(settled, 0.0), own.tiny), line.gain
            )
        low = x.low
        # A chord needs two ends.
        high = torch.where(x.high == low, x.high + (low.abs() * own.charge + own.tiny), x.high)
        settled = self.bent.passed(low, high)
        gain, shift = settled.to(low.dtype), torch.zeros_like(low)
        for value, there in self.bent.constant(low, high):
            settled = settled | there
            shift = torch.where(there, value, shift) if value else shift
        charge, size = torch.full_like(low, self.bent.lost + own.tiny), torch.zeros_like(low)
        loose = (~settled).nonzero(as_tuple=True)
        line = chord(self.bent.function, self.bent.levels, low[loose], high[loose])
        size[loose] = torch.maximum(low[loose].abs(), high[loose].abs())
        gain[loose], shift[loose] = line.gain, line.middle
        charge[loose] += (line.half + size[loose] * self.bent.executed) * own.up
        return Local.between(shift, charge, under(size, own.tiny), gain)

    def back(self, adjoint: Tensor, gains: tuple[Tensor, ...]) -> Sequence[Tensor]:
        """Multiply by the gain."""
        return (adjoint * gains[0].unsqueeze(1),)

    def back_at(self, adjoint: Tensor, gains: tuple[Tensor, ...], place: Tensor) -> Sequence[Tensor]:
        """Multiply by the gain of the row of each adjoint."""
        if not in_double(adjoint):
            return self.back(adjoint, (gains[0][place],))
        flat, order = as_it_lies(adjoint)
        gain, out = in_order(gains[0], adjoint, order), torch.empty_like(flat)
        loops.gained(flat.numpy(), gain.numpy(), place.numpy(), out.numpy())
        return (restored(out, adjoint, order),)


@reverse("Relu", "LeakyRelu", "Clip")
def bent(node: Node, site: Site) -> Reverse | None:
    """A piecewise linear function; one that is constant is substituted as it is."""
    transfer = FORWARD[node.operator](node, site)
    return Gained(transfer) if isinstance(transfer, Bent) else None
