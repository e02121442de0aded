"""The network of a VNN-LIB property: the graph that is bounded, and the file itself in onnxruntime."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glocert import forms
from glocert.errors import InvalidSpec
from glocert.graph.compare import Original, OriginalFailed, compare
from glocert.graph.gzipped import MAGIC, unpacked
from glocert.graph.imported import Imported
from glocert.graph.ir import Graph
from glocert.graph.limits import Limits
from glocert.graph.onnx import read_onnx
from glocert.graph.onnx_runtime import RUNTIME, original
from glocert.graph.purpose import Purpose, as_used
from glocert.vnnlib.reader import Property

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """An ONNX file, as a graph and as it is.

    Attributes:
        imported: the graph with everything that stands behind the scores.
        program: the graph for the form domain.
        run: the file in onnxruntime.
    """

    imported: Imported
    program: forms.Program
    run: Original

    @classmethod
    def read(cls, data: bytes) -> Network:
        """Read an ONNX file, gzipped or not, and compare the graph with it on a few inputs.

        Raises:
            ModelRejected: one of its subclasses; the file cannot be taken or has operators without bounds.
        """
        data = unpacked(data, Limits()) if data.startswith(MAGIC) else data
        imported = as_used(read_onnx(data), Purpose(role="generator"))
        run = original(data, imported.output)
        compare(imported, run, RUNTIME)
        return cls(imported, forms.prepare(imported.graph), run)

    @property
    def graph(self) -> Graph:
        """What is bounded."""
        return self.imported.graph

    def check(self, question: Property) -> None:
        """Refuse a property for another network.

        Raises:
            InvalidSpec: the numbers of inputs or outputs differ.
        """
        inputs, outputs = math.prod(self.graph.input_shape), math.prod(self.graph.output_shape)
        if (question.inputs, question.outputs) != (inputs, outputs):
            raise InvalidSpec(
                f"the property has {question.inputs} inputs and {question.outputs} outputs, "
                f"the network {inputs} and {outputs}"
            )

    def outputs(self, x: Float32) -> Float32 | None:
        """Return what onnxruntime computes at one input, flattened; None where it fails.

        Args:
            x: float32, flattened.
        """
        batch = self.imported.batch
        rows = (batch.size or 1) if batch.present else 1
        one = x.reshape(self.graph.input_shape).astype(self.imported.dtype)
        try:
            found = self.run(np.repeat(one[None], rows, 0) if batch.present else one)
        except OriginalFailed:
            return None
        return np.array(np.asarray(found, np.float32).reshape(rows, -1)[0])
