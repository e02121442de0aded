"""How an operator becomes a transfer of forms: the one table, and what a builder may ask.

A builder looks at one node once, before anything is computed, and prepares its parameters in float64 (exact,
as parameters are float32 or float64). The transfer maps forms in the graph's own per-sample shapes, with
rows as the leading axis. It must keep the invariant of ``Form`` whatever the input is: infinite and NaN
errors stay so, and rounding is part of the error that it returns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.form import Form
from glocert.graph.ir import Graph, Node

Transfer = Callable[..., Form]
"""Maps the forms of the node's *activations*, in the order of its inputs; changes none of them."""


@dataclass(frozen=True, slots=True)
class Site:
    """What a builder knows about its surroundings.

    Attributes:
        graph: the network.
        device: where parameters go.
    """

    graph: Graph
    device: torch.device

    def shape(self, name: str) -> tuple[int, ...]:
        """Per-sample shape of an activation or a parameter."""
        shapes = self.graph.shapes
        return shapes[name] if name in shapes else self.graph.parameters[name].shape

    def is_activation(self, name: str) -> bool:
        """Whether ``name`` varies along the path."""
        return self.graph.is_activation(name)

    def parameter(self, name: str) -> Tensor:
        """Return a parameter in float64 on the device."""
        return torch.tensor(self.graph.parameters[name], dtype=torch.float64, device=self.device)


Builder = Callable[[Node, Site], Transfer]
REGISTRY: dict[str, Builder] = {}


def transfer(*operators: str) -> Callable[[Builder], Builder]:
    """Register the builder of canonical ``operators``."""

    def register(build: Builder) -> Builder:
        REGISTRY.update(dict.fromkeys(operators, build))
        return build

    return register
