"""The ONNX importer: against onnxruntime on random networks, and case by case."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from onnx import TensorProto, helper

from glocert.errors import (
    ImportMismatch,
    UnsupportedInput,
    UnsupportedOperators,
)
from glocert.graph.compare import compare, inputs
from glocert.graph.export import to_onnx
from glocert.graph.imported import as_classifier
from glocert.graph.ir import Graph
from glocert.graph.onnx import read_onnx
from glocert.graph.onnx_runtime import original
from glocert.graph.run import run
from tests.glocert.graph.importing import imported, refusal
from tests.glocert.graph.onnx_models import dense, model, node, weights
from tests.glocert.graph.random_functions import SMOOTH
from tests.glocert.graph.random_networks import networks

torch.set_num_threads(1)


@settings(max_examples=120)
@given(networks())
def test_import_export_and_import_again_compute_what_onnxruntime_computes(proto: onnx.ModelProto) -> None:
    graph = as_classifier(imported(proto).graph)
    written = to_onnx(graph)
    again = read_onnx(written)
    compare(again, original(written, again.output), "onnxruntime")
    x = torch.from_numpy(inputs(graph.input_shape, 8, "float64"))
    torch.testing.assert_close(run(again.graph, x), run(graph, x), rtol=1e-6, atol=1e-6)
    assert Graph.from_bytes(graph.to_bytes()).digest() == graph.digest()


@settings(max_examples=120)
@given(networks(extra=SMOOTH))
def test_smooth_networks_compute_what_onnxruntime_computes(proto: onnx.ModelProto) -> None:
    graph = as_classifier(imported(proto).graph)
    again = read_onnx(to_onnx(graph))
    x = torch.from_numpy(inputs(graph.input_shape, 8, "float64"))
    expected = run(graph, x)
    scale = float(expected.abs().max())
    torch.testing.assert_close(run(again.graph, x), expected, rtol=1e-5, atol=1e-5 * max(1.0, scale))


@pytest.mark.parametrize("batch", ["N", 1, 7])
def test_the_batch_axis_may_be_symbolic_or_of_any_fixed_length(batch: int | str) -> None:
    result = imported(dense((batch, 4)))
    assert result.graph.input_shape == (4,)
    assert result.batch.size == (None if batch == "N" else batch)


def test_an_input_of_one_axis_has_no_batch() -> None:
    nodes = [node("MatMul", ["W", "x"], "h"), node("Relu", ["h"], "y")]
    result = imported(model(nodes, {"W": weights(3, 4)}, shape=[4]))
    assert result.graph.input_shape == (4,)
    assert result.graph.output_shape == (3,)
    x = np.array([[1.0, -2.0, 0.5, 3.0]])
    expected = np.maximum(weights(3, 4).astype(np.float64) @ x[0], 0)
    np.testing.assert_allclose(run(result.graph, torch.from_numpy(x))[0], expected)


def test_naming_every_axis_says_that_none_is_a_batch() -> None:
    nodes = [node("MatMul", ["x", "W"], "y")]
    proto = model(nodes, {"W": weights(4, 3)}, shape=[2, 4])
    assert imported(proto, input_shape=(2, 4)).graph.output_shape == (2, 3)
    assert imported(proto, input_shape=(4,)).graph.output_shape == (3,)


def test_a_given_shape_fills_open_axes_and_must_fit() -> None:
    assert imported(dense(("N", "M")), input_shape=[4]).graph.input_shape == (4,)
    refusal(UnsupportedInput, dense(("N", "M")))
    refusal(UnsupportedInput, dense(("N", 4)), input_shape=[5])
    refusal(UnsupportedInput, dense(("N", 4)), input_shape=[0])


def test_initialisers_listed_among_the_inputs_are_no_inputs() -> None:
    proto = dense()
    for tensor in proto.graph.initializer:
        proto.graph.input.append(
            helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, list(tensor.dims))
        )
    assert imported(proto).graph.output_shape == (3,)


def test_a_reshape_to_a_fixed_batch_pins_it() -> None:
    nodes = [
        node("Reshape", ["x", "shape"], "flat"),
        node("Gemm", ["flat", "W"], "y"),
    ]
    tensors = {"shape": np.array([10, 8]), "W": weights(8, 3)}
    assert imported(model(nodes, tensors, shape=[10, 2, 4])).batch.size == 10
    assert imported(model(nodes, tensors, shape=["N", 2, 4])).batch.size == 10


def test_shape_arithmetic_is_folded() -> None:
    nodes = [
        node("Shape", ["x"], "sizes"),
        node("Gather", ["sizes", "zero"], "batch", axis=0),
        node("Unsqueeze", ["batch", "axes"], "lead"),
        node("Concat", ["lead", "minus"], "target", axis=0),
        node("Reshape", ["x", "target"], "flat"),
        node("Gemm", ["flat", "W"], "y"),
    ]
    tensors = {"zero": np.array(0), "axes": np.array([0]), "minus": np.array([-1]), "W": weights(8, 3)}
    assert imported(model(nodes, tensors, shape=["N", 2, 4])).graph.operators == {"Gemm": 1, "Reshape": 1}


def test_scales_of_gemm_become_nodes() -> None:
    nodes = [node("Gemm", ["x", "W", "c"], "y", alpha=0.1, beta=0.3)]
    graph = imported(model(nodes, {"W": weights(4, 3), "c": weights(3)})).graph
    assert graph.operators == {"Add": 1, "Gemm": 1, "Mul": 1}
    stored = {name: array for name, array in graph.parameters.items() if array.ndim == 2}
    np.testing.assert_array_equal(stored["W"], weights(4, 3).T)
    (offset,) = [array for array in graph.parameters.values() if array.shape == (3,)]
    exact = np.float64(np.float32(0.3)) * weights(3).astype(np.float64)
    np.testing.assert_array_equal(offset, exact)


def test_gemm_without_a_batch_may_be_transposed() -> None:
    nodes = [node("Gemm", ["x", "W", "c"], "y", transA=1, alpha=0.5)]
    proto = model(nodes, {"W": weights(4, 3), "c": weights(2, 1)}, shape=[4, 2])
    assert imported(proto, input_shape=(4, 2)).graph.output_shape == (2, 3)
    refusal(UnsupportedOperators, model(nodes, {"W": weights(4, 3), "c": weights(1)}, shape=[4, 4]))


def test_batch_normalisation_and_division_are_not_folded() -> None:
    nodes = [
        node("Conv", ["x", "W"], "c"),
        node("BatchNormalization", ["c", "s", "b", "m", "v"], "n"),
        node("Div", ["n", "three"], "d"),
        node("Flatten", ["d"], "y"),
    ]
    tensors = {"W": weights(2, 1, 2, 2), "three": np.array(3.0)}
    tensors |= {"s": weights(2), "b": weights(2), "m": weights(2), "v": np.abs(weights(2))}
    graph = imported(model(nodes, tensors, shape=["N", 1, 3, 3])).graph
    assert graph.operators == {"BatchNormalization": 1, "Conv": 1, "Div": 1, "Reshape": 1}
    np.testing.assert_array_equal(graph.parameters["W"], weights(2, 1, 2, 2))
    assert graph.parameters["three"] == 3.0


def test_float_arithmetic_between_constants_is_exact_or_rounded_as_the_runtime_does_and_said_so() -> None:
    def proto(first: float, second: float) -> onnx.ModelProto:
        nodes = [node("Add", ["a", "b"], "c"), node("Mul", ["x", "c"], "y")]
        return model(nodes, {"a": np.array(first), "b": np.array(second)})

    exact = imported(proto(0.1, 0.5)).graph
    assert exact.parameters["c"] == np.float64(np.float32(0.1)) + 0.5
    assert not exact.notes
    rounded = imported(proto(1e30, 1.1)).graph
    assert rounded.parameters["c"] == np.float32(1e30) + np.float32(1.1)
    assert "rounded" in rounded.notes[0]
    error = refusal(UnsupportedOperators, proto(3e38, 3e38))
    assert "overflows" in error.offences[0].detail


def test_one_dimensional_convolution_and_pooling() -> None:
    nodes = [
        node("Conv", ["x", "W", "b"], "c", pads=[1, 1], strides=[2]),
        node("Relu", ["c"], "r"),
        node("MaxPool", ["r"], "m", kernel_shape=[2], strides=[1]),
        node("AveragePool", ["m"], "a", kernel_shape=[2], strides=[2]),
        node("Flatten", ["a"], "y"),
    ]
    proto = model(nodes, {"W": weights(3, 2, 3), "b": weights(3)}, shape=["N", 2, 9])
    assert imported(proto).graph.output_shape == (6,)


def test_a_constant_joins_a_batch_of_its_own_length() -> None:
    nodes = [node("Concat", ["x", "row"], "y", axis=1)]
    same = np.repeat(weights(1, 2), 3, axis=0)
    assert imported(model(nodes, {"row": same}, shape=[3, 4])).graph.output_shape == (6,)
    error = refusal(UnsupportedOperators, model(nodes, {"row": weights(3, 2)}, shape=[3, 4]))
    assert "sample to sample" in error.offences[0].detail


@pytest.mark.parametrize(
    ("tail", "opset", "attributes"),
    [
        ("Softmax", 13, {"axis": -1}),
        ("LogSoftmax", 11, {}),
        ("Softmax", 11, {"axis": 1}),
        ("Sigmoid", 13, {}),
    ],
)
def test_a_function_behind_the_scores_is_cut_off_and_said_so(
    tail: str, opset: int, attributes: dict[str, int]
) -> None:
    nodes = [
        node("Gemm", ["x", "W"], "h"),
        node(tail, ["h"], "s", **attributes),
        node("Identity", ["s"], "y"),
    ]
    graph = imported(model(nodes, {"W": weights(4, 3)}, opset=opset)).graph
    assert graph.operators == {"Gemm": 1}
    assert tail in graph.notes[0]


@pytest.mark.parametrize("tail", ["Softmax", "LogSoftmax", "Sigmoid"])
@pytest.mark.parametrize(
    "shaping",
    [
        [node("Reshape", ["s", "column"], "y")],
        [node("Flatten", ["s"], "y")],
        [node("Unsqueeze", ["s", "two"], "u"), node("Squeeze", ["u", "two"], "y")],
        [node("Identity", ["s"], "i"), node("Reshape", ["i", "row"], "r"), node("Flatten", ["r"], "y")],
    ],
    ids=lambda nodes: "-".join(part.op_type for part in nodes),
)
def test_a_function_is_cut_off_where_only_the_shape_changes_behind_it(
    tail: str, shaping: list[onnx.NodeProto]
) -> None:
    nodes = [node("Gemm", ["x", "W"], "h"), node(tail, ["h"], "s"), *shaping]
    tensors = {"W": weights(4, 3), "column": np.array([-1, 3, 1]), "row": np.array([0, 1, 3])}
    result = imported(model(nodes, tensors | {"two": np.array([2])}))
    assert [part.operator for part in result.tails] == [tail]
    assert result.scores == "h"
    assert as_classifier(result.graph).output_shape == (3,)
    assert set(result.graph.operators) <= {"Gemm", "Reshape"}


@pytest.mark.parametrize(("tail", "cut"), [("Softmax", False), ("LogSoftmax", False), ("Sigmoid", True)])
def test_scores_that_end_along_several_axes_keep_what_joins_them(tail: str, cut: bool) -> None:
    nodes = [
        node("Gemm", ["x", "W"], "h"),
        node(tail, ["h"], "s"),
        node("Reshape", ["s", "square"], "y"),
    ]
    result = imported(model(nodes, {"W": weights(4, 6), "square": np.array([-1, 2, 3])}))
    assert [part.operator for part in result.tails] == ([tail] if cut else [])
    assert ("Softmax" in result.graph.operators) is not cut
    assert result.graph.output_shape == (2, 3)


def test_a_function_in_front_of_a_layer_is_kept() -> None:
    nodes = [
        node("Softmax", ["x"], "s"),
        node("Gemm", ["s", "W"], "h"),
        node("Sigmoid", ["h"], "g"),
        node("Gemm", ["g", "V"], "y"),
    ]
    result = imported(model(nodes, {"W": weights(4, 3), "V": weights(3, 3)}))
    assert result.graph.operators == {"Gemm": 2, "Sigmoid": 1, "Softmax": 1}
    assert result.tails == ()


@pytest.mark.parametrize("behind", ["Relu", "Neg", "Exp"])
def test_a_function_behind_which_something_is_computed_is_kept(behind: str) -> None:
    nodes = [node("Gemm", ["x", "W"], "h"), node("Sigmoid", ["h"], "s"), node(behind, ["s"], "y")]
    result = imported(model(nodes, {"W": weights(4, 3)}))
    assert result.tails == ()
    assert [part.operator for part in result.graph.nodes][:2] == ["Gemm", "Sigmoid"]


def test_several_functions_are_cut_off_and_compared_in_their_order() -> None:
    nodes = [node("Gemm", ["x", "W"], "h"), node("Sigmoid", ["h"], "s"), node("LogSoftmax", ["s"], "y")]
    result = imported(model(nodes, {"W": weights(4, 3)}))
    assert [tail.operator for tail in result.tails] == ["LogSoftmax", "Sigmoid"]
    assert result.scores == "h"


def test_the_first_of_several_outputs_is_taken_and_the_rest_pruned() -> None:
    proto = dense(outputs=("y", "r", "odd"))
    proto.graph.node.append(node("Cosh", ["h"], "odd"))
    result = imported(proto)
    assert result.output == "y"
    assert "Cosh" not in result.operators
    assert "'y'" in result.graph.notes[0]


def test_nodes_of_one_name_are_told_apart_and_any_order_is_read() -> None:
    proto = dense()
    for item in proto.graph.node:
        item.name = "layer"
    nodes = list(reversed(proto.graph.node))
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    graph = imported(proto).graph
    assert [item.name for item in graph.nodes] == ["layer", "layer_2", "layer_3"]


def test_awkward_tensor_names_survive_storage() -> None:
    proto = dense()
    for index, name in ((0, "__metadata__"), (1, " ")):
        old = proto.graph.initializer[index].name
        proto.graph.initializer[index].name = name
        for item in proto.graph.node:
            item.input[:] = [name if used == old else used for used in item.input]
    graph = imported(proto).graph
    assert Graph.from_bytes(graph.to_bytes()).digest() == graph.digest()


def test_unit_axes_around_the_scores_are_dropped() -> None:
    nodes = [node("GlobalAveragePool", ["x"], "y")]
    graph = as_classifier(imported(model(nodes, shape=["N", 3, 2, 2])).graph)
    assert graph.output_shape == (3,)


def test_float64_networks_stay_float64() -> None:
    proto = model([node("Gemm", ["x", "W"], "y")], shape=["N", 4], kind=TensorProto.DOUBLE)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weights(4, 3).astype(np.float64) / 3, "W"))
    result = imported(proto)
    assert result.dtype == "float64"
    assert result.graph.parameters["W"].dtype == np.float64


def test_half_precision_weights_are_widened() -> None:
    nodes = [node("Cast", ["W"], "V", to=TensorProto.FLOAT), node("Gemm", ["x", "V"], "y")]
    parameters = imported(model(nodes, {"W": weights(4, 3).astype(np.float16)})).graph.parameters
    np.testing.assert_array_equal(parameters["V"].T, weights(4, 3).astype(np.float16).astype(np.float32))


def test_a_wrong_import_would_be_noticed() -> None:
    data = dense().SerializeToString()
    result = read_onnx(data)
    other = dense()
    other.graph.initializer[3].raw_data = (weights(3) + 1e-2).tobytes()
    with pytest.raises(ImportMismatch):
        compare(result, original(other.SerializeToString(), "y"), "onnxruntime")


@pytest.mark.parametrize(("axis", "fine"), [(1, True), (-2, True), (2, False), (-1, False)])
def test_a_softmax_is_cut_off_only_where_it_joins_the_classes(axis: int, fine: bool) -> None:
    nodes = [
        node("Gemm", ["x", "W"], "h"),
        node("Unsqueeze", ["h", "two"], "u"),
        node("Softmax", ["u"], "y", axis=axis),
    ]
    proto = model(nodes, {"W": weights(4, 3), "two": np.array([2])})
    if fine:
        assert as_classifier(imported(proto).graph).output_shape == (3,)
    else:
        assert refusal(UnsupportedOperators, proto).offences[0].where == "make y"
