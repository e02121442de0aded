from __future__ import annotations

import numpy as np
import pytest

from glocert.errors import UnsupportedOperators
from glocert.segments import certify, prepare, trace
from glocert.segments.ops.registry import REGISTRY
from tests.glocert.segments.networks import Draft, line


def test_every_node_that_cannot_be_followed_is_named_before_anything_is_computed():
    draft = Draft(2)
    x = draft.same("Tanh", draft.gemm("x", np.eye(2)))
    x = draft.same("Softmax", draft.relu(x))
    graph = draft.graph(draft.gemm(x, np.eye(2)))
    with pytest.raises(UnsupportedOperators) as caught:
        certify(graph, line([np.nan, 0.0], [1.0, 1.0]), 0)
    assert [(o.where, o.operator) for o in caught.value.offences] == [
        ("tanh1", "Tanh"),
        ("softmax3", "Softmax"),
    ]


@pytest.mark.parametrize("operator", ["Mul", "Div", "MatMul"])
def test_a_product_of_two_activations_is_not_piecewise_linear(operator):
    draft = Draft(2)
    graph = draft.graph(draft.node(operator, ["x", draft.relu("x")], [2]))
    with pytest.raises(UnsupportedOperators) as caught:
        prepare(graph)
    assert caught.value.offences[0].where == f"{operator.lower()}1"


def test_nodes_that_the_scores_do_not_need_are_left_out():
    draft = Draft(2)
    kept = draft.gemm("x", np.eye(2))
    draft.same("Tanh", kept)
    graph = draft.graph(kept)
    assert len(prepare(graph).steps) == 1
    assert trace(graph, line([0.0, 1.0], [1.0, 0.0])).pieces == 1


def test_the_registry_holds_the_canonical_operators():
    assert set(REGISTRY) == {
        *(
            "Add",
            "Sub",
            "Mul",
            "Div",
            "MatMul",
            "Gemm",
            "Conv",
            "BatchNormalization",
            "Relu",
            "LeakyRelu",
            "Clip",
        ),
        *("MaxPool", "AveragePool", "Reshape", "Transpose", "Concat", "Pad", "Gather", "ReduceSum"),
    }


def test_parameters_keep_their_full_precision():
    third = np.array([[1 / 3]])
    draft = Draft(1)
    graph = draft.graph(draft.gemm("x", third))
    assert trace(graph, line([1.0], [1.0])).scores[0, 0] == 1 / 3
