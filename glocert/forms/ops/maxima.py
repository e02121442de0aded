"""Max pooling: the places of each window are compared one after the other, as differences of forms.

``max(a, b) = b + relu(a - b)``. The forms share u, so the difference subtracts slopes, and a place that never
loses, or never wins, is decided without any loss: the other form is dropped. Otherwise relu(a - b) is
replaced by a line ``g (a - b) + m`` on the proven range of the difference. As 0 <= g <= 1, the result ``(1 -
g) b + g a + m`` takes the errors in the same shares.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.form import Form
from glocert.forms.ops.kinks import chord
from glocert.forms.ops.pooling import Window, window
from glocert.forms.ops.registry import Site, Transfer, transfer
from glocert.graph.ir import Node


@dataclass(frozen=True, slots=True)
class Maximum:
    """MaxPool of an image whose padding never wins.

    Attributes:
        window: the geometry.
        real: for every place of the kernel, which windows have it on the image; bool,
            shape (out height, out width).
    """

    window: Window
    real: tuple[Tensor, ...]

    def __call__(self, *inputs: Form) -> Form:
        """Fold the places of all windows."""
        (x,) = inputs
        lines, errors = self.window.frame(x.lines()), self.window.frame(x.error)
        first, *rest = self.window.places()
        best = Form.of(self.window.shifted(lines, first), self.window.shifted(errors, first))
        known = self.real[0]
        for place, real in zip(rest, self.real[1:], strict=True):
            other = Form.of(self.window.shifted(lines, place), self.window.shifted(errors, place))
            best = larger(best, other, keep=~real, take=real & ~known)
            known = known | real
        return Form.of(best.lines(), best.error.masked_fill(~known, torch.inf))


def larger(b: Form, a: Form, *, keep: Tensor, take: Tensor) -> Form:
    """Return the maximum of two forms.

    Args:
        b: shape (rows, *shape).
        a: same shape.
        keep: where b is the answer, whatever the numbers say; bool, broadcasts.
        take: where a is.
    """
    a_lines, b_lines, own = a.lines(), b.lines(), a.rounding
    difference = Form.of(a_lines - b_lines, (a.error + b.error) * own.up)
    low, high = difference.bounds()
    take = take | ((low >= 0) & ~keep)
    loose = (~(take | keep | (high <= 0))).nonzero(as_tuple=True)
    lines = torch.where(take, a_lines, b_lines)
    error = torch.where(take, a.error, b.error)
    if len(loose[0]):
        line = chord(torch.relu, (0.0,), low[loose], high[loose])
        a_loose, b_loose = (torch.stack([part[loose] for part in x]) for x in (a_lines, b_lines))
        mixed = b_loose + (a_loose - b_loose) * line.gain
        mixed[0] += line.middle
        for part, values in zip(lines, mixed, strict=True):
            part[loose] = values
        # The mixture rounds numbers of the size of a and b, which may be larger than their difference.
        size = (a_loose.abs().sum(0) + b_loose.abs().sum(0) + line.middle.abs()) * own.charge
        shares = b.error[loose] * (1 - line.gain) + a.error[loose] * line.gain
        error[loose] = (shares + line.half + size) * own.up
    return Form.of(lines, error)


@transfer("MaxPool")
def max_pool(node: Node, site: Site) -> Transfer:
    """Max pooling."""
    geometry = window(node, site)
    image = torch.ones(site.shape(node.inputs[0])[1:], dtype=torch.bool, device=site.device)
    framed = geometry.frame(image)
    real = tuple(geometry.shifted(framed, place) for place in geometry.places())
    return Maximum(geometry, real)
