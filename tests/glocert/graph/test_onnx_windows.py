"""Convolutions and pooling over one, two and three axes, compared with onnxruntime."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from glocert.errors import InvalidGraph, ModelRejected, ModelTooLarge, UnsupportedOperators
from tests.glocert.graph.exactly import compared, doubled, same
from tests.glocert.graph.importing import refusal
from tests.glocert.graph.onnx_models import model, node, weights

torch.set_num_threads(1)
Draw = Callable[[st.SearchStrategy], object]


def _sizes(draw: Draw, rank: int, low: int, high: int) -> list[int]:
    return [draw(st.integers(low, high)) for _ in range(rank)]


def _padding(draw: Draw, kernel: list[int]) -> dict[str, object]:
    mode = draw(st.sampled_from(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if mode != "NOTSET":
        return {"auto_pad": mode}
    return {"pads": [draw(st.integers(0, size - 1)) for size in (*kernel, *kernel)]}


def _compared(kind: str, tensors: dict[str, object], shape: list[int], opset: int, attributes) -> None:
    proto = model([node(kind, ["x", *tensors], "y", **attributes)], tensors, shape=["N", *shape], opset=opset)
    assume(compared(proto) is not None)


@settings(max_examples=150)
@given(st.data())
def test_convolutions(data: st.DataObject) -> None:
    draw = data.draw
    rank, group = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2]))
    kernel = _sizes(draw, rank, 1, 3)
    attributes = {"strides": _sizes(draw, rank, 1, 3), "group": group, **_padding(draw, kernel)}
    if "auto_pad" not in attributes:
        attributes["dilations"] = _sizes(draw, rank, 1, 2)
    tensors = {"W": weights(4, 4 // group, *kernel)}
    if draw(st.booleans()):
        tensors["b"] = weights(4)
    _compared("Conv", tensors, [4, *_sizes(draw, rank, 3, 6)], draw(st.sampled_from([7, 11, 22])), attributes)


@settings(max_examples=200)
@given(st.data())
def test_transposed_convolutions(data: st.DataObject) -> None:
    draw = data.draw
    rank, group = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2]))
    kernel, strides = _sizes(draw, rank, 1, 4), _sizes(draw, rank, 1, 3)
    sizes, padding = _sizes(draw, rank, 1, 4), _padding(draw, kernel)
    if "auto_pad" in padding:  # what it means for a stride beyond the kernel is disputed
        strides = [min(stride, size) for stride, size in zip(strides, kernel, strict=True)]
    attributes: dict[str, object] = {"strides": strides, "group": group, **padding}
    if "auto_pad" not in attributes:
        attributes["dilations"] = _sizes(draw, rank, 1, 2)
        attributes["output_padding"] = [draw(st.integers(0, stride - 1)) for stride in strides]
    elif draw(st.booleans()):
        attributes["output_shape"] = [
            draw(st.integers(1, (size - 1) * stride + extent))
            for size, stride, extent in zip(sizes, strides, kernel, strict=True)
        ]
    tensors = {"W": weights(4, 3, *kernel)}
    if draw(st.booleans()):
        tensors["b"] = weights(3 * group)
    opset = draw(st.sampled_from([7, 11, 22]))
    _compared("ConvTranspose", tensors, [4, *sizes], opset, attributes)


@settings(max_examples=200)
@given(st.data())
def test_pooling(data: st.DataObject) -> None:
    draw = data.draw
    rank, kind = draw(st.integers(1, 3)), draw(st.sampled_from(["MaxPool", "AveragePool"]))
    kernel = _sizes(draw, rank, 1, 3)
    attributes = {"kernel_shape": kernel, **_padding(draw, kernel)}
    attributes["strides"] = [draw(st.integers(1, size)) for size in kernel]
    opset = draw(st.sampled_from([10, 12, 19, 22]))
    if kind == "AveragePool":
        attributes["count_include_pad"] = draw(st.integers(0, 1))
    if "auto_pad" not in attributes:
        # A runtime before opset 19 counts what hangs over the end of an average in its own way.
        ceil = kind == "MaxPool" or opset >= 19
        attributes["ceil_mode"] = draw(st.integers(0, 1)) if ceil else 0
    _compared(kind, {}, [2, *_sizes(draw, rank, 4, 7)], opset, attributes)


@settings(max_examples=60)
@given(st.data())
def test_dilated_pooling(data: st.DataObject) -> None:
    draw = data.draw
    rank, kind = draw(st.integers(1, 3)), draw(st.sampled_from(["MaxPool", "AveragePool"]))
    kernel = _sizes(draw, rank, 1, 3)
    attributes = {
        "kernel_shape": kernel,
        "dilations": _sizes(draw, rank, 1, 2),
        "strides": _sizes(draw, rank, 1, 2),
        "pads": [draw(st.integers(0, size - 1)) for size in (*kernel, *kernel)],
    }
    if kind == "AveragePool":
        attributes["count_include_pad"] = draw(st.integers(0, 1))
    _compared(kind, {}, [2, *_sizes(draw, rank, 6, 8)], 19, attributes)


@pytest.mark.parametrize("kind", ["GlobalAveragePool", "GlobalMaxPool"])
@pytest.mark.parametrize("sizes", [(5,), (4, 3), (2, 3, 4)])
@pytest.mark.parametrize("double", [False, True])
def test_pooling_over_everything(kind: str, sizes: tuple[int, ...], double: bool) -> None:
    proto = model([node(kind, ["x"], "y")], shape=["N", 3, *sizes])
    result = compared(doubled(proto) if double else proto)
    assert (result is None) == double  # onnxruntime has no such kernel in float64
    if result is not None:
        assert result.graph.output_shape == (3, *(1 for _ in sizes))


def test_pooling_in_float64() -> None:
    nodes = [node("MaxPool", ["x"], "y", kernel_shape=[2, 1, 2], strides=[1, 2, 1])]
    assert same(nodes, shape=("N", 3, 4, 4, 3), double=True).dtype == "float64"


def test_a_transposed_convolution_is_one_convolution_without_inserted_zeros() -> None:
    nodes = [node("ConvTranspose", ["x", "W"], "y", strides=[2, 2], pads=[1, 1, 1, 1])]
    graph = same(nodes, {"W": weights(3, 2, 4, 4)}, shape=("N", 3, 5, 5)).graph
    (convolution,) = [one for one in graph.nodes if one.operator == "Conv"]
    (kernel,) = graph.parameters.values()
    assert convolution.ints("strides") == (1, 1)
    assert kernel.shape == (2 * 4, 3, 2, 2)
    np.testing.assert_array_equal(np.sort(kernel, axis=None), np.sort(weights(3, 2, 4, 4), axis=None))


def test_a_volume_is_convolved_without_a_new_number() -> None:
    nodes = [node("Conv", ["x", "W", "b"], "y", strides=[1, 2, 1], pads=[1, 0, 1, 0, 1, 1])]
    tensors = {"W": weights(2, 3, 2, 3, 2), "b": weights(2)}
    graph = same(nodes, tensors, shape=("N", 3, 4, 6, 5)).graph
    assert graph.operators["Conv"] == 1
    assert sorted(array.size for array in graph.parameters.values()) == [2, 2 * 3 * 2 * 3 * 2]


@pytest.mark.parametrize(
    ("kind", "attributes", "sizes", "error"),
    [
        ("LpPool", {"kernel_shape": [2, 2]}, (4, 4), UnsupportedOperators),
        ("MaxPool", {"kernel_shape": [2] * 4}, (4, 4, 4, 4), UnsupportedOperators),
        ("MaxPool", {"kernel_shape": [2, 2]}, (4, 4, 4), InvalidGraph),
        ("MaxPool", {"kernel_shape": [2], "pads": [2, 2], "strides": [1]}, (4,), UnsupportedOperators),
        ("AveragePool", {"kernel_shape": [2], "pads": [2, 2], "strides": [1]}, (4,), UnsupportedOperators),
        ("MaxPool", {"kernel_shape": [2, 2], "pads": [0, 0, 10**9, 0]}, (4, 4), ModelTooLarge),
    ],
)
def test_impossible_windows_are_refused_by_name(
    kind: str, attributes: dict[str, object], sizes: tuple[int, ...], error: type[ModelRejected]
) -> None:
    proto = model([node(kind, ["x"], "y", **attributes)], shape=["N", 2, *sizes])
    assert refusal(error, proto).offences[0].where == "make y"


@pytest.mark.parametrize(
    ("attributes", "tensors", "error"),
    [
        ({"strides": [10**6, 10**6]}, {"W": weights(2, 2, 2, 2)}, ModelTooLarge),
        ({"pads": [9, 9, 9, 9]}, {"W": weights(2, 2, 2, 2)}, UnsupportedOperators),
        ({"output_shape": [99, 9]}, {"W": weights(2, 2, 2, 2)}, UnsupportedOperators),
        ({"group": 3}, {"W": weights(2, 2, 2, 2)}, InvalidGraph),
        ({}, {"W": weights(3, 2, 2, 2)}, InvalidGraph),
        ({}, {"W": weights(2, 2, 2, 2), "b": weights(3)}, InvalidGraph),
        ({"strides": [0, 1]}, {"W": weights(2, 2, 2, 2)}, InvalidGraph),
    ],
)
def test_impossible_transposed_convolutions_are_refused_by_name(
    attributes: dict[str, object], tensors: dict[str, object], error: type[ModelRejected]
) -> None:
    nodes: list[onnx.NodeProto] = [node("ConvTranspose", ["x", *tensors], "y", **attributes)]
    assert refusal(error, model(nodes, tensors, shape=["N", 2, 4, 4])).offences[0].where == "make y"
