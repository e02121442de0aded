"""What flows through an importer: activations, constants, and the batch axis that both formats have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Attribute, Node
from glocert.graph.shapes import Shape

BATCH = -(2**62) - 7
"""Stands for the unknown length of the batch axis among integers; no operation may compute with it."""


class Unsupported(Exception):
    """One node is outside what can be represented.

    Attributes:
        detail: what is wrong, one sentence.
        way_out: what the user can do, one sentence, or empty.
    """

    def __init__(self, detail: str, way_out: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.way_out = way_out


@dataclass(frozen=True, slots=True)
class Activation:
    """A tensor that varies with the input.

    Attributes:
        name: in the graph under construction.
        shape: per sample.
    """

    name: str
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A tensor that is known now.

    Attributes:
        array: as stored in the upload; float16 is widened to float32.
        name: of the tensor in the upload.
        every: whether its first axis, of length one, stands for a batch of any length.
    """

    array: NDArray[Any]
    name: str
    every: bool = False

    @property
    def is_float(self) -> bool:
        """Whether it can be a parameter."""
        return bool(np.issubdtype(self.array.dtype, np.floating))


Value = Activation | Constant


@dataclass(slots=True)
class Batch:
    """What is known about the batch axis.

    Attributes:
        present: whether activations of the upload have a leading batch axis.
        size: the only length with which the upload works, or None for any.
    """

    present: bool = True
    size: int | None = None

    def pin(self, size: int) -> None:
        """Note that the upload works only with batches of ``size``.

        Raises:
            Unsupported: it already needs another length.
        """
        if self.size not in (None, size):
            raise Unsupported(f"it needs batches of {size} where another node needs {self.size}")
        self.size = size


@dataclass(slots=True)
class Emitter:
    """Appends canonical nodes on behalf of one node of the upload.

    Attributes:
        builder: the graph under construction.
        batch: shared by the whole import.
        name: of the node of the upload.
        source: its operator.
        output: name that its output has in the upload.
    """

    builder: GraphBuilder
    batch: Batch
    name: str
    source: str
    output: str
    offset: int = field(init=False)

    def __post_init__(self) -> None:
        self.offset = int(self.batch.present)

    def add(
        self,
        operator: str,
        inputs: Sequence[Value],
        attributes: Mapping[str, Attribute] | None = None,
        *,
        ceil: bool = False,
    ) -> Activation:
        """Append a canonical node.

        Args:
            operator: canonical operator.
            inputs: activations and float constants; these become parameters.
            attributes: canonical attributes, per sample.
            ceil: count pooling windows that end outside.
        """
        names = tuple(
            value.name if isinstance(value, Activation) else self._parameter(value) for value in inputs
        )
        node = Node(self.name, operator, names, self.output, attributes or {}, self.source)
        output = self.builder.add(node, ceil=ceil)
        return Activation(output, self.builder.shapes[output])

    def _parameter(self, value: Constant) -> str:
        if not value.is_float:
            raise Unsupported(f"its operand {value.name!r} is not a float tensor")
        return self.builder.parameter(value.array, value.name)

    def axis(self, axis: int, rank: int) -> int:
        """Turn an axis of the upload's tensor of per-sample ``rank`` into a per-sample axis.

        Raises:
            Unsupported: it is the batch axis or out of range.
        """
        full = rank + self.offset
        positive = axis + full if axis < 0 else axis
        if not 0 <= positive < full:
            raise Unsupported(f"axis {axis} is out of range for a tensor of rank {full}")
        if positive < self.offset:
            raise Unsupported("it acts on the batch axis", "Every sample must be computed on its own.")
        return positive - self.offset

    def aligned(self, value: Constant, rank: int) -> Constant:
        """Drop the batch axis of a constant that is broadcast with an activation of per-sample ``rank``."""
        surplus = value.array.ndim - rank
        if surplus <= 0 or not self.batch.present:
            return value
        if surplus > 1:
            raise Unsupported(f"its operand {value.name!r} has more axes than the activation")
        return self.sample(value)

    def sample(self, value: Constant) -> Constant:
        """Take a constant with a batch axis for every sample alike.

        Raises:
            Unsupported: its rows differ.
        """
        rows = value.array
        if not self.batch.present:
            return value
        if rows.ndim == 0 or len(rows) == 0 or not (rows == rows[:1]).all():
            raise Unsupported(f"its operand {value.name!r} differs from sample to sample")
        if len(rows) > 1:
            self.batch.pin(len(rows))
        return Constant(rows[0], value.name)
