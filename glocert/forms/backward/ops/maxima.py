"""Max pooling backwards: each place of a window takes its share of the adjoint.

The forward pass folds ``max(a, b) = b + relu(a - b)`` with ``relu(d) = g d + m +- half``, so ``max(a, b) =
(1 - g) b + g a + m +- half`` for the exact numbers. As 0 <= g <= 1, folding all places gives shares that are
not negative, a constant and an error in the same shares: nothing is lost by folding before the adjoint comes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.backward.ops.pooling import spread
from glocert.forms.backward.peaks import lifted
from glocert.forms.backward.products import as_it_lies, in_order
from glocert.forms.backward.registry import Local, Reverse, in_double, reverse, under
from glocert.forms.form import Form, rounding_of
from glocert.forms.loops import pooling as loops
from glocert.forms.loops.views import by_rows
from glocert.forms.ops.kinks import chord
from glocert.forms.ops.maxima import Maximum, Table, larger
from glocert.forms.ops.registry import REGISTRY as FORWARD
from glocert.forms.ops.registry import Site
from glocert.graph.ir import Node
from glocert.rounding import UP


@dataclass(slots=True)
class _Fold:
    """The shares of the places so far, ``max = sum_k shares_k x_k + shift +- charge``."""

    shares: list[Tensor]
    shift: Tensor
    charge: Tensor

    def take(self, gain: Tensor, middle: Tensor, half: Tensor) -> None:
        """Fold the next place in: one rounding of ``1 - g`` and one of each product."""
        rest, own = 1 - gain, rounding_of(gain.dtype)
        self.shares = [*(share * rest for share in self.shares), gain]
        self.charge = (self.charge * rest + half + (self.shift.abs() + middle.abs()) * own.charge) * own.up
        self.shift = self.shift * rest + middle


@dataclass(frozen=True, slots=True)
class Pooled:
    """MaxPool of an image."""

    forward: Maximum
    inside: tuple[int, ...]

    def local(self, inputs: Sequence[Form]) -> Local:
        """Fold the places of all windows as the forward pass does."""
        (x,) = inputs
        geometry, (first, *rest) = self.forward.window, self.forward.window.places()
        lines, errors = geometry.frame(x.lines()), geometry.frame(x.error)
        best = Form.of(geometry.shifted(lines, first), geometry.shifted(errors, first))
        fold = _Fold(
            [torch.ones_like(best.error)], torch.zeros_like(best.error), torch.zeros_like(best.error)
        )
        known, peak = self.forward.real[0], best.peak()
        for place, real in zip(rest, self.forward.real[1:], strict=True):
            other = Form.of(geometry.shifted(lines, place), geometry.shifted(errors, place))
            fold.take(*_compared(best, other, ~real, real & ~known))
            best = larger(best, other, keep=~real, take=real & ~known)
            known, peak = known | real, torch.maximum(peak, other.peak())
        places, own = len(rest) + 1, x.rounding
        # The shares are off by two roundings each time, and adjoints of overlapping windows are added.
        rounding = peak * (own.dot(places) + (2 * places + 2) * own.charge)
        charge = ((fold.charge + rounding) * own.up + own.tiny).masked_fill(~known, torch.inf)
        return Local.between(fold.shift, charge, under(peak, own.tiny, 2 * places), *fold.shares)

    def in_one_pass(self, x: Form, index: Tensor) -> Local | None:
        """Return ``local`` on some rows of a form in a compiled loop."""
        seen = by_rows(x)
        if seen is None:
            return None
        table, own, rows = self.forward.table(x), x.rounding, len(index)
        places = len(table.positions)
        shares, sums = table.empty(x.error, places, rows), torch.empty(rows, dtype=torch.float64)
        shift, charge = table.empty(x.error, rows), table.empty(x.error, rows)
        constants = x.lift(3), own.charge, own.up, own.tiny
        spread = own.dot(places) + (2 * places + 2) * own.charge
        flat = shares.permute(0, 1, *table.axes(2)).flatten(2).numpy()
        shifts, charges = (part.permute(0, *table.axes(1)).flatten(1).numpy() for part in (shift, charge))
        made = shifts, charges
        loops.folded(*seen, table.positions, constants, spread, index.numpy(), flat, made, sums.numpy())
        floor = lifted(sums, table.positions.shape[1]) * (own.tiny * 2 * places * UP)
        return Local.between(shift, charge, floor, *shares)

    def back(self, adjoint: Tensor, gains: tuple[Tensor, ...]) -> Sequence[Tensor]:
        """Share out."""
        parts = [adjoint * share.unsqueeze(1) for share in gains]
        return (spread(self.forward.window, parts, self.inside),)

    def back_at(self, adjoint: Tensor, gains: tuple[Tensor, ...], place: Tensor) -> Sequence[Tensor]:
        """Share out to the row of each adjoint."""
        if not in_double(adjoint):
            return self.back(adjoint, tuple(gain[place] for gain in gains))
        flat, order = as_it_lies(adjoint)
        sizes = [self.inside[axis] for axis in order]
        out = flat.new_empty(*adjoint.shape[:2], math.prod(sizes))
        steps = [math.prod(sizes[order.index(axis) + 1 :]) for axis in range(3)]
        table = Table.of(self.forward.window, self.inside, steps)
        shares = torch.stack([in_order(gain, adjoint, order) for gain in gains])
        loops.shared_out(flat.numpy(), shares.numpy(), place.numpy(), table.positions, out.numpy())
        back = (order.index(axis) + 2 for axis in range(3))
        return (out.view(*adjoint.shape[:2], *sizes).permute(0, 1, *back),)


def _compared(b: Form, a: Form, keep: Tensor, take: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return g, m and half of ``relu(a - b)``, decided as in ``larger``."""
    low, high = Form.of(a.lines() - b.lines(), (a.error + b.error) * a.rounding.up).bounds()
    take = take | ((low >= 0) & ~keep)
    loose = (~(take | keep | (high <= 0))).nonzero(as_tuple=True)
    gain, middle, half = (
        take.to(low.dtype).expand_as(low).clone(),
        torch.zeros_like(low),
        torch.zeros_like(low),
    )
    line = chord(torch.relu, (0.0,), low[loose], high[loose])
    gain[loose], middle[loose], half[loose] = line.gain, line.middle, line.half
    return gain, middle, half


@reverse("MaxPool")
def max_pool(node: Node, site: Site) -> Reverse | None:
    """Max pooling."""
    transfer = FORWARD[node.operator](node, site)
    return Pooled(transfer, site.shape(node.inputs[0])) if isinstance(transfer, Maximum) else None
