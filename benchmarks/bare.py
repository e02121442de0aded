"""The curve engine without its proof: the same loop, the same vertices, no radius.

Only for measuring what the proof costs: every transfer of the grids is replaced by a twin that maps the
vertices alone, and a network that is followed event by event gets loops that only do that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from benchmarks.bare_events import without_errors
from glocert.segments.knots import Knots
from glocert.segments.ops.affine import Dense, Pointwise, Sum, product
from glocert.segments.ops.convolution import Convolution
from glocert.segments.ops.kinks import Bent
from glocert.segments.ops.maxima import Maximum
from glocert.segments.ops.pooling import Average
from glocert.segments.ops.registry import Gathered
from glocert.segments.program import Program


@dataclass(frozen=True, slots=True)
class Unproven:
    """An affine transfer that maps the vertices only."""

    proven: Any

    def __call__(self, *inputs: Knots) -> Knots:
        """Map every vertex and claim nothing."""
        values = _values(self.proven, *(x.values for x in inputs))
        return Knots(values, values.new_zeros(values.shape[1]))


@dataclass(frozen=True, slots=True)
class UnprovenKink:
    """A kink that bends where it should and claims nothing about it."""

    proven: Any

    def cuts(self, t: Tensor, x: Knots, joins: Tensor | None = None) -> Tensor:
        """Return the same cuts."""
        cuts: Tensor = self.proven.cuts(t, x, joins)
        return cuts

    def bend(self, x: Knots, owned: bool, joins: Tensor | None = None) -> Knots:  # noqa: ARG002
        """Apply the operator at the vertices."""
        if isinstance(self.proven, Bent):
            values = self.proven.apply(x.values if owned else x.values.clone())
            low, high = (self.proven.apply(end.clone()) for end in x.extent())
            return Knots(values, x.radius, low, high)
        values = self.proven.pool(x).maxima
        return Knots(values, values.new_zeros(values.shape[1]))


def _values(transfer: Any, *inputs: Tensor) -> Tensor:
    """Return what the transfer does to the vertices."""
    if isinstance(transfer, Dense):
        flat = inputs[0].reshape(-1, len(transfer.weight))
        return product(flat, transfer.weight, transfer.bias).view(len(inputs[0]), -1)
    if isinstance(transfer, Convolution):
        return transfer.apply(inputs[0], transfer.weights, transfer.bias)
    if isinstance(transfer, Pointwise | Average):
        return transfer.apply(inputs[0])
    if isinstance(transfer, Sum):
        return torch.add(*inputs, alpha=transfer.sign)
    if isinstance(transfer, Gathered):
        return _values(transfer.then, inputs[0].index_select(1, transfer.index))
    return inputs[0]


def by_grids(program: Program) -> Program:
    """Return a program that is followed by grids of vertices, never event by event."""
    return replace(program, events=None)


def without_radius(program: Program) -> Program:
    """Return a program that makes the same curve without a radius.

    Raises:
        TypeError: the network has an operator that this measurement does not know.
    """
    known = (Dense, Convolution, Pointwise, Average, Sum, Gathered, Bent, Maximum)
    for step in program.steps:
        if not isinstance(step.transfer, known) and type(step.transfer).__name__ != "Same":
            raise TypeError(type(step.transfer).__name__)
    steps = [replace(step, transfer=_twin(step.transfer)) for step in program.steps]
    events = program.events and without_errors(program.events)
    return replace(program, steps=tuple(steps), events=events)


def _twin(transfer: Any) -> Unproven | UnprovenKink:
    return UnprovenKink(transfer) if isinstance(transfer, Bent | Maximum) else Unproven(transfer)
