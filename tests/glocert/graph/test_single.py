"""Files for a batch of one whose batch axis moves."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from glocert.errors import UnsupportedOperators
from glocert.graph.imported import as_classifier
from glocert.graph.single import NOTE
from tests.glocert.graph.agreement import agree, normal, operators
from tests.glocert.graph.importing import imported, refusal
from tests.glocert.graph.onnx_models import model, node, weights

torch.set_num_threads(1)

TURN = node("Transpose", ["x"], "t", perm=[1, 0, 2])
TENSORS = {
    "W": weights(4, 5),
    "V": weights(15, 3),
    "flat": np.array([3, 4]),
    "line": np.array([1, -1]),
    "heads": np.array([3, 2, 2]),
    "sizes": np.array([1, 2]),
}
NETWORKS = {
    "a transpose and back": [
        TURN,
        node("MatMul", ["t", "W"], "h"),
        node("Relu", ["h"], "r"),
        node("Transpose", ["r"], "b", perm=[1, 0, 2]),
        node("Reshape", ["b", "line"], "f"),
        node("MatMul", ["f", "V"], "y"),
    ],
    "a batch axis that is reshaped away": [
        node("Reshape", ["x", "flat"], "f"),
        node("Softmax", ["f"], "s", axis=0),
        node("MatMul", ["s", "W"], "h"),
        node("Reshape", ["h", "line"], "l"),
        node("MatMul", ["l", "V"], "y"),
    ],
    "attention over a moved axis": [
        TURN,
        node("Reshape", ["t", "heads"], "q"),
        node("Transpose", ["q"], "a", perm=[1, 0, 2]),
        node("Transpose", ["q"], "b", perm=[1, 2, 0]),
        node("MatMul", ["a", "b"], "s"),
        node("Softmax", ["s"], "p", axis=-1),
        node("MatMul", ["p", "a"], "h"),
        node("Reshape", ["h", "line"], "y"),
    ],
    "parts of a whole tensor": [
        TURN,
        node("Split", ["t", "sizes"], "u", axis=0),
        node("MatMul", ["u", "W"], "g"),
        node("Add", ["g", "v0"], "h"),
        node("Reshape", ["h", "line"], "y"),
    ],
}
NETWORKS["parts of a whole tensor"][1].output.append("v")
NETWORKS["parts of a whole tensor"].insert(3, node("MatMul", ["v", "W"], "v0"))


def _model(name: str, batch: int | str) -> onnx.ModelProto:
    return model(NETWORKS[name], TENSORS, shape=[batch, 3, 4])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_batch_of_one_may_move(name: str) -> None:
    result = agree(_model(name, 1), normal((3, 4))[1:2])
    assert result.graph.input_shape == (3, 4)
    assert result.batch.size == 1
    assert NOTE in result.graph.notes


@pytest.mark.parametrize("batch", [2, "N"])
@pytest.mark.parametrize("name", NETWORKS)
def test_batches_that_may_be_larger_are_refused(name: str, batch: int | str) -> None:
    """What is certified for one sample need not hold where the samples of a batch are mixed."""
    refusal(UnsupportedOperators, _model(name, batch))


@pytest.mark.parametrize(
    "nodes",
    [
        [node("ReduceMean", ["x"], "m", axes=[0]), node("Sub", ["x", "m"], "y")],
        [node("Softmax", ["x"], "s", axis=0), node("Relu", ["s"], "y")],
        [node("Reshape", ["x", "flat"], "y")],
    ],
    ids=["mean", "softmax", "rows"],
)
def test_an_open_batch_must_not_be_mixed_nor_come_out_as_rows(nodes: list[onnx.NodeProto]) -> None:
    refusal(UnsupportedOperators, model(nodes, TENSORS, shape=["N", 3, 4]))
    assert NOTE in imported(model(nodes, TENSORS, shape=[1, 3, 4])).graph.notes


def test_what_needs_no_moving_stays_as_it_is() -> None:
    nodes = [node("MatMul", ["x", "W"], "h"), node("Relu", ["h"], "y")]
    graph = imported(model(nodes, TENSORS, shape=[1, 3, 4])).graph
    assert operators(graph) == ["MatMul", "Relu"]
    assert graph.notes == ()


def test_layers_that_need_a_batch_follow_a_moved_one() -> None:
    nodes = [
        node("Transpose", ["x"], "t", perm=[1, 0, 2, 3]),
        node("Relu", ["t"], "r"),
        node("Transpose", ["r"], "b", perm=[1, 0, 2, 3]),
        node("Conv", ["b", "K"], "c"),
        node("GlobalAveragePool", ["c"], "p"),
        node("Squeeze", ["p"], "s"),
        node("Softmax", ["s"], "y"),
    ]
    proto = model(nodes, {"K": weights(3, 2, 2, 2)}, shape=[1, 2, 4, 4])
    result = imported(proto)
    assert [tail.operator for tail in result.tails] == ["Softmax"]
    assert as_classifier(result.graph).output_shape == (3,)


def test_the_first_refusal_is_told_where_one_sample_does_not_help() -> None:
    nodes = [TURN, node("Floor", ["t"], "y")]
    error = refusal(UnsupportedOperators, model(nodes, shape=[1, 3, 4]))
    assert [offence.where for offence in error.offences] == ["make t", "make y"]
    assert "batch of one" not in error.offences[0].way_out
