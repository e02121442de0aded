"""Max pooling backwards: each place of a window takes its share of the adjoint.

The forward pass folds ``max(a, b) = b + relu(a - b)`` with ``relu(d) = g d + m +- half``, so ``max(a, b) =
(1 - g) b + g a + m +- half`` for the exact numbers. As 0 <= g <= 1, folding all places gives shares that are
not negative, a constant and an error in the same shares: nothing is lost by folding before the adjoint comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.backward.ops.pooling import spread
from glocert.forms.backward.registry import Local, Reverse, reverse, under
from glocert.forms.form import Form, rounding_of
from glocert.forms.ops.kinks import chord
from glocert.forms.ops.maxima import Maximum, larger
from glocert.forms.ops.registry import REGISTRY as FORWARD
from glocert.forms.ops.registry import Site
from glocert.graph.ir import Node


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

    def back(self, adjoint: Tensor, gains: tuple[Tensor, ...]) -> Sequence[Tensor]:
        """Share out."""
        parts = [adjoint * share.unsqueeze(1) for share in gains]
        return (spread(self.forward.window, parts, self.inside),)


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
