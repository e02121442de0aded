"""Max pooling: the places of each window are compared one after the other, as differences of forms.

``max(a, b) = b + relu(a - b)``. The forms share u, so the difference subtracts slopes, and a place that never
loses, or never wins, is decided without any loss: the other form is dropped. Otherwise relu(a - b) is
replaced by a line ``g (a - b) + m`` on the proven range of the difference. As 0 <= g <= 1, the result ``(1 -
g) b + g a + m`` takes the errors in the same shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from glocert.forms.form import Form
from glocert.forms.loops import pooling as loops
from glocert.forms.loops.views import Array, by_rows
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
    _tables: dict[tuple[int, ...], Table] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, *inputs: Form) -> Form:
        """Fold the places of all windows."""
        (x,) = inputs
        made = self._in_one_pass(x)
        if made is not None:
            return made
        lines, errors = self.window.frame(x.lines()), self.window.frame(x.error)
        first, *rest = self.window.places()
        best = Form.of(self.window.shifted(lines, first), self.window.shifted(errors, first))
        known = self.real[0]
        for place, real in zip(rest, self.real[1:], strict=True):
            other = Form.of(self.window.shifted(lines, place), self.window.shifted(errors, place))
            best = larger(best, other, keep=~real, take=real & ~known)
            known = known | real
        return Form.of(best.lines(), best.error.masked_fill(~known, torch.inf))

    def _in_one_pass(self, x: Form) -> Form | None:
        """Do the same in a compiled loop."""
        seen = by_rows(x)
        if seen is None:
            return None
        table, own, rows = self.table(x), x.rounding, len(x.error)
        lines, error = table.empty(x.error, len(seen.lines), rows), table.empty(x.error, rows)
        constants = x.lift(3), own.charge, own.up, own.tiny
        flat = lines.flatten(2) if table.natural else lines.permute(0, 1, *table.axes(2)).flatten(2)
        bound = error.flatten(1) if table.natural else error.permute(0, *table.axes(1)).flatten(1)
        loops.largest(*seen, table.positions, constants, flat.numpy(), bound.numpy())
        return Form.of(lines, error)

    def table(self, x: Form) -> Table:
        """Return where the places of each window lie in a form's memory."""
        shape, strides = x.error.shape[1:], x.error.stride()[1:]
        key = *shape, *strides
        if key not in self._tables:
            self._tables[key] = Table.of(self.window, shape, strides)
        return self._tables[key]


@dataclass(frozen=True, slots=True)
class Table:
    """Where the places of each window lie in the memory of a row.

    Attributes:
        positions: int64, shape (places, windows), negative outside the image; windows in the order of memory.
        order: axes (channel, height, width) from the outermost to the innermost in memory.
        outside: shape of the output, (channels, height, width).
    """

    positions: Array
    order: tuple[int, ...]
    outside: tuple[int, ...]

    @classmethod
    def of(cls, window: Window, shape: Sequence[int], strides: Sequence[int]) -> Table:
        """Return the table for images of a shape (channels, height, width) with such strides."""
        order = tuple(sorted(range(3), key=lambda axis: (-strides[axis], axis)))
        at = torch.zeros(1, dtype=torch.int64)
        for axis, (size, step) in enumerate(zip(shape, strides, strict=True)):
            at = at + (torch.arange(size) * step).view(*(-1 if other == axis else 1 for other in range(3)))
        framed = torch.nn.functional.pad(at + 1, window.pads) - 1
        places = [window.shifted(framed, place).permute(order).reshape(-1) for place in window.places()]
        return cls(torch.stack(places).contiguous().numpy(), order, (shape[0], *window.outside))

    @property
    def natural(self) -> bool:
        """Whether the channels are outermost."""
        return self.order == (0, 1, 2)

    def axes(self, before: int) -> tuple[int, ...]:
        """Return the axes in the order of memory, behind so many others."""
        return tuple(axis + before for axis in self.order)

    def empty(self, like: Tensor, *before: int) -> Tensor:
        """Return an output in the same order of memory, with more axes in front."""
        made = like.new_empty(*before, *(self.outside[axis] for axis in self.order))
        back = (self.order.index(axis) + len(before) for axis in range(3))
        return made.permute(*range(len(before)), *back)


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
