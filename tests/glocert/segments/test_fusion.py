from __future__ import annotations

import numpy as np
import pytest

from glocert.segments import prepare, trace
from glocert.segments.fusion import fuse
from tests.glocert.segments.invariant import assert_sound
from tests.glocert.segments.networks import Draft, random_segment


@pytest.mark.parametrize("bias_first", [False, True])
@pytest.mark.parametrize("bias_shape", [(4,), (1,)])
def test_a_product_and_a_sum_become_one_step(bias_first, bias_shape):
    rng = np.random.default_rng(0)
    draft = Draft(3)
    product = draft.node("MatMul", ["x", draft.parameter(rng.standard_normal((3, 4)))], [4])
    bias = draft.parameter(rng.standard_normal(bias_shape))
    total = draft.node("Add", [bias, product] if bias_first else [product, bias], [4])
    graph = draft.graph(draft.gemm(draft.relu(total), rng.standard_normal((2, 4))))
    assert [node.operator for node in fuse(graph).nodes] == ["Gemm", "Relu", "Gemm"]
    assert len(prepare(graph).steps) == 3
    assert_sound(graph, random_segment(rng, (3,)))


def test_a_product_that_somebody_else_reads_stays():
    rng = np.random.default_rng(0)
    draft = Draft(3)
    product = draft.node("MatMul", ["x", draft.parameter(rng.standard_normal((3, 4)))], [4])
    total = draft.node("Add", [product, draft.parameter(np.ones(4))], [4])
    graph = draft.graph(draft.node("Concat", [draft.relu(total), product], [8], axis=0))
    assert fuse(graph).nodes == graph.nodes
    assert_sound(graph, random_segment(rng, (3,)))


def test_sums_of_other_kinds_stay():
    rng = np.random.default_rng(0)
    draft = Draft(3)
    left = draft.node("MatMul", ["x", draft.parameter(rng.standard_normal((3, 3)))], [3])
    graph = draft.graph(draft.node("Add", [left, "x"], [3]))
    assert fuse(graph).nodes == graph.nodes
    wider = Draft(3)
    product = wider.node("MatMul", ["x", wider.parameter(rng.standard_normal((3, 4)))], [4])
    graph = wider.graph(wider.node("Add", [product, wider.parameter(np.ones((2, 1)))], [2, 4]))
    assert fuse(graph).nodes == graph.nodes
    assert trace(graph, random_segment(rng, (3,))).pieces == 1
