"""What a model says about its outputs."""

from __future__ import annotations

import onnx

from glocert.errors import UnsupportedOutput
from glocert.graph.imported import Output, choose_output
from glocert.graph.values import Batch
from glocert.graph.wrapped import SCORES, is_wrapped

SHOWN_OUTPUTS = 8


def chosen_output(graph: onnx.GraphProto, wanted: str | None) -> str:
    """Return the name of the output that the user means; a wrapped network gives the scores inside.

    Raises:
        UnsupportedOutput: there is no such one.
    """
    if not graph.output:
        raise UnsupportedOutput("The model has no output.")
    names = [str(item.name) for item in graph.output]
    if is_wrapped(names, wanted) and any(SCORES in node.output for node in graph.node):
        return SCORES
    return names[choose_output(names, wanted)]


def outputs(graph: onnx.GraphProto, used: str, batch: Batch) -> tuple[Output, ...]:
    """Return every declared output with the per-sample shape that the file claims; nothing relies on it."""
    return tuple(Output(str(item.name), _shape(item, batch), str(item.name) == used) for item in graph.output)


def _shape(entry: onnx.ValueInfoProto, batch: Batch) -> tuple[int | None, ...] | None:
    if not entry.type.tensor_type.HasField("shape"):
        return None
    axes = [
        axis.dim_value if axis.HasField("dim_value") else None for axis in entry.type.tensor_type.shape.dim
    ]
    return tuple(axes[1:] if batch.present else axes)
