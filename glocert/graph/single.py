"""Files that are read for a batch of one: their batch axis may move, and what mixes samples mixes nothing.

An activation is known either per sample, as everywhere else, or as a whole, with every axis of the upload's
tensor. The two differ by a reshape that adds or drops a leading axis of length one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Node
from glocert.graph.values import Activation, Batch, Unsupported, Value

Inputs = tuple[Any, ...]
"""Of one node: values, and lists of them, among whatever else its format hands to an operator."""
Compute = Callable[[Inputs, Batch], Any]

NOTE = "The layers were read for a batch of one: what is certified is the file, run on one sample at a time."


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

    def apply(self, inputs: Inputs, compute: Compute, *, mixes: bool = False) -> Any:
        """Read one node: per sample where that is possible, else with whole tensors.

        Args:
            inputs: of the node.
            compute: translates it, given its inputs and what is known about their batch axis.
            mixes: whether it is refused to compute along the batch axis, such as a mean over all samples:
                with one sample the node would do nothing, which nobody meant.

        Raises:
            Unsupported: neither is possible.
        """
        varying = _activations(inputs)
        if not any(value.name in self.wholes for value in varying):
            try:
                return compute(inputs, self.batch)
            except Unsupported:
                if mixes or not varying:
                    raise
        return self._known(compute(tuple(self._whole(value) for value in inputs), Batch(present=False)))

    def offset(self, value: Activation) -> int:
        """Return how many axes of the upload's tensor the shape of an activation leaves out."""
        return 0 if value.name in self.wholes else 1

    def is_sample(self, value: Value) -> bool:
        """Whether the upload's tensor is one sample: a batch of one, or a vector without a batch axis."""
        return not isinstance(value, Activation) or value.name not in self.wholes or len(value.shape) == 1

    def _whole(self, value: Any) -> Any:
        """Return an activation with every axis."""
        if isinstance(value, list | tuple):
            return type(value)(self._whole(entry) for entry in value)
        if not isinstance(value, Activation) or value.name in self.wholes:
            return value
        if value.name not in self._twins:
            whole = self._reshaped(value, (1, *value.shape), "whole")
            self.wholes.add(whole.name)
            self._twins |= {value.name: whole, whole.name: value}
        return self._twins[value.name]

    def _known(self, value: Any) -> Any:
        """Return what a node made of whole tensors, per sample again where its first axis has length one."""
        if isinstance(value, list | tuple):
            return type(value)(self._known(entry) for entry in value)
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


def _activations(values: Any) -> list[Activation]:
    """Return the activations among values and in lists of them."""
    if isinstance(values, list | tuple):
        return [found for value in values for found in _activations(value)]
    return [values] if isinstance(values, Activation) else []
