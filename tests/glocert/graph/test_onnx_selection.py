"""Selections, splits, copies and pads of ONNX, compared with onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from glocert.errors import InvalidGraph, ModelRejected, ModelTooLarge, UnsupportedOperators
from glocert.graph.limits import Limits
from glocert.graph.onnx import read_onnx
from tests.glocert.graph.exactly import compared, rows, runtime, same
from tests.glocert.graph.importing import refusal
from tests.glocert.graph.onnx_models import model, node, weights

torch.set_num_threads(1)
SHAPE = ("N", 3, 4, 5)


def integers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@pytest.mark.parametrize("opset", [7, 11, 13, 21])
@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize(
    ("axis", "indices"),
    [
        (2, integers(0, 2, -1)),
        (-1, np.array(1)),
        (1, np.array([[0, 1], [2, 0]])),
        (3, np.array(-5, np.int32)),
    ],
)
def test_gather(opset: int, double: bool, axis: int, indices: np.ndarray) -> None:
    positive = np.where(indices < 0, indices + SHAPE[axis], indices).astype(indices.dtype)
    chosen = indices if opset >= 11 else positive
    nodes = [node("Gather", ["x", "i"], "y", axis=axis)]
    same(nodes, {"i": chosen}, shape=SHAPE, opset=opset, double=double)


BOUNDS = st.one_of(st.integers(-7, 7), st.sampled_from([-(2**63), 2**63 - 1, 2**31 - 1, -(2**31)]))


@settings(max_examples=150)
@given(st.data())
def test_slice(data: st.DataObject) -> None:
    axes = data.draw(st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=3, unique=True))
    starts, ends = ([data.draw(BOUNDS) for _ in axes] for _ in range(2))
    named = [data.draw(st.sampled_from([axis, axis - 4])) for axis in axes]
    opset = data.draw(st.sampled_from([9, 10, 13]))
    if opset < 10:
        proto = model(
            [node("Slice", ["x"], "y", starts=starts, ends=ends, axes=named)], shape=SHAPE, opset=opset
        )
    else:
        steps = [data.draw(st.sampled_from([1, 2, 3, -1, -2])) for _ in axes]
        tensors = {"s": integers(*starts), "e": integers(*ends), "a": integers(*named), "p": integers(*steps)}
        proto = model([node("Slice", ["x", *tensors], "y")], tensors, shape=SHAPE, opset=opset)
    theirs = runtime(proto, rows(proto))
    if theirs is not None and not theirs.size:
        assert refusal(UnsupportedOperators, proto).offences[0].detail == "it selects nothing"
    else:
        assume(compared(proto) is not None)


def test_a_slice_of_the_whole_batch_is_nothing() -> None:
    tensors = {"s": integers(0, 1), "e": integers(2**63 - 1, 3), "a": integers(0, 2)}
    graph = same([node("Slice", ["x", *tensors], "y")], tensors, shape=SHAPE).graph
    assert graph.operators == {"Gather": 1}
    cut = {"s": integers(1), "e": integers(2**63 - 1), "a": integers(0)}
    error = refusal(UnsupportedOperators, model([node("Slice", ["x", *cut], "y")], cut, shape=SHAPE))
    assert "batch" in error.offences[0].detail


def _split(opset: int, parts: int, axis: int, sizes: tuple[int, ...] | None) -> onnx.ModelProto:
    names, inputs, tensors = [f"p{k}" for k in range(parts)], ["x"], {}
    attributes: dict[str, object] = {"axis": axis}
    if sizes is not None and opset < 13:
        attributes["split"] = sizes
    elif sizes is not None:
        tensors["s"] = integers(*sizes)
        inputs.append("s")
    elif opset >= 18:
        attributes["num_outputs"] = parts
    split = helper.make_node("Split", inputs, names, name="split", **attributes)
    return model([split, node("Concat", names[::-1], "y", axis=axis)], tensors, shape=SHAPE, opset=opset)


@pytest.mark.parametrize("opset", [7, 11, 13, 18, 21])
@pytest.mark.parametrize(
    ("parts", "axis", "sizes"), [(2, 2, None), (3, -3, None), (3, 3, (2, 1, 2)), (2, 2, (1, 3)), (1, 1, (3,))]
)
def test_every_part_of_a_split_may_be_read(
    opset: int, parts: int, axis: int, sizes: tuple[int, ...] | None
) -> None:
    result = compared(_split(opset, parts, axis, sizes))
    assert result is not None
    assert result.graph.operators.get("Gather", 0) == (parts if parts > 1 else 0)


def test_an_uneven_split_makes_the_last_part_shorter_since_opset_18() -> None:
    assert compared(_split(18, 2, 3, None)) is not None
    assert refusal(InvalidGraph, _split(13, 2, 3, None)).offences[0].where == "split"


def test_parts_of_a_refused_node_are_passed_over_and_a_left_out_part_is_refused() -> None:
    proto = _split(13, 2, 2, (1, 3))
    proto.graph.node[0].attribute[0].i = 0
    offences = refusal(UnsupportedOperators, proto).offences
    assert [offence.where for offence in offences] == ["split"]
    proto = _split(13, 3, 3, (2, 1, 2))
    proto.graph.node[0].output[1] = ""
    del proto.graph.node[1].input[1]
    assert refusal(InvalidGraph, proto).offences[0].where == "split"


@pytest.mark.parametrize(
    ("shape", "target"),
    [
        (("N", 3, 1, 1), (1, 3, 4, 5)),
        (("N", 3, 1, 5), (4, 1)),
        ((2, 3, 1, 1), (2, 3, 4, 5)),
        (("N", 1, 4), (6, 1)),
    ],
)
def test_expand(shape: tuple[int | str, ...], target: tuple[int, ...]) -> None:
    same([node("Expand", ["x", "s"], "y")], {"s": integers(*target)}, shape=shape)


def test_tile() -> None:
    same([node("Tile", ["x", "s"], "y")], {"s": integers(1, 2, 1, 3)}, shape=SHAPE)
    many = model([node("Tile", ["x", "s"], "y")], {"s": integers(1, 10**9, 1, 1)}, shape=SHAPE)
    refusal(ModelTooLarge, many)
    batch = model([node("Tile", ["x", "s"], "y")], {"s": integers(2, 1, 1, 1)}, shape=SHAPE)
    assert "samples" in refusal(UnsupportedOperators, batch).offences[0].detail


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
@pytest.mark.parametrize("pads", [(0, 0, 1, 2, 0, 0, 3, 1), (0, 2, 0, 0, 0, 1, 0, 4)])
def test_pads_of_every_mode(mode: str, pads: tuple[int, ...]) -> None:
    nodes = [node("Pad", ["x", "p"], "y", mode=mode)]
    result = same(nodes, {"p": integers(*pads)}, shape=SHAPE, opset=19)
    assert set(result.graph.operators) == ({"Pad"} if mode == "constant" else {"Gather"})
    if mode != "wrap":
        same([node("Pad", ["x"], "y", mode=mode, pads=pads)], shape=SHAPE, opset=9)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
def test_a_pad_below_zero_cuts(mode: str) -> None:
    nodes = [node("Pad", ["x", "p", "v"], "y", mode=mode)]
    tensors = {"p": integers(0, 0, -1, 2, 0, 0, 1, -1), "v": np.array(2.5)}
    same(nodes, tensors, shape=SHAPE, opset=19)


def test_pads_of_named_axes() -> None:
    tensors = {"p": integers(1, 2, 0, 1), "v": np.array(2.5), "a": integers(-1, 2)}
    same([node("Pad", ["x", *tensors], "y")], tensors, shape=SHAPE, opset=19)


def test_entries_named_one_by_one() -> None:
    everywhere = np.random.default_rng(0).integers(-4, 4, (1, 3, 6, 5))
    same([node("GatherElements", ["x", "i"], "y", axis=2)], {"i": everywhere}, shape=(1, 3, 4, 5))
    tuples = np.array([[[0, 1], [2, -1]]])
    same([node("GatherND", ["x", "i"], "y", batch_dims=1)], {"i": tuples}, shape=(1, 3, 4, 5))
    samples = model([node("GatherND", ["x", "i"], "y")], {"i": np.array([[0, 1]])}, shape=(2, 3, 4, 5))
    assert "samples" in refusal(UnsupportedOperators, samples).offences[0].detail


def test_writing_at_constant_places() -> None:
    places = {"i": np.array([[[[0, 2], [1, -1]]]]), "u": weights(1, 1, 2, 2)}
    same([node("ScatterElements", ["x", "i", "u"], "y", axis=3)], places, shape=(1, 3, 4, 5))
    slices = {"i": np.array([[[0, 1], [0, -1]]]), "u": weights(1, 2, 4, 5)}
    same([node("ScatterND", ["x", "i", "u"], "y")], slices, shape=(1, 3, 4, 5))
    nodes = [node("Relu", ["x"], "r"), node("ScatterND", ["k", "i", "r"], "y")]
    onto_constants = {"i": np.array([[[0, 1], [0, 2], [0, 0]]]), "k": weights(1, 4, 4)}
    same(nodes, onto_constants, shape=(1, 3, 4))
    adding = [node("ScatterND", ["x", "i", "u"], "y", reduction="add")]
    added = model(adding, slices, shape=(1, 3, 4, 5), opset=18)
    assert "combines" in refusal(UnsupportedOperators, added).offences[0].detail


def test_a_choice_by_a_constant_condition() -> None:
    chosen = {"c": np.array([True, False, True, False, True]), "k": weights(4, 5)}
    same([node("Where", ["c", "x", "k"], "y")], chosen, shape=SHAPE)
    nodes = [node("Relu", ["x"], "r"), node("Where", ["c", "r", "x"], "y")]
    same(nodes, {"c": np.ones((1, 3, 1, 5), np.bool_)}, shape=SHAPE)
    varying = [node("Greater", ["x", "k"], "c"), node("Where", ["c", "x", "k"], "y")]
    offences = refusal(UnsupportedOperators, model(varying, {"k": weights(4, 5)}, shape=SHAPE)).offences
    assert [offence.where for offence in offences] == ["make c", "make y"]


def test_conversions_between_float_types_are_nothing() -> None:
    nodes = [
        node("Cast", ["x"], "d", to=TensorProto.DOUBLE),
        node("Add", ["d", "d"], "e"),
        node("Cast", ["e"], "y", to=TensorProto.FLOAT),
    ]
    assert same(nodes, shape=SHAPE).graph.operators == {"Add": 1}
    for kind in (TensorProto.FLOAT16, TensorProto.INT64, TensorProto.BOOL):
        proto = model([node("Cast", ["x"], "h", to=kind), node("Relu", ["h"], "y")], shape=SHAPE)
        assert refusal(UnsupportedOperators, proto).offences[0].where == "make h"


@pytest.mark.parametrize(
    ("nodes", "error"),
    [
        ([node("Gather", ["x", "far"], "y", axis=1)], UnsupportedOperators),
        ([node("Gather", ["x", "one"], "y", axis=0)], UnsupportedOperators),
        ([node("Gather", ["x", "one"], "y", axis=7)], UnsupportedOperators),
        ([node("Slice", ["x", "one", "one", "one", "none"], "y")], UnsupportedOperators),
        ([node("Slice", ["x", "one", "one", "far"], "y")], UnsupportedOperators),
        ([node("Expand", ["x", "far"], "y")], UnsupportedOperators),
        ([node("GatherElements", ["x", "one"], "y", axis=1)], UnsupportedOperators),
        ([node("Pad", ["x", "one"], "y")], UnsupportedOperators),
        ([node("Pad", ["x", "wide"], "y", mode="reflect")], UnsupportedOperators),
        ([node("Pad", ["x", "wide"], "y", mode="mirror")], UnsupportedOperators),
        ([node("Tile", ["x", "one"], "y")], UnsupportedOperators),
    ],
    ids=lambda value: value[0].op_type if isinstance(value, list) else "",
)
def test_impossible_selections_are_refused_by_name(
    nodes: list[onnx.NodeProto], error: type[ModelRejected]
) -> None:
    tensors = {
        "far": integers(9),
        "one": integers(1),
        "none": integers(0),
        "wide": integers(0, 0, 9, 0, 0, 0, 0, 0),
    }
    assert refusal(error, model(nodes, tensors, shape=SHAPE)).offences[0].where == "make y"


def test_a_long_selection_is_refused_before_it_is_listed() -> None:
    proto = model([node("Expand", ["x", "s"], "y")], {"s": integers(1, 2**40)}, shape=("N", 1))
    with pytest.raises(ModelTooLarge):
        read_onnx(proto.SerializeToString(), limits=Limits(activation=1000))
