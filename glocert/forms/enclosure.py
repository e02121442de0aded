"""What a network can make of a ball of inputs: ranges of activations, and lower bounds of functionals.

Going forward, every activation gets a range: what its node makes of the ranges of its inputs, intersected
with whatever else is known. What a function with kinks reads is bounded once more, number by number, by
substituting backwards down to the input, where the ball is met by the dual norm of the adjoint. The lines
of each kink hold on these ranges, so all of what is found holds on the whole ball, and on every smaller one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.backward import Reversal, Tape
from glocert.forms.ball import Ball
from glocert.forms.ops.kinks import Bent
from glocert.forms.ranges import Range, image
from glocert.graph.families import is_nonlinear
from glocert.rounding import TINY, UNIT, UP, dot

Ranges = Mapping[str, Range]
_WORK = 2**28
"""numbers that the adjoints of one activation's functionals may hold per row, at all nodes together"""
_BLOCK_BYTES = 2**26


@dataclass(frozen=True, slots=True, eq=False)
class Lower:
    """Lower bounds of functionals on a ball.

    Attributes:
        value: float64, shape (rows, functionals): at the centre, all errors taken off.
        steep: how fast they can fall with the radius, for all radii up to that of the ball.
        fall: how far they can fall on the ball.
    """

    value: Tensor
    steep: Tensor
    fall: Tensor

    def reached(self, radius: Tensor) -> Tensor:
        """Return up to which radius all functionals are positive, shape (rows,), rounded down.

        Args:
            radius: of the ball, shape (rows,).
        """
        whole = self.value > self.fall * UP
        part = (self.value / self.steep.clamp_min(TINY) * (1 - 8 * UNIT) - TINY).clamp_min(0.0)
        each = torch.where(whole, torch.inf, torch.where(self.value > 0, part, 0.0))
        shortest = torch.where(torch.isnan(each), 0.0, each).amin(dim=1)
        return torch.minimum(shortest, radius)


def enclosed(reversal: Reversal, ball: Ball, known: Ranges | None = None, stop: float = math.inf) -> Tape:
    """Return the ranges of all activations on a ball, as forms without parameters.

    Args:
        reversal: of the network, in float64.
        ball: of its inputs.
        known: what else is known about activations, by their name.
        stop: value of the monotonic clock after which no backward pass begins.
    """
    program, others = reversal.program, known or {}
    entered = program.entered(ball.form())
    ranges, tape = {program.graph.input: Range.of(entered)}, Tape({program.graph.input: entered}, entered)
    bent = _bent(reversal)
    for step in program.steps:
        found = image(step.transfer, [ranges[name] for name in step.inputs], 0)
        if step.output in others:
            found = found.within(others[step.output])
        tape.forms[step.output] = found.form(0)
        if step.output in bent:
            found = _sharpened(reversal, tape, ball, (step.output, bent[step.output]), found, stop)
            tape.forms[step.output] = found.form(0)
        ranges[step.output] = found
    return Tape(tape.forms, tape.forms[program.graph.output].flattened(), tape.locals)


