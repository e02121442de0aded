"""The ONNX importer: against onnxruntime on random networks, and refusal by refusal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from onnx import TensorProto, helper, numpy_helper

from glocert.errors import (
    InvalidGraph,
    ModelTooLarge,
    NonFiniteWeights,
    UnreadableModel,
    UnsupportedInput,
    UnsupportedOperators,
    UnsupportedOutput,
)
from glocert.graph.compare import compare, inputs
from glocert.graph.export import to_onnx
from glocert.graph.imported import Imported, as_classifier
from glocert.graph.ir import Graph
from glocert.graph.limits import Limits
from glocert.graph.onnx import read_onnx
from glocert.graph.onnx_runtime import original
from glocert.graph.run import run
from tests.glocert.graph.random_networks import networks

torch.set_num_threads(1)


@settings(max_examples=150)
@given(networks())
def test_import_export_and_import_again_compute_what_onnxruntime_computes(model: onnx.ModelProto) -> None:
    data = model.SerializeToString()
    imported = read_onnx(data)
    compare(imported, original(data, imported.output), "onnxruntime")
    graph = as_classifier(imported.graph)
    written = to_onnx(graph)
    again = read_onnx(written)
    compare(again, original(written, again.output), "onnxruntime")
    x = torch.from_numpy(inputs(graph.input_shape, 8, "float64"))
    torch.testing.assert_close(run(again.graph, x), run(graph, x))
    assert Graph.from_bytes(graph.to_bytes()).digest() == graph.digest()
