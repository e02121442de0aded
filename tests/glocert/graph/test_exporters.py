"""Both exporters of PyTorch write the same network into an ONNX file, and the importer finds it in both."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from glocert.graph.ir import Graph
from glocert.graph.normal import normal_form
from glocert.graph.run import run
from tests.glocert.graph.exported_modules import MODULES, module, onnx_file
from tests.glocert.graph.importing import imported
from tests.glocert.graph.torch_forms import example

torch.set_num_threads(1)
BOTH_WAYS = ("convolutional", "attention", "group norm", "bilinear")
"""Modules that are exported with a fixed batch as well."""
WRITTEN_OTHERWISE = {"average", "attention"}
"""Modules that the two exporters put into different operators, which no rule of the normal form joins."""


@pytest.mark.parametrize(
    ("name", "dynamic"),
    [*((name, True) for name in MODULES if name != "attention"), *((name, False) for name in BOTH_WAYS)],
)
def test_the_exporter_of_programs(name: str, dynamic: bool) -> None:
    network, shape = module(name)
    rows = example(shape, rows=3 if dynamic else 1)
    by_program, by_trace = (
        imported(onnx.load_from_string(onnx_file(network, rows, dynamic=dynamic, by_programs=by)))
        for by in (True, False)
    )
    assert by_program.opset == 20
    assert by_program.batch.size == (None if dynamic else 1)
    assert [tail.operator for tail in by_program.tails] == [tail.operator for tail in by_trace.tails]
    one, other = (run(normal_form(result.graph), rows) for result in (by_program, by_trace))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert alike(by_program.graph, by_trace.graph) == (name not in WRITTEN_OTHERWISE)


def alike(one: Graph, other: Graph) -> bool:
    """Whether two normal forms are the same nodes with the same parameters, up to last bits.

    An exporter that folds constants rounds as this processor's products do.
    """
    first, second = normal_form(one), normal_form(other)
    if first.nodes != second.nodes or first.parameters.keys() != second.parameters.keys():
        return False
    pairs = [(first.parameters[name], second.parameters[name]) for name in first.parameters]
    return all(a.shape == b.shape and np.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in pairs)
