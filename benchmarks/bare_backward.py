"""The backward pass without its rounding terms: to measure what the proof costs.

The same relaxations are substituted through the same maps; nothing is charged for arithmetic, and nothing is
computed for the sake of a charge.
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
from glocert.forms.backward.tape import Tape
from glocert.forms.form import Form
from glocert.forms.program import Program

_BENT = (kinks.Gained, maxima.Pooled, functions.Banded)


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
        """Return the constants; a charge of one number a row stands for none."""
        like = inputs[0].centre
        shift = None if self.shift is None else self.shift.expand(len(like), *self.shape)
        return Local(shift, like.new_zeros(len(like)))

    def back(self, adjoint: Tensor, gains: tuple[Tensor, ...]) -> Sequence[Tensor]:
        """Go back through the map."""
        return self.proven.back(adjoint, gains)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Rectified:
    """``max(x, 0)`` between lines."""

    proven: kinks.Gained

    def local(self, inputs: Sequence[Form]) -> Local:
        """Return the lines."""
        x = inputs[0]
        width = x.slopes.abs().sum(0).add_(x.error)
        gain, half = rectified(x.centre - width, x.centre + width)
        return Local(half, half, None, (gain,))

    def back(self, adjoint: Tensor, gains: tuple[Tensor, ...]) -> Sequence[Tensor]:
        """Multiply by the gain."""
        return self.proven.back(adjoint, gains)


def rectified(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return g and m of the line in place of ``max(x, 0)`` on each range; m is the error as well."""
    above, below = high.clamp_(min=0), low.clamp_(max=0)
    gain = above / (above - below).clamp_(min=2.0**-100)
    return gain, torch.maximum((1 - gain).mul_(above), (gain * below).neg_()).mul_(0.5)


class Unproven(Reversal):
    """A reversal whose functionals have errors of relaxations only."""

    __slots__ = ()

    def functionals(self, tape: Tape, weights: Tensor) -> Form:
        """Substitute."""
        graph = self.program.graph
        weights = weights.to(self.program.dtype)
        rows, count = weights.shape[:2]
        lines = weights.new_zeros(1 + len(tape.scores.slopes), rows, count)
        error = weights.new_zeros(rows, count)
        live = {graph.output: weights.reshape(rows, count, *graph.shapes[graph.output])}
        for step in reversed(self.program.steps):
            adjoint, node = live.pop(step.output, None), self.nodes.get(step.output)
            if adjoint is None:
                continue
            if node is None:
                lines, error = _substituted(lines, error, adjoint, tape.forms[step.output])
                continue
            local = tape.local(step.output, node, step.inputs)
            if local.shift is not None:
                lines[0] += _product(adjoint, local.shift)
            if local.charge.ndim > 1:
                error += _product(adjoint.abs(), local.charge)
            for name, part in zip(step.inputs, node.back(adjoint, local.gains), strict=True):
                live[name] = live[name] + part if name in live else part
        for name, adjoint in live.items():
            lines, error = _substituted(lines, error, adjoint, tape.forms[name])
        return Form.of(lines.double(), error.double())


def _substituted(lines: Tensor, error: Tensor, adjoint: Tensor, x: Form) -> tuple[Tensor, Tensor]:
    lines = lines + torch.stack([_product(adjoint, line) for line in x.lines()])
    return lines, error + _product(adjoint.abs(), x.error)


def _product(adjoint: Tensor, values: Tensor) -> Tensor:
    """Sum ``adjoint * values``, shapes (rows, functionals, *shape) and (rows, *shape), as they lie."""
    if adjoint.ndim == 2:
        return adjoint * values.unsqueeze(1)
    strides = adjoint.stride()[2:]
    order = sorted(range(len(strides)), key=lambda axis: -strides[axis])
    flat = adjoint.permute(0, 1, *(axis + 2 for axis in order)).flatten(2)
    vector = values.permute(0, *(axis + 1 for axis in order)).flatten(1)
    return torch.bmm(flat, vector.unsqueeze(2)).squeeze(2)


def without_charges(reversal: Reversal, bare: Callable[[Program], Program]) -> Reversal:
    """Return a reversal without rounding terms.

    Args:
        reversal: the proven one.
        bare: makes the forward program without rounding terms.

    Raises:
        TypeError: a node has no twin.
    """
    nodes = {name: _twin(node) for name, node in reversal.nodes.items()}
    return Unproven(bare(reversal.program), nodes)


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
