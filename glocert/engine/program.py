"""A graph made ready for the domains that can take it, once for all inputs."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from glocert import forms as bounding
from glocert import segments
from glocert.engine.allocation import keep_memory
from glocert.engine.cost import Cost
from glocert.forms import backward
from glocert.forms.backward import Reversal
from glocert.graph.families import Family, family
from glocert.graph.ir import Graph
from glocert.spec import Arithmetic

_FEW = 2
"""questions from which nothing is concluded"""


@dataclass(slots=True, eq=False)
class Program:
    """A graph for both domains, each made when it is first needed; share it among all inputs of a network.

    Attributes:
        graph: the network.
        device: torch device on which paths are followed.
        arithmetic: whose scores every answer is about.
        tried: questions that were first bounded in float32.
        lost: those of them about which float32 could say nothing: its rounding exceeded the margins.
        exact: whether the curve domain follows the network, so that every segment has an exact answer: not
            where the answer is about executions.
    """

    graph: Graph
    device: str
    arithmetic: Arithmetic
    exact: bool
    tried: int = 0
    lost: int = 0
    _cost: Cost | None = field(default=None, repr=False)
    _forms: bounding.Program | None = field(default=None, repr=False)
    _double: Reversal | None = field(default=None, repr=False)
    _single: Reversal | None = field(default=None, repr=False)
    _curve: segments.Program | None = field(default=None, repr=False)
    _parameters: dict[str, Tensor] | None = field(default=None, repr=False)

    @property
    def single_pays(self) -> bool:
        """Whether float32 bounds are worth a try; only speed depends on it."""
        return self.lost < _FEW or 2 * self.lost <= self.tried

    @property
    def cost(self) -> Cost:
        """What the network costs."""
        if self._cost is None:
            self._cost = Cost.of(self.graph, self.curve.events if self.exact else None)
        return self._cost

    @property
    def forms(self) -> bounding.Program:
        """The graph for the form domain."""
        if self._forms is None:
            self._forms = bounding.prepare(self.graph, self.device, arithmetic=self.arithmetic)
        return self._forms

    @property
    def double(self) -> Reversal:
        """The same, forwards and backwards."""
        if self._double is None:
            self._double = backward.prepare(self.forms)
        return self._double

    @property
    def single(self) -> Reversal:
        """The same in float32: faster, and its own rounding is in its errors too."""
        if self._single is None:
            program = bounding.prepare(self.graph, self.device, torch.float32, self.arithmetic)
            self._single = backward.prepare(program)
        return self._single

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The graph's parameters in float32, for looks that prove nothing."""
        if self._parameters is None:
            self._parameters = {
                name: torch.tensor(values, dtype=torch.float32, device=self.device)
                for name, values in self.graph.parameters.items()
            }
        return self._parameters

    @property
    def curve(self) -> segments.Program:
        """The graph for the curve domain; only where ``exact``."""
        if self._curve is None:
            self._curve = segments.prepare(self.graph, self.device, self.arithmetic)
        return self._curve


def prepare(graph: Graph, device: str = "cpu", arithmetic: Arithmetic = Arithmetic.REAL) -> Program:
    """Make a program of a graph; the first one makes the process keep freed memory, see ``allocation``.

    Args:
        graph: the network.
        device: torch device on which paths will be followed.
        arithmetic: whose scores answers are about: those of real arithmetic, or also those of every float32
            execution.

    Raises:
        UnsupportedOperators: names every node that no domain can take, or whose float32 execution is not
            specified.
    """
    keep_memory()
    # Executions have no exact answer, and bounds that went backwards err far less than a radius.
    exact = family(graph) is Family.EXACT and arithmetic is Arithmetic.REAL
    program = Program(graph, device, arithmetic, exact)
    _ = program.curve if program.exact else program.forms
    return program
