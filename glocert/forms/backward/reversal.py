"""A program that can be gone through backwards.

The invariant of the sweep for functionals ``C y`` of the scores y, on each row and for each functional::

    | <C, y(u)> - ( sum_v <a_v, x_v(u)> + centre + sum_j slope_j u_j ) |  <=  error

where v are the activations reached but not yet substituted, x_v their exact values and a_v computed adjoints:
whatever rounding does to an adjoint is charged when it is made, and from then on the computed number is the
one that is meant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.backward import ops
from glocert.forms.backward.ops.kinks import Gained
from glocert.forms.backward.registry import REGISTRY, Reverse
from glocert.forms.backward.sweep import Sweep
from glocert.forms.backward.tape import Tape
from glocert.forms.form import Form
from glocert.forms.ops.registry import Site
from glocert.forms.program import Program

assert ops.__all__, "importing the package fills the registry"


_STRAIGHT = 2.0**11
"""units of rounding, relative to the largest number, that a line in u may be off by"""


@dataclass(frozen=True, slots=True, eq=False)
class Reversal:
    """A program and how each of its nodes is substituted.

    Attributes:
        program: the program.
        nodes: output of a step -> its reverse; operators without one are substituted by their forward form.
        front: activations in front of the first kink, the last one first.
    """

    program: Program
    nodes: dict[str, Reverse]
    front: tuple[str, ...] = ()

    def rows(self, memory: int, slopes: int = 1) -> int:
        """Return how many rows fit into so many bytes when all their activations are kept, at least one."""
        numbers = sum(math.prod(shape) for shape in self.program.graph.shapes.values())
        return max(1, memory // (self.program.dtype.itemsize * (2 + slopes) * 2 * numbers))

    def record(self, x: Form) -> Tape:
        """Take forms of the input through the network and keep all activations."""
        forms = {self.program.graph.input: self.program.entered(x)}
        for step in self.program.steps:
            forms[step.output] = step.transfer(*(forms[name] for name in step.inputs))
        return Tape(forms, forms[self.program.graph.output].flattened())

    def functionals(self, tape: Tape, weights: Tensor, place: Tensor | None = None) -> Form:
        """Bound linear functionals of the scores on every row.

        Args:
            tape: of the rows.
            weights: C, shape (rows, functionals, classes), numbers that the program's type has.
            place: the row of the tape that each row of weights is about, int64; None: as they come.

        Returns:
            A form in float64 of shape (rows, functionals); its error is infinite where anything is not known.

        Raises:
            ValueError: a weight would be rounded.
        """
        exact, weights = weights, weights.to(self.program.dtype)
        if not torch.equal(weights.double(), exact.double()):
            raise ValueError("the program's number type does not have these weights")
        sweep, live = self.swept(tape, weights, self.program.graph.output, place)
        for name, adjoint in live.items():
            sweep.substitute(adjoint, tape.form(name))
        return sweep.result(tape.scores)

    def swept(
        self, tape: Tape, weights: Tensor, start: str, place: Tensor | None = None
    ) -> tuple[Sweep, dict[str, Tensor]]:
        """Go back from an activation as far as nodes can be substituted.

        Args:
            tape: of the rows; it may end with ``start``.
            weights: C, shape (rows, functionals, numbers of ``start``), in the program's type.
            start: name of the activation.
            place: as in ``functionals``.

        Returns:
            What was collected, and the adjoints of the activations that are left: the network's input alone,
            where every node in between could be substituted or was replaced by its form.
        """
        each = place is None
        place = torch.arange(len(weights), device=weights.device) if place is None else place
        sweep = Sweep.of(weights, len(tape.forms[start].lines()) - 1, place)
        line = self._line(tape, start)
        live = {start: weights.reshape(*weights.shape[:2], *self.program.graph.shapes[start])}
        for step in reversed(self.program.steps):
            adjoint, node = live.pop(step.output, None), self.nodes.get(step.output)
            if adjoint is None:
                continue
            if node is None or step.output == line:
                sweep.substitute(adjoint, tape.form(step.output))
                continue
            local = tape.local(step.output, node, step.inputs)
            sweep.through(adjoint, local)
            parts = node.back(adjoint, local.gains) if each else _back_at(node, adjoint, local.gains, place)
            for name, part in zip(step.inputs, parts, strict=True):
                live[name] = sweep.joined(live[name], part, tape.peak(name)) if name in live else part
        return sweep, live

    def _line(self, tape: Tape, start: str) -> str:
        """Return how far back it is worth going: to an activation that hardly differs from a line in u.

        Its form then says what the nodes in front of it do, at their rounding.
        """
        for name in self.front:
            form = tape.forms.get(name)
            if name != start and form is not None and _straight(form):
                return name
        return self.program.graph.input


def _back_at(node: Reverse, adjoint: Tensor, gains: tuple[Tensor, ...], place: Tensor) -> Sequence[Tensor]:
    at_rows = getattr(node, "back_at", None)
    if at_rows is not None:
        found: Sequence[Tensor] = at_rows(adjoint, gains, place)
        return found
    return node.back(adjoint, tuple(gain[place] for gain in gains))


def _straight(x: Form) -> bool:
    own = x.rounding
    return bool(x.error.amax() <= own.unit * _STRAIGHT * x.centre.abs().amax())


def _front(program: Program, built: dict[str, Reverse]) -> tuple[str, ...]:
    """Return the activations that are made of the input alone in a row of nodes, the last one first.

    The row ends at the first kink but for a clamp, which often does nothing.
    """
    names, last = [], program.graph.input
    for step in program.steps:
        node = built.get(step.output)
        ends = node is None or (isinstance(node, Gained) and not node.bent.clamps)
        if step.inputs != (last,) or ends:
            break
        names.append(step.output)
        last = step.output
    return tuple(reversed(names))


def prepare(program: Program) -> Reversal:
    """Make a program reversible."""
    site = Site(program.graph, program.device, program.dtype, program.execution)
    made = {node.output: node for node in program.graph.nodes}
    built = {
        step.output: REGISTRY[made[step.output].operator](made[step.output], site)
        for step in program.steps
        if made[step.output].operator in REGISTRY
    }
    nodes = {name: node for name, node in built.items() if node is not None}
    return Reversal(program, nodes, _front(program, nodes))
