"""What exporters compute from shapes and weights is known before any input: compared with onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from glocert.errors import GlocertError, ModelTooLarge, UnsupportedOperators
from tests.glocert.graph.exactly import same
from tests.glocert.graph.importing import refusal
from tests.glocert.graph.onnx_models import model, node, weights

torch.set_num_threads(1)


def integers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def _number(kind: str, *values: object, dtype: int | None = None, opset: int = 17, **attributes: object):
    """Fold ``kind`` of constants into a number that is added to the input, and compare."""
    tensors = {f"c{k}": value for k, value in enumerate(values)}
    nodes = [node(kind, list(tensors), "k", **attributes)]
    nodes += [node("Cast", ["k"], "f", to=TensorProto.FLOAT), node("Add", ["x", "f"], "y")]
    return same(nodes, tensors, shape=("N", 4), opset=opset).graph


FLOATS = np.array([0.25, 1.5, 2.0, 7.75], np.float32)
SIGNED = np.array([-1.5, 0.5, -0.25, 2.5], np.float32)


@pytest.mark.parametrize(
    ("kind", "values", "rounded"),
    [
        ("Abs", [SIGNED], False),
        ("Neg", [SIGNED], False),
        ("Floor", [SIGNED], False),
        ("Ceil", [SIGNED], False),
        ("Round", [SIGNED], False),
        ("Sign", [SIGNED], False),
        ("Relu", [SIGNED], False),
        ("Sqrt", [FLOATS], True),
        ("Exp", [SIGNED], True),
        ("Log", [FLOATS], True),
        ("Reciprocal", [FLOATS], True),
        ("Sin", [SIGNED], True),
        ("Cos", [SIGNED], True),
        ("Tanh", [SIGNED], True),
        ("Sigmoid", [SIGNED], True),
        ("Pow", [FLOATS, np.array(0.5, np.float32)], True),
        ("Add", [FLOATS, SIGNED], False),
        ("Sub", [FLOATS, SIGNED], False),
        ("Mul", [FLOATS, SIGNED], False),
        ("Div", [FLOATS, np.array(4.0, np.float32)], False),
        ("Div", [FLOATS, np.array(3.0, np.float32)], True),
        ("Max", [FLOATS, SIGNED, np.array([1.0], np.float32)], False),
        ("Min", [FLOATS, SIGNED], False),
        ("Sum", [FLOATS, SIGNED, FLOATS], False),
        ("Clip", [SIGNED, np.array(-1.0, np.float32), np.array(1.0, np.float32)], False),
        ("MatMul", [weights(4, 4), weights(4)], True),
        ("CumSum", [FLOATS, np.array(0)], True),
        ("Mod", [integers(7, 8, 9, 10), integers(3)], False),
        ("Add", [integers(1, 2, 3, 4), integers(5)], False),
        ("Div", [integers(7, 8, 9, 10), integers(2)], False),
        ("Range", [np.array(2), np.array(6), np.array(1)], False),
        ("Range", [np.array(2.0, np.float32), np.array(0.0, np.float32), np.array(-0.5, np.float32)], False),
        ("Equal", [integers(1, 2, 3, 4), integers(1, 0, 3, 0)], False),
        ("Less", [FLOATS, SIGNED], False),
        ("LessOrEqual", [FLOATS, SIGNED], False),
        ("Greater", [FLOATS, SIGNED], False),
        ("GreaterOrEqual", [FLOATS, SIGNED], False),
        ("And", [np.array([True, False, True, False]), np.array(True)], False),
        ("Or", [np.array([True, False, True, False]), np.array(False)], False),
        ("Xor", [np.array([True, False, True, False]), np.array(True)], False),
        ("Not", [np.array([True, False, True, False])], False),
        ("Where", [np.array([True, False, True, False]), FLOATS, SIGNED], False),
        ("Size", [weights(3, 5)], False),
        ("Shape", [weights(4)], False),
        ("Tile", [np.array([1.0, 2.0], np.float32), integers(2)], False),
        ("Expand", [np.array(2.0, np.float32), integers(4)], False),
        ("Gather", [weights(9), integers(8, -1, 0, 3)], False),
        ("Slice", [weights(9), integers(7), integers(0), integers(0), integers(-2)], False),
        ("ReduceProd", [integers(2, 3, 4)], False),
        ("ReduceSum", [integers(2, 3, 4)], False),
        ("ReduceMax", [FLOATS], False),
        ("ReduceMin", [FLOATS], False),
        ("ReduceMean", [FLOATS], True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_functions_of_constants(kind: str, values: list[np.ndarray], rounded: bool) -> None:
    graph = _number(kind, *values)
    assert graph.operators == {"Add": 1}
    assert any("rounded" in note for note in graph.notes) == rounded


@pytest.mark.parametrize("upper", [0, 1])
def test_triangles_and_diagonals_mask(upper: int) -> None:
    nodes = [node("Trilu", ["W", "k"], "m", upper=upper), node("Mul", ["x", "m"], "y")]
    same(nodes, {"W": weights(4, 4), "k": np.array(1)}, shape=("N", 4, 4))
    nodes = [node("EyeLike", ["W"], "m", k=1), node("MatMul", ["x", "m"], "y")]
    same(nodes, {"W": weights(4, 5)}, shape=("N", 4))


def test_positions_of_nonzero_entries() -> None:
    nodes = [
        node("NonZero", ["mask"], "where"),
        node("Squeeze", ["where", "first"], "places"),
        node("Gather", ["x", "places"], "y", axis=1),
    ]
    same(nodes, {"mask": integers(1, 0, 0, 1), "first": integers(0)}, shape=("N", 4))


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("value_float", 1.5),
        ("value_int", 3),
        ("value_floats", [1.0, 2.0, 3.0, 4.0]),
        ("value_ints", [1, 2, 3, 4]),
        ("value", numpy_helper.from_array(np.array([1.0, 2.0, 3.0, 4.0], np.float16))),
    ],
)
def test_every_form_of_a_constant(attribute: str, value: object) -> None:
    nodes = [
        node("Constant", [], "k", **{attribute: value}),
        node("Cast", ["k"], "f", to=TensorProto.FLOAT),
        node("Add", ["x", "f"], "y"),
    ]
    same(nodes, shape=("N", 4), opset=13)


def _token(kind: str) -> list[onnx.NodeProto]:
    """Join a token to every sample of a batch of open length, as exporters write ``expand(n, -1)``."""
    shape = [
        node("Shape", ["x"], "sizes"),
        node("Gather", ["sizes", "zero"], "n", axis=0),
        node("Unsqueeze", ["n", "first"], "lead"),
        node("Concat", ["lead", "minus", "minus"], "wanted", axis=0),
    ]
    if kind == "filled":
        made = [
            node("Concat", ["lead", "one", "four"], "full", axis=0),
            node("ConstantOfShape", ["full"], "tokens"),
        ]
    else:
        made = [
            node("Shape", ["wanted"], "rank"),
            node("ConstantOfShape", ["rank"], "ones", value=numpy_helper.from_array(integers(1), "one")),
            node("Mul", ["ones", "minus"], "keep"),
            node("Equal", ["wanted", "keep"], "kept"),
            node("Where", ["kept", "ones", "wanted"], "full"),
            node("Expand", ["token", "full"], "tokens"),
        ]
    return [*shape, *made, node("Concat", ["tokens", "x"], "y", axis=1)]


@pytest.mark.parametrize("kind", ["learned", "filled"])
@pytest.mark.parametrize("batch", ["N", 2])
def test_a_token_for_every_sample_of_an_open_batch(kind: str, batch: int | str) -> None:
    tensors = {
        "zero": np.array(0),
        "first": integers(0),
        "minus": integers(-1),
        "one": integers(1),
        "four": integers(4),
        "token": weights(1, 1, 4),
    }
    result = same(_token(kind), tensors, shape=(batch, 3, 4))
    assert result.graph.output_shape == (4, 4)
    assert result.batch.size == (None if batch == "N" else batch)


def test_the_scale_of_attention_is_computed_as_a_runtime_does() -> None:
    nodes = [
        node("Shape", ["x"], "sizes"),
        node("Gather", ["sizes", "last"], "width", axis=0),
        node("Cast", ["width"], "d", to=TensorProto.FLOAT),
        node("Sqrt", ["d"], "root"),
        node("Div", ["one", "root"], "scale"),
        node("Mul", ["x", "scale"], "y"),
    ]
    graph = same(nodes, {"last": np.array(-1), "one": np.array(1.0)}, shape=("N", 3, 5)).graph
    assert graph.operators == {"Mul": 1}
    (scale,) = graph.parameters.values()
    assert scale == np.float32(1) / np.sqrt(np.float32(5))
    assert "rounded" in graph.notes[0]


def test_the_length_of_the_batch_is_never_computed_with() -> None:
    for last in (
        [node("Mul", ["sizes", "two"], "k")],
        [node("Less", ["sizes", "two"], "k")],
        [node("ReduceProd", ["sizes"], "k", keepdims=0)],
        [node("Cast", ["sizes"], "k", to=TensorProto.FLOAT)],
        [node("Neg", ["sizes"], "k")],
        [node("Max", ["sizes", "two"], "k")],
    ):
        nodes = [node("Shape", ["x"], "sizes"), *last, node("ConstantOfShape", ["k"], "c")]
        proto = model([*nodes, node("Add", ["x", "c"], "y")], {"two": integers(2)}, shape=("N", 4))
        offence = refusal(UnsupportedOperators, proto).offences[0]
        assert offence.where == "make k"
        assert "batch" in offence.detail


def test_equality_with_the_length_of_the_batch_is_known_only_below_one() -> None:
    def proto(other: int) -> onnx.ModelProto:
        nodes = [
            node("Shape", ["x"], "sizes"),
            node("Equal", ["sizes", "other"], "same"),
            node("Where", ["same", "other", "sizes"], "target"),
            node("Reshape", ["x", "target"], "y"),
        ]
        return model(nodes, {"other": integers(other)}, shape=("N", 4))

    assert not same(list(proto(-1).graph.node), {"other": integers(-1)}, shape=("N", 4)).graph.nodes
    assert refusal(UnsupportedOperators, proto(1)).offences[0].where == "make same"


def test_weights_that_are_used_are_counted_and_those_that_lowering_adds_are_not() -> None:
    nodes = [
        node("Resize", ["x", "", "scales"], "r", mode="linear"),
        node("Conv", ["r", "W", "b"], "c"),
        node("ReduceMean", ["c"], "m", axes=[2, 3], keepdims=0),
        node("Add", ["m", "k"], "y"),
    ]
    constant = helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(weights(4), "k"))
    tensors = {"scales": np.array([1, 1, 2, 2], np.float32), "W": weights(4, 2, 3, 3), "b": weights(4)}
    tensors |= {"unused": weights(100), "axes": integers(2, 3)}
    result = same([constant, *nodes], tensors, shape=("N", 2, 3, 3))
    assert result.parameters == 4 * 2 * 9 + 4 + 4 + 4
    assert result.graph.parameter_count > result.parameters


@pytest.mark.parametrize(
    ("nodes", "error"),
    [
        ([node("Div", ["one", "zero"], "k")], UnsupportedOperators),
        ([node("Log", ["minus"], "k")], UnsupportedOperators),
        ([node("Mul", ["big", "big"], "k")], UnsupportedOperators),
        ([node("ReduceProd", ["many"], "k")], UnsupportedOperators),
        ([node("Pow", ["many", "many"], "k")], UnsupportedOperators),
        ([node("Range", ["none", "many0", "none"], "k")], UnsupportedOperators),
        ([node("Range", ["none", "many0", "step"], "k")], ModelTooLarge),
        ([node("Tile", ["many", "huge"], "k")], ModelTooLarge),
        ([node("Expand", ["one", "square"], "e"), node("MatMul", ["e", "e"], "k")], UnsupportedOperators),
        ([node("Cast", ["big"], "k", to=TensorProto.FLOAT16)], UnsupportedOperators),
        ([node("Cast", ["one"], "k", to=TensorProto.STRING)], UnsupportedOperators),
    ],
)
def test_what_is_not_defined_or_too_large_is_refused(
    nodes: list[onnx.NodeProto], error: type[GlocertError]
) -> None:
    tensors = {
        "one": np.array(1.0, np.float32),
        "zero": np.array(0.0, np.float32),
        "minus": np.array(-1.0, np.float32),
        "big": np.array(3e38, np.float32),
        "many": integers(*[2**30] * 9),
        "none": np.array(0),
        "many0": np.array(2**60),
        "step": np.array(1),
        "huge": integers(2**40),
        "square": integers(3000, 3000),
    }
    proto = model([*nodes, node("Add", ["x", "k"], "y")], tensors, shape=("N", 4))
    refusal(error, proto)
