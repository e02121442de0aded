"""How an operator becomes a transfer of forms: the one table, and what a builder may ask.

A builder looks at one node once, before anything is computed, and prepares its parameters in the program's
number type. The transfer maps forms in the graph's own per-sample shapes, with rows as the leading axis. It
must keep the invariant of ``Form`` whatever the input is: infinite and NaN errors stay so, and rounding is
part of the error that it returns: that of the program, and where the answer is about the executed network
that of every float32 execution of the node.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.form import Form, rounding_of
from glocert.forms.loops import affine as loops
from glocert.forms.loops.views import array, flat
from glocert.graph.execution import (
    FACTOR_FLOOR,
    LARGEST,
    REAL,
    WEIGHT_FLOOR,
    Execution,
    level_lost,
    lost,
    size_of,
)
from glocert.graph.ir import Graph, Node
from glocert.rounding import SINGLE, Rounding

Transfer = Callable[..., Form]
"""Maps the forms of the node's *activations*, in the order of its inputs; changes none of them."""


@dataclass(frozen=True, slots=True)
class Charges:
    """What the roundings of one node cost.

    Attributes:
        own: what the program's arithmetic loses.
        executed: share of all absolute terms that executing the node may cost, about the *executed*
            activations; 0 where the answer is about real arithmetic.
        tiny: what may be lost by underflow, in the program and in execution.
    """

    own: Rounding
    executed: float
    tiny: float

    def spread(self, x: Form, own: float) -> Tensor:
        """Return ``error + own (|c| + sum |s|)``, and ``executed`` of the largest executed activation.

        Args:
            x: what the node reads.
            own: share that the program's roundings cost.
        """
        lines = x.lines()
        seen = flat(lines, x.error)
        if seen is not None:
            out = torch.empty_strided(x.error.shape, x.error.stride(), dtype=x.error.dtype)
            loops.spread(*seen, x.lift(), own + self.executed, self.executed, self.before, array(out))
            return out
        total = torch.add(x.error, x.magnitude(), alpha=own + self.executed)
        if self.own is SINGLE:
            total.add_(self.tiny)  # the product may underflow, and weights are not small
        return total.add_(x.error, alpha=self.executed) if self.executed else total

    @property
    def before(self) -> float:
        """What may underflow before a product: weights are not small, so it counts in float32 only."""
        return self.tiny if self.own is SINGLE else 0.0

    @property
    def limit(self) -> float:
        """Errors above it say nothing: an execution may overflow."""
        return LARGEST if self.executed else math.inf

    def closed(self, error: Tensor) -> Tensor:
        """Add in place what underflows; forget what may overflow when executed."""
        error.add_(self.tiny)
        return error.masked_fill_(error > LARGEST, torch.inf) if self.executed else error


@dataclass(frozen=True, slots=True)
class Site:
    """What a builder knows about its surroundings.

    Attributes:
        graph: the network.
        device: where parameters go.
        dtype: number type of the program, float64 or float32.
        execution: roundings of the deployed network that count.
    """

    graph: Graph
    device: torch.device
    dtype: torch.dtype = torch.float64
    execution: Execution = REAL

    @property
    def rounding(self) -> Rounding:
        """What the program's arithmetic loses."""
        return rounding_of(self.dtype)

    @property
    def rounds(self) -> bool:
        """Whether parameters are rounded to float32, by the program or when the network is executed."""
        return self.dtype == torch.float32 or self.execution.charged

    def charges(self, node: Node) -> Charges:
        """Return what the roundings of a node cost."""
        tiny = max(self.rounding.tiny, self.execution.tiny)
        return Charges(self.rounding, self.execution.relative(node), tiny)

    def shape(self, name: str) -> tuple[int, ...]:
        """Per-sample shape of an activation or a parameter."""
        shapes = self.graph.shapes
        return shapes[name] if name in shapes else self.graph.parameters[name].shape

    def is_activation(self, name: str) -> bool:
        """Whether ``name`` varies along the path."""
        return self.graph.is_activation(name)

    def parameter(self, name: str) -> Tensor:
        """Return a parameter on the device, rounded to the program's type: one rounding of each number."""
        return self.exact(name).to(self.dtype)

    def exact(self, name: str) -> Tensor:
        """Return a parameter in float64 on the device: parameters are float32 or float64."""
        return torch.tensor(self.graph.parameters[name], dtype=torch.float64, device=self.device)

    def size(self, values: Tensor, floor: float = WEIGHT_FLOOR) -> Tensor:
        """Return what charges are relative to for a parameter: its absolute values in the program's type."""
        return size_of(values, floor).to(self.dtype) if self.rounds else values.abs()

    def factor(self, values: Tensor) -> Tensor:
        """Return ``size`` of numbers that may be folded into weights."""
        return self.size(values, FACTOR_FLOOR)

    def lost(self, values: Tensor) -> Tensor:
        """Return what is lost where numbers are rounded to float32, in the program's type; else zeros."""
        return (lost(values) if self.rounds else torch.zeros_like(values)).to(self.dtype)

    def level(self, value: float) -> tuple[float, float]:
        """Return a number of the program's type, and by how much executing or computing with it is off."""
        if not self.rounds:
            return value, 0.0
        return float(torch.tensor(value, dtype=torch.float64).to(self.dtype)), level_lost(value)

    def doubled(self, transfer: Transfer) -> Transfer:
        """Return a transfer that is written for float64, for the program's type."""
        if self.dtype == torch.float64:
            return transfer
        return lambda *inputs: transfer(*(x.to(torch.float64) for x in inputs)).to(self.dtype)


Builder = Callable[[Node, Site], Transfer]
REGISTRY: dict[str, Builder] = {}


def transfer(*operators: str, double: bool = False) -> Callable[[Builder], Builder]:
    """Register the builder of canonical ``operators``; ``double``: its transfer works in float64 only."""

    def register(build: Builder) -> Builder:
        def doubled(node: Node, site: Site) -> Transfer:
            return site.doubled(build(node, site))

        REGISTRY.update(dict.fromkeys(operators, doubled if double else build))
        return build

    return register
