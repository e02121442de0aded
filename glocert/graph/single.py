"""Files whose batch is one sample: their batch axis may move, and what would mix samples mixes nothing.

An activation is known either per sample, as everywhere else, or as a whole, with every axis of the upload's
tensor. The two differ by a reshape that adds or drops a leading axis of length one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Node
from glocert.graph.values import Activation, Batch, Unsupported, Value

Inputs = tuple[Value | None, ...]
Compute = Callable[[Inputs, Batch], Value | Sequence[Value]]

NOTE = "The file computes one sample at a time; its layers were read for a batch of one."


@dataclass(slots=True)
class Single:
    """Which activations are known as a whole.

    Attributes:
        builder: the graph under construction.
        batch: of length one.
        wholes: names of activations that are known as a whole.
    """

    builder: GraphBuilder
    batch: Batch
    wholes: set[str] = field(default_factory=set)
    _twins: dict[str, Activation] = field(default_factory=dict)

    def apply(self, inputs: Inputs, compute: Compute) -> Value | Sequence[Value]:
        """Read one node: per sample where that is possible, else with whole tensors.

        Args:
            inputs: of the node.
            compute: translates it, given its inputs and what is known about their batch axis.

        Raises:
            Unsupported: neither is possible.
        """
        varying = [value for value in inputs if isinstance(value, Activation)]
        if not any(value.name in self.wholes for value in varying):
            try:
                return compute(inputs, self.batch)
            except Unsupported:
                if not varying:
                    raise
        result = compute(tuple(self._whole(value) for value in inputs), Batch(present=False))
        if isinstance(result, Sequence):
            return [self._known(value) for value in result]
        return self._known(result)

    def _whole(self, value: Value | None) -> Value | None:
        """Return an activation with every axis."""
        if not isinstance(value, Activation) or value.name in self.wholes:
            return value
        if value.name not in self._twins:
            whole = self._reshaped(value, (1, *value.shape), "whole")
            self.wholes.add(whole.name)
            self._twins |= {value.name: whole, whole.name: value}
        return self._twins[value.name]

    def _known(self, value: Value) -> Value:
        """Return what a node made of whole tensors, per sample again where its first axis has length one."""
        if not isinstance(value, Activation):
            return value
        self.wholes.add(value.name)
        if value.shape[:1] != (1,):
            return value
        if value.name not in self._twins:
            sample = self._reshaped(value, value.shape[1:], "sample")
            self._twins |= {value.name: sample, sample.name: value}
        return self._twins[value.name]

    def _reshaped(self, value: Activation, shape: tuple[int, ...], suffix: str) -> Activation:
        name = f"{value.name}/{suffix}"
        output = self.builder.add(Node(name, "Reshape", (value.name,), name, {"shape": shape}, "batch"))
        return Activation(output, self.builder.shapes[output])
