"""Forward passes that keep the range of every activation: of intervals, or of intervals and forms."""

from __future__ import annotations

from dataclasses import dataclass

from glocert.forms.backward.ops.kinks import Gained
from glocert.forms.backward.registry import Local
from glocert.forms.backward.reversal import Reversal
from glocert.forms.backward.tape import Tape
from glocert.forms.form import Form
from glocert.forms.ranges import Range, image


@dataclass(frozen=True, slots=True, eq=False)
class Ranged:
    """A forward pass with the range of every activation.

    Attributes:
        ranges: name of an activation -> its range.
        tape: forms, and the lines of kinks on these ranges; None where only intervals were asked for.
        output: range of the scores, flattened.
    """

    ranges: dict[str, Range]
    tape: Tape | None
    output: Range


def intervals(reversal: Reversal, x: Form) -> Ranged:
    """Take ranges alone through the network."""
    program = reversal.program
    found = {program.graph.input: Range.of(program.entered(x))}
    for step in program.steps:
        inputs = [found[name] for name in step.inputs]
        found[step.output] = image(step.transfer, inputs, len(x.slopes))
    return Ranged(found, None, _flat(found[program.graph.output]))


def intersected(reversal: Reversal, x: Form) -> Ranged:
    """Take forms through the network, intersected with intervals at every activation.

    The range of an output is what the operator makes of the ranges of its inputs, and what its form says. A
    kink's line is found on the range of its input, not on that of its form.
    """
    program = reversal.program
    entered = program.entered(x)
    forms, ranges = {program.graph.input: entered}, {program.graph.input: Range.of(entered)}
    locals_: dict[str, Local] = {}
    for step in program.steps:
        node, name = reversal.nodes.get(step.output), step.output
        inputs = [ranges[known] for known in step.inputs]
        if isinstance(node, Gained):
            locals_[name] = node.between(inputs[0])
            forms[name] = _along(forms[step.inputs[0]], locals_[name])
        else:
            forms[name] = step.transfer(*(forms[known] for known in step.inputs))
        ranges[name] = image(step.transfer, inputs, len(x.slopes)).within(Range.of(forms[name]))
    output = program.graph.output
    return Ranged(ranges, Tape(forms, forms[output].flattened(), locals_), _flat(ranges[output]))


def _along(x: Form, local: Local) -> Form:
    """Return the form of ``g x + shift +- charge``: one rounding of each slope, two of the centre."""
    own, (gain,) = x.rounding, local.gains
    lines, error = x.lines() * gain, x.error * gain.abs() + local.charge
    if local.shift is not None:
        lines[0] += local.shift
        error = error + local.shift.abs() * own.charge
    result = Form.of(lines, error)
    size = result.magnitude() + gain.abs() * x.magnitude()
    result.error = (error + size * own.charge) * (own.up * own.up) + own.tiny
    return result


def _flat(x: Range) -> Range:
    return Range(x.low.flatten(1), x.high.flatten(1))
