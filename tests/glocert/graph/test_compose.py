from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from glocert.graph.compose import composed
from glocert.graph.export import to_onnx
from glocert.graph.ir import Graph
from glocert.graph.run import run
from tests.glocert.segments.networks import Draft, Wild, mlp

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_whole_is_the_second_of_the_first(seed):
    rng = np.random.default_rng(seed)
    first = Wild(rng).build(3)
    second = mlp(rng, first.output_shape[0], 5, 3)
    x = torch.from_numpy(rng.standard_normal((4, *first.input_shape)))
    whole = composed(first, second)
    assert torch.equal(run(whole, x), run(second, run(first, x)))
    assert whole.digest() == Graph.from_bytes(whole.to_bytes()).digest()


def test_names_never_meet():
    rng = np.random.default_rng(0)
    inner = composed(mlp(rng, 2, 3, 2), mlp(rng, 2, 3, 2))
    whole = composed(mlp(rng, 2, 4, 2), inner)
    names = [*whole.shapes, *whole.parameters]
    assert len(names) == len(set(names)) == sum(len(g.parameters) for g in (inner,)) + 4 + len(whole.shapes)
    assert len({node.name for node in whole.nodes}) == len(whole.nodes) == 9


def test_networks_without_nodes_change_nothing():
    rng = np.random.default_rng(1)
    nothing = Graph("x", "x", (), {}, {"x": (3,)})
    network = mlp(rng, 3, 4, 3)
    x = torch.from_numpy(rng.standard_normal((2, 3)))
    assert torch.equal(run(composed(nothing, network), x), run(network, x))
    assert torch.equal(run(composed(network, nothing), x), run(network, x))
    assert torch.equal(run(composed(nothing, nothing), x), x)


def test_the_whole_runs_elsewhere():
    rng = np.random.default_rng(2)
    draft = Draft(4)
    first = draft.graph(draft.reshape(draft.relu("x"), 1, 2, 2))
    draft = Draft(1, 2, 2)
    second = draft.graph(draft.gemm(draft.flat("x"), rng.standard_normal((3, 4)).astype(np.float32)))
    whole = composed(first, second)
    x = rng.standard_normal((1, 4)).astype(np.float32)
    session = onnxruntime.InferenceSession(to_onnx(whole), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x})
    assert y.reshape(-1) == pytest.approx(run(whole, torch.from_numpy(x)).numpy().reshape(-1), abs=1e-6)


def test_shapes_that_do_not_fit_are_refused():
    rng = np.random.default_rng(3)
    with pytest.raises(ValueError, match=r"\(2,\) is no input of \(3,\)"):
        composed(mlp(rng, 2, 2), mlp(rng, 3, 2))
