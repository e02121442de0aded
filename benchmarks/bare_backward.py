"""The backward pass without its rounding terms: to measure what the proof costs.

The same relaxations are substituted through the same maps by the same loops; nothing is charged for
arithmetic, and nothing is computed for the sake of a charge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glocert.forms.backward.ops import affine, functions, kinks, layout, maxima
from glocert.forms.backward.registry import Local
from glocert.forms.backward.reversal import Reversal
from glocert.forms.form import Form
from glocert.forms.loops import backward as loops
from glocert.forms.loops.views import by_rows
from glocert.forms.program import Program

_BENT = (kinks.Gained, maxima.Pooled, functions.Banded)
GUARD = 2.0**-100
"""keeps a quotient finite"""


@dataclass(frozen=True, slots=True)
class Exact:
    """A node that would lose nothing in real arithmetic.

    Attributes:
        proven: the node.
        shift: constants that it adds, or None.
        shape: of its output.
    """

    proven: Any
    shift: Tensor | None
    shape: tuple[int, ...]

    def local(self, inputs: Sequence[Form]) -> Local:
        """Return the constants; nothing is charged."""
        return self.in_one_pass(inputs[0], torch.arange(len(inputs[0].error)))

    def in_one_pass(self, x: Form, index: Tensor) -> Local:
        """Return the same for some rows."""
        shift = None if self.shift is None else self.shift.expand(1, *self.shape)
        return Local(shift, x.error.new_empty(len(index), 0))

    def back(self, adjoint: Tensor, gains: tuple[Tensor, ...]) -> Sequence[Tensor]:
        """Go back through the map."""
        return self.proven.back(adjoint, gains)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Rectified:
    """``max(x, 0)`` between lines."""

    proven: kinks.Gained

    def local(self, inputs: Sequence[Form]) -> Local:
        """Return the lines."""
        return self.in_one_pass(inputs[0], torch.arange(len(inputs[0].error)))

    def in_one_pass(self, x: Form, index: Tensor) -> Local:
        """Return the lines on some rows."""
        seen, rows = by_rows(x), len(index)
        if seen is None:
            raise TypeError("a form in an order of memory that loops do not go through")
        made = [
            torch.empty_strided((rows, *x.shape), x.error.stride(), dtype=x.error.dtype) for _ in range(3)
        ]
        count = seen.error.shape[1]
        gain, middle, charge = (part.as_strided((rows, count), (count, 1)).numpy() for part in made)
        sums = torch.empty(rows, dtype=torch.float64)
        loops.rectifier_lines(
            *seen, (1.0, 0.0, 1.0, GUARD, 0.0), index.numpy(), (gain, middle, charge), sums.numpy()
        )
        return Local(made[1], made[2], None, (made[0],))

    def back(self, adjoint: Tensor, gains: tuple[Tensor, ...]) -> Sequence[Tensor]:
        """Multiply by the gain."""
        return self.proven.back(adjoint, gains)

    def back_at(self, adjoint: Tensor, gains: tuple[Tensor, ...], place: Tensor) -> Sequence[Tensor]:
        """Multiply by the gain of the row of each adjoint."""
        return self.proven.back_at(adjoint, gains, place)


def without_charges(reversal: Reversal, bare: Callable[[Program], Program]) -> Reversal:
    """Return a reversal without rounding terms.

    Args:
        reversal: the proven one.
        bare: makes the forward program without rounding terms.

    Raises:
        TypeError: a node has no twin.
    """
    nodes = {name: _twin(node) for name, node in reversal.nodes.items()}
    return Reversal(bare(reversal.program), nodes, reversal.front)


def _twin(node: Any) -> Any:
    if isinstance(node, affine.Affine):
        return Exact(node, node.bias, node.shape)
    if isinstance(node, affine.Moved):
        return Exact(node, node.shift, node.shape)
    if isinstance(node, affine.Scale):
        return Exact(node, node.shift, node.outside)
    if isinstance(node, affine.Sum):
        return Exact(node, None, node.outside)
    if isinstance(node, layout.Concat):
        return Exact(node, node.shift, tuple(node.shift.shape))
    if isinstance(node, kinks.Gained) and node.bent.rectifies:
        return Rectified(node)
    if isinstance(node, _BENT):
        return node
    raise TypeError(type(node).__name__)
