"""What an importer returns: the graph, and what of the upload is needed to compare the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from glocert.errors import Offence, UnsupportedOutput
from glocert.graph.append import reshaped
from glocert.graph.ir import Graph
from glocert.graph.shapes import Shape
from glocert.graph.values import Batch

_SHOWN = 20
_ONE = "Give `threshold` for a decision between two classes, or upload it with role=regressor."
_MANY = "Choose another `output`, or upload it with the role that it has: regressor, generator or encoder."


@dataclass(frozen=True, slots=True)
class Tail:
    """A function at the end of the upload that keeps the order of the scores, and that the graph leaves out.

    Attributes:
        operator: one of ``OPERATORS``.
    """

    operator: str
    OPERATORS: ClassVar[frozenset[str]] = frozenset({"Softmax", "LogSoftmax", "Sigmoid"})

    def note(self) -> str:
        """Return the sentence for the user."""
        return f"The trailing {self.operator} was removed: scores and margins are those before it."

    def apply(self, scores: Tensor) -> Tensor:
        """Compute it on scores of shape (N, classes)."""
        if self.operator == "Sigmoid":
            return torch.sigmoid(scores)
        return torch.softmax(scores, 1) if self.operator == "Softmax" else torch.log_softmax(scores, 1)


@dataclass(frozen=True, slots=True)
class Output:
    """An output that the upload offers.

    Attributes:
        name: what ``output`` may say; a position is understood as well.
        shape: per-sample shape as the upload declares it, None where it does not; None for an open length.
        used: whether it is the one that was imported.
    """

    name: str
    shape: tuple[int | None, ...] | None = None
    used: bool = False


def choose_output(names: Sequence[str], wanted: str | None) -> int:
    """Return the position of the output that the user means; the first by default.

    Args:
        names: what the upload calls its outputs, in its order; at least one.
        wanted: a name, else a position counted from 0.

    Raises:
        UnsupportedOutput: there is none of that name or at that position; the choices are named.
    """
    if wanted is None:
        return 0
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and len(wanted) < 10 and int(wanted) < len(names):
        return int(wanted)
    choices = ", ".join(repr(name) for name in names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    way_out = f"Name one of {choices}, or its position from 0 to {len(names) - 1}."
    detail = f"there is no output {wanted!r}"
    raise UnsupportedOutput(f"T{detail[1:]}. {way_out}", [Offence("output", detail, way_out=way_out)])


def only_output(names: Sequence[str], wanted: str | None) -> int:
    """Return the position of the output that the user means; without a word there must be one only.

    Raises:
        UnsupportedOutput: there are several and none was named, or there is none of that name.
    """
    if wanted is None and len(names) > 1:
        shown = ", ".join(repr(name) for name in names[:_SHOWN])
        way_out = f"Choose one by `output`: {shown}."
        detail = f"the model returns {len(names)} tensors"
        raise UnsupportedOutput(
            f"The model must return one tensor; it returns {len(names)}. {way_out}",
            [Offence("output", detail, way_out=way_out)],
        )
    return choose_output(names, wanted)


@dataclass(frozen=True, slots=True, eq=False)
class Imported:
    """An imported network.

    Attributes:
        graph: the inert graph.
        format: ``onnx`` or ``torchscript``.
        opset: version of the ONNX operators, None for TorchScript.
        producer: who wrote the file, as it says itself.
        operators: operators of the upload that the output needs, with their counts.
        tails: functions that were cut off, in the order from the output backwards.
        batch: what the upload demands of its batch axis.
        dtype: ``float32`` or ``float64``, in which the upload computes.
        output: name of its output.
        scores: name, in the upload, of what the graph returns, which the cut-off functions take.
        outputs: every output of the upload; empty where there is only the one that is used.
        parameters: numbers that the upload stores as weights, None where that is not told.
    """

    graph: Graph
    format: str
    opset: int | None
    producer: str
    operators: Mapping[str, int]
    tails: tuple[Tail, ...]
    batch: Batch
    dtype: str
    output: str
    scores: str = ""
    outputs: tuple[Output, ...] = ()
    parameters: int | None = None


def class_axis(shape: Shape) -> int | None:
    """Return the only axis longer than one, or None where there is not exactly one."""
    longer = [axis for axis, size in enumerate(shape) if size > 1]
    return longer[0] if len(longer) == 1 else None


def as_classifier(graph: Graph) -> Graph:
    """Return ``graph`` with an output of shape (classes,).

    Raises:
        UnsupportedOutput: the output is not one vector of at least two scores.
    """
    shape = graph.output_shape
    axis = class_axis(shape)
    if axis is None:
        sizes = ["batch", *shape]
        if all(size == 1 for size in shape):
            raise _refused(
                graph, f"A classifier needs at least two classes; the output has shape {sizes}.", _ONE
            )
        raise _refused(graph, f"The output must be one vector of class scores; it has shape {sizes}.", _MANY)
    return reshaped(graph, (shape[axis],), "scores")


def _refused(graph: Graph, detail: str, way_out: str) -> UnsupportedOutput:
    return UnsupportedOutput(f"{detail} {way_out}", [Offence(graph.output, detail, way_out=way_out)])
