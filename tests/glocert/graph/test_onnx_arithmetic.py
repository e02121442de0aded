"""Products, quotients, extremes and other arithmetic of ONNX, compared with onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from glocert.errors import GlocertError, InvalidGraph, UnsupportedOperators
from glocert.graph.onnx import read_onnx
from glocert.graph.onnx_runtime import original
from glocert.graph.run import run
from tests.glocert.graph.agreement import agree, normal, operators, opsets
from tests.glocert.graph.importing import refusal
from tests.glocert.graph.onnx_models import model, node, weights

torch.set_num_threads(1)


def _expected(nodes: list[onnx.NodeProto], shape: tuple[int, ...], **options: object) -> list[str]:
    return operators(agree(model(nodes, TENSORS, shape=["N", *shape], **options)).graph)


TENSORS = {
    "row": weights(4),
    "column": weights(3, 1),
    "sample": weights(1, 3, 4),
    "one": np.array(1.0),
    "half": np.array(0.5),
    "zero": np.array(0.0),
    "W": weights(4, 3),
    "tiny": np.array([1e-12, 0.25, -1.0, 2.0]),
    "quarter": np.full((1, 3, 1), 0.25),
}
PARTS = [
    node("Tanh", ["x"], "a"),
    node("Sigmoid", ["x"], "b"),
]


@pytest.mark.parametrize(
    ("kind", "added"), [("Add", ["Add"]), ("Sub", ["Sub"]), ("Mul", ["Mul"]), ("Div", ["Reciprocal", "Mul"])]
)
def test_arithmetic_between_activations(kind: str, added: list[str]) -> None:
    for opset in opsets(kind):
        nodes = [*PARTS, node(kind, ["a", "b"], "y")]
        # No row of large numbers: a sigmoid next to zero has a reciprocal that float32 cannot tell.
        proto = model(nodes, shape=["N", 3, 4], opset=opset)
        x = normal((3, 4)) / 10
        assert operators(agree(proto, x).graph) == ["Tanh", "Sigmoid", *added]


def test_a_product_of_activations_broadcasts_within_the_sample() -> None:
    nodes = [
        node("GlobalAveragePool", ["x"], "s"),
        node("Sigmoid", ["s"], "g"),
        node("Mul", ["x", "g"], "y"),
    ]
    assert operators(agree(model(nodes, shape=["N", 2, 3, 3])).graph)[-1] == "Mul"


@pytest.mark.parametrize(
    ("numerator", "added"), [("one", ["Reciprocal"]), ("half", ["Reciprocal", "Mul"]), ("row", None)]
)
def test_a_constant_over_an_activation(numerator: str, added: list[str] | None) -> None:
    nodes = [node("Sigmoid", ["x"], "a"), node("Div", [numerator, "a"], "y")]
    graph = agree(model(nodes, TENSORS), normal((4,)) / 10).graph
    assert operators(graph) == ["Sigmoid", *(added or ["Reciprocal", "Mul"])]


def test_ones_that_widen_stay_a_product() -> None:
    nodes = [node("Sigmoid", ["x"], "a"), node("Div", ["ones", "a"], "y")]
    graph = agree(model(nodes, {"ones": np.ones((1, 3, 1))}, shape=["N", 1, 4]), normal((1, 4)) / 10).graph
    assert graph.output_shape == (3, 4)


@pytest.mark.parametrize("kind", ["Mul", "Add", "MatMul"])
def test_activations_of_different_ranks_are_refused(kind: str) -> None:
    nodes = [
        node("Reshape", ["x", "shape"], "r"),
        node(kind, ["x", "r"], "y"),
    ]
    error = refusal(UnsupportedOperators, model(nodes, {"shape": np.array([-1, 1, 2, 2])}))
    assert "rank" in error.offences[0].detail


@pytest.mark.parametrize("shapes", [((2, 3, 4), (2, 4, 5)), ((3, 4), (4, 2)), ((2, 1, 4), (1, 4, 3))])
def test_products_of_matrices_that_vary(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    sizes = [int(np.prod(shape)) for shape in shapes]
    nodes = [
        node("Split", ["x", "sizes"], "a", axis=1),
        node("Reshape", ["a", "left"], "l"),
        node("Reshape", ["b", "right"], "r"),
        node("MatMul", ["l", "r"], "y"),
    ]
    nodes[0].output.append("b")
    tensors = {
        "sizes": np.array(sizes),
        "left": np.array([-1, *shapes[0]]),
        "right": np.array([-1, *shapes[1]]),
    }
    proto = model(nodes, tensors, shape=["N", sum(sizes)])
    for opset in (13, 23):
        proto.opset_import[0].version = opset
        assert operators(agree(proto).graph)[-1] == "MatMul"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((2, 3, 4), (2, 4, 5)),
        ((3, 4), (1, 4, 5)),
        ((2, 3, 4), (1, 2, 4, 1)),
        ((1, 2, 3, 4), (3, 1, 4, 2)),
        ((2, 5, 3), (2, 3, 4)),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_products_with_a_stack_of_matrices(
    left: tuple[int, ...], right: tuple[int, ...], first: bool
) -> None:
    if first:
        proto = model([node("MatMul", ["x", "P"], "y")], {"P": weights(*right)}, shape=["N", *left])
    else:
        stack = np.swapaxes(weights(*right), -1, -2)
        shape = (*left[:-2], left[-1], left[-2])
        proto = model([node("MatMul", ["P", "x"], "y")], {"P": stack}, shape=["N", *shape])
    names = operators(agree(proto).graph)
    many = any(size > 1 for size in right[:-2])
    assert names == (["Reshape", "Mul", "ReduceSum"] if many else ["MatMul"])


def test_a_stack_that_meets_the_batch_is_refused() -> None:
    proto = model([node("MatMul", ["x", "P"], "y")], {"P": weights(2, 4, 5)}, shape=["N", 3, 4])
    assert "sample to sample" in refusal(UnsupportedOperators, proto).offences[0].detail
    proto = model([node("MatMul", ["x", "P"], "y")], {"P": weights(2, 4, 5)}, shape=["N", 4])
    assert refusal(GlocertError, proto).offences[0].where == "make y"
    proto = model([node("MatMul", ["x", "P"], "y")], {"P": weights(2, 5, 5)}, shape=["N", 2, 3, 4])
    assert refusal(InvalidGraph, proto).offences[0].where == "make y"


def test_products_across_samples_are_refused() -> None:
    error = refusal(UnsupportedOperators, model([node("MatMul", ["x", "x"], "y")], shape=[4, 4]))
    assert "batch" in error.offences[0].detail
    error = refusal(UnsupportedOperators, model([node("Gemm", ["x", "x"], "y", transB=1)]))
    assert "between samples" in error.offences[0].detail


def test_a_dense_layer_of_constants_only_is_refused() -> None:
    nodes = [node("Gemm", ["P", "P"], "c"), node("MatMul", ["x", "c"], "y")]
    error = refusal(UnsupportedOperators, model(nodes, {"P": weights(4, 4)}))
    assert "constants only" in error.offences[0].detail


@pytest.mark.parametrize(("flip_a", "flip_b"), [(0, 1), (1, 0)])
def test_gemm_of_activations_without_a_batch(flip_a: int, flip_b: int) -> None:
    nodes = [node("Gemm", ["x", "x", "c"], "y", transA=flip_a, transB=flip_b, alpha=0.5, beta=2.0)]
    proto = model(nodes, {"c": weights(1)}, shape=[2, 3])
    data = proto.SerializeToString()
    graph = read_onnx(data, input_shape=(2, 3)).graph
    x = weights(2, 3)
    theirs = original(data, "y")(x)
    np.testing.assert_allclose(run(graph, torch.from_numpy(x)[None])[0], theirs, rtol=1e-5)


@pytest.mark.parametrize("kind", ["Max", "Min"])
@pytest.mark.parametrize(
    ("operands", "expected"),
    [
        (["a"], []),
        (["a", "b"], ["Sub", "Relu"]),
        (["a", "b", "x"], ["Sub", "Relu", "{}", "Sub", "Relu"]),
        (["a", "half"], ["Clip"]),
        (["half", "a", "one"], ["Clip"]),
        (["a", "row"], ["Sub", "Relu"]),
        (["column", "a"], ["Sub", "Relu"]),
        (["a", "sample"], ["Sub", "Relu"]),
        (["quarter", "a", "row"], ["Sub", "Relu"]),
    ],
    ids=str,
)
def test_extremes(kind: str, operands: list[str], expected: list[str]) -> None:
    last = {"Max": "Add", "Min": "Sub"}[kind]
    for opset in opsets(kind, first=8):
        nodes = [*PARTS, node(kind, operands, "m"), node("Neg", ["m"], "y")]
        names = _expected(nodes, (3, 4), opset=opset)
        kept = [name for name in names if name not in {"Tanh", "Sigmoid"}]
        wanted = [name.format(last) for name in expected]
        assert kept == [*wanted, *([last] if wanted[-1:] == ["Relu"] else []), "Mul"]


def test_the_largest_of_zero_and_x_is_a_relu() -> None:
    assert _expected([node("Max", ["x", "zero"], "y")], (4,)) == ["Relu"]


def test_extremes_of_constants_only_are_folded() -> None:
    nodes = [node("Max", ["row", "half"], "m"), node("Add", ["x", "m"], "y")]
    assert _expected(nodes, (4,)) == ["Add"]


@pytest.mark.parametrize("kind", ["Sum", "Mean"])
@pytest.mark.parametrize(
    "operands", [["a"], ["a", "b"], ["row", "a", "b", "column"], ["sample", "half", "a"]], ids=str
)
def test_sums_and_means_of_several(kind: str, operands: list[str]) -> None:
    for opset in opsets(kind, first=8):
        nodes = [*PARTS, node(kind, operands, "m"), node("Neg", ["m"], "y")]
        names = _expected(nodes, (3, 4), opset=opset)
        assert names.count("Add") == len(operands) - 1
        assert names.count("Div") == (1 if kind == "Mean" and len(operands) > 1 else 0)


@pytest.mark.parametrize(("kind", "expected"), [("Neg", ["Mul"]), ("Abs", ["LeakyRelu"]), ("Relu", ["Relu"])])
def test_simple_functions(kind: str, expected: list[str]) -> None:
    for opset in opsets(kind):
        assert _expected([node(kind, ["x"], "y")], (3, 4), opset=opset) == expected


@pytest.mark.parametrize(
    ("slope", "expected"),
    [
        ("half", ["LeakyRelu"]),
        ("quarter", ["LeakyRelu"]),
        ("row", ["Mul", "Relu", "Mul", "Add"]),
        ("column", ["Mul", "Relu", "Mul", "Add"]),
        ("tiny", ["Mul", "Relu", "Add", "Mul", "Sub"]),
    ],
)
def test_prelu(slope: str, expected: list[str]) -> None:
    for opset in opsets("PRelu"):
        assert _expected([node("PRelu", ["x", slope], "y")], (3, 4), opset=opset) == expected


def test_prelu_keeps_the_stored_slope() -> None:
    proto = model([node("PRelu", ["x", "tiny"], "y")], TENSORS)
    graph = agree(proto).graph
    stored = [array for array in graph.parameters.values() if array.shape == (4,)]
    np.testing.assert_array_equal(stored[0], np.array(TENSORS["tiny"], np.float32))


def test_soft_shrink_and_a_threshold_of_zero() -> None:
    assert _expected([node("Shrink", ["x"], "y", bias=0.5, lambd=0.5)], (4,)) == ["Clip", "Sub"]
    assert _expected([node("ThresholdedRelu", ["x"], "y", alpha=0.0)], (4,)) == ["Relu"]


@pytest.mark.parametrize(
    ("bounds", "kind"),
    [
        (["", "two"], None),
        (["half", ""], None),
        (["half", "half"], None),
        (["two", "half"], UnsupportedOperators),
    ],
)
def test_clip_with_tensors(bounds: list[str], kind: type[GlocertError] | None) -> None:
    tensors = {"half": np.array(0.5), "two": np.array(2.0)}
    for opset in (11, 12, 13):
        proto = model([node("Clip", ["x", *bounds], "y")], tensors, opset=opset)
        if kind is None:
            assert operators(agree(proto).graph) == ["Clip"]
        else:
            refusal(kind, proto)


def test_a_dense_layer_of_quantised_weights() -> None:
    nodes = [
        node("DequantizeLinear", ["levels", "scale", "zero"], "W", axis=1),
        node("MatMul", ["x", "W"], "y"),
    ]
    levels = np.random.default_rng(0).integers(-128, 128, (4, 3)).astype(np.int8)
    tensors = {"levels": levels, "scale": np.array([0.1, 0.02, 0.3]), "zero": np.array([0, 3, -7], np.int8)}
    for opset in opsets("DequantizeLinear", first=13):
        graph = agree(model(nodes, tensors, opset=opset)).graph
        exact = (levels.astype(float) - tensors["zero"]) * tensors["scale"].astype(np.float32).astype(float)
        np.testing.assert_array_equal(graph.parameters["W"], exact)


def test_a_quantised_activation_is_refused_by_name() -> None:
    nodes = [
        node("QuantizeLinear", ["x", "scale", "zero"], "q"),
        node("DequantizeLinear", ["q", "scale", "zero"], "y"),
    ]
    tensors = {"scale": np.array(0.1), "zero": np.array(0, np.int8)}
    error = refusal(UnsupportedOperators, model(nodes, tensors))
    assert [offence.where for offence in error.offences] == ["make q", "make y"]


def test_shapes_that_do_not_fit_are_named() -> None:
    nodes = [*PARTS, node("Reshape", ["a", "shape"], "r"), node("Mul", ["r", "b"], "y")]
    error = refusal(InvalidGraph, model(nodes, {"shape": np.array([-1, 2, 6])}, shape=["N", 3, 4]))
    assert error.offences[0].where == "make y"