def lowest(reversal: Reversal, tape: Tape, ball: Ball, weights: Tensor) -> Lower:
    """Bound linear functionals of the scores from below.

    Args:
        reversal: of the network, in float64.
        tape: what ``enclosed`` made of the ball.
        ball: of its inputs.
        weights: shape (rows, functionals, classes).
    """
    found = _functionals(reversal, tape, ball, weights, reversal.program.graph.output)
    return found.lower(ball, 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Functionals:
    """``| f(z) - (middle + <inputs, z - centre>) | <= error`` for every input z of a ball.

    Attributes:
        middle: shape (rows, functionals).
        error: same shape; NaN or infinite where nothing is known.
        inputs: adjoints of the input.
    """

    middle: Tensor
    error: Tensor
    inputs: Tensor

    def lower(self, ball: Ball, sign: int) -> Lower:
        """Return lower bounds of ``sign`` times the functionals: three roundings of sums of these sizes."""
        value = sign * self.middle - (self.error + self.middle.abs() * (4 * UNIT)) * UP
        steep, fall = ball.falls(self.inputs if sign > 0 else -self.inputs)
        return Lower(torch.where(torch.isfinite(value), value, -torch.inf), steep, fall)


def _functionals(reversal: Reversal, tape: Tape, ball: Ball, weights: Tensor, name: str) -> _Functionals:
    """Substitute functionals of an activation down to the input.

    The executed input may be off by ``entry`` of itself; the product with the centre is rounded.
    """
    program = reversal.program
    sweep, live = reversal.swept(tape, weights, name)
    inputs = live.pop(program.graph.input, None)
    for left, adjoint in live.items():
        sweep.substitute(adjoint, tape.forms[left])
    if inputs is None:
        inputs = weights.new_zeros(*weights.shape[:2], *program.graph.input_shape)
    flat, centre = inputs.flatten(2), ball.centre.flatten(1)
    peak, count = tape.forms[program.graph.input].peak().flatten(1), flat.shape[2]
    charge = peak * ((dot(count) + program.execution.entry) * UP) + program.execution.tiny + TINY
    found = sweep.result(tape.forms[name].flattened())
    error = (found.error + _times(flat.abs(), charge * UP) * (1 + 2 * dot(count))) * UP + TINY
    return _Functionals(found.centre + _times(flat, centre), error, inputs)


def _times(weights: Tensor, vector: Tensor) -> Tensor:
    return torch.bmm(weights, vector.unsqueeze(2)).squeeze(2)


def _bent(reversal: Reversal) -> dict[str, Bent | None]:
    """Return the activations that bend, each with its function where that is one of one number with kinks."""
    graph = reversal.program.graph
    transfers = {step.output: step.transfer for step in reversal.program.steps}
    found: dict[str, Bent | None] = {}
    for node in graph.nodes:
        if node.output in reversal.nodes and is_nonlinear(graph, node):
            transfer = transfers[node.output]
            found[node.inputs[0]] = transfer if isinstance(transfer, Bent) else None
    return {name: found[name] for name in found if name != graph.input}


def _sharpened(
    reversal: Reversal, tape: Tape, ball: Ball, what: tuple[str, Bent | None], found: Range, stop: float
) -> Range:
    """Intersect a range with what backward passes say of those of its numbers that can bend."""
    name, bent = what
    low, high = found.low.flatten(1), found.high.flatten(1)
    open_ = ~(low == high) if bent is None else _undecided(bent, low, high)
    chosen = open_.any(dim=0).nonzero().flatten()
    numbers = _numbers(reversal, name)
    if not len(chosen) or len(chosen) * numbers > _WORK:
        return found
    size = max(1, _BLOCK_BYTES // (8 * len(low) * max(numbers, 1)))
    low, high = low.clone(), high.clone()
    for part in torch.split(chosen, size):
        if time.monotonic() > stop:
            break
        weights = low.new_zeros(1, len(part), low.shape[1])
        weights[0, torch.arange(len(part)), part] = 1.0
        weights = weights.expand(len(low), -1, -1)
        line = _functionals(reversal, tape, ball, weights, name)
        below, above = line.lower(ball, 1), line.lower(ball, -1)
        low[:, part] = torch.fmax(low[:, part], below.value - below.fall * UP)
        high[:, part] = torch.fmin(high[:, part], above.fall * UP - above.value)
    shape = found.low.shape
    return Range(low.reshape(shape), high.reshape(shape))


def _undecided(bent: Bent, low: Tensor, high: Tensor) -> Tensor:
    """Return which ranges have a kink inside, or are not known."""
    inside = torch.isnan(low) | torch.isnan(high)
    for level in bent.levels:
        inside = inside | ((low < level) & (high > level))
    return inside


def _numbers(reversal: Reversal, name: str) -> int:
    """Return how many numbers the activations in front of one hold, itself included."""
    shapes, total = reversal.program.graph.shapes, math.prod(reversal.program.graph.input_shape)
    for step in reversal.program.steps:
        total += math.prod(shapes[step.output])
        if step.output == name:
            break
    return total
