"""What an importer returns: the graph, and what of the upload is needed to compare the two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from glocert.errors import UnsupportedOutput
from glocert.graph.ir import Graph, Node
from glocert.graph.shapes import Shape
from glocert.graph.values import Batch


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
            raise UnsupportedOutput(f"A classifier needs at least two classes; the output has shape {sizes}.")
        raise UnsupportedOutput(f"The output must be one vector of class scores; it has shape {sizes}.")
    if len(shape) == 1:
        return graph
    output = f"{graph.output}/scores"
    classes = (shape[axis],)
    node = Node(output, "Reshape", (graph.output,), output, {"shape": classes}, "output")
    return Graph(
        graph.input,
        output,
        (*graph.nodes, node),
        graph.parameters,
        {**graph.shapes, output: classes},
        graph.notes,
    )
