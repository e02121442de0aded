"""Normalisations and attention of ONNX, compared with onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto

from glocert.errors import InvalidGraph, UnsupportedOperators
from tests.glocert.graph.agreement import agree, normal, operators, opsets
from tests.glocert.graph.importing import refusal
from tests.glocert.graph.onnx_models import model, node, weights

torch.set_num_threads(1)

STANDARD = ["ReduceSum", "Div", "Reshape", "Sub", "Pow", "ReduceSum", "Div", "Reshape", "Add", "Pow", "Mul"]


def _small(shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of ordinary size: float32 loses what is far from the mean of large ones."""
    x = normal(shape) / 4
    x[0] = np.random.default_rng(7).random(shape)
    return x


@pytest.mark.parametrize("opset", opsets("LayerNormalization"))
@pytest.mark.parametrize("axis", [-1, 1, 2, None])
@pytest.mark.parametrize("bias", [True, False])
def test_layer_normalization(opset: int, axis: int | None, bias: bool) -> None:
    shape = (3, 4, 2)
    tail = shape[-1:] if axis in (-1, None) else shape[axis - 1 :]
    attributes = {"epsilon": 1e-3} if axis is None else {"axis": axis}
    tensors = {"s": weights(*tail)} | ({"b": weights(*tail)} if bias else {})
    layer = node("LayerNormalization", ["x", *tensors], "y", **attributes)
    graph = agree(model([layer], tensors, shape=["N", *shape], opset=opset), _small(shape)).graph
    names = operators(graph)
    assert names.count("Pow") == 2
    assert names.count("Mul") == 2
    assert set(names) <= {*STANDARD, "Mul"}


def test_a_layer_normalization_is_few_nodes_and_keeps_its_epsilon() -> None:
    layer = node("LayerNormalization", ["x", "s"], "y", epsilon=1e-3, stash_type=1)
    graph = agree(model([layer], {"s": weights(4)}), _small((4,))).graph
    assert sorted(operators(graph)) == sorted([*STANDARD, "Mul"])
    assert float(np.float32(1e-3)) in [float(array) for array in graph.parameters.values() if not array.shape]
    assert [node.attributes["exponent"] for node in graph.nodes if node.operator == "Pow"] == [2.0, -0.5]


def test_a_scale_that_varies() -> None:
    nodes = [node("Tanh", ["x"], "t"), node("LayerNormalization", ["x", "t", "t"], "y", axis=1)]
    # The operator's own check of shapes in onnxruntime admits no batch of scales but one.
    agree(model(nodes, shape=[1, 4]), _small((4,))[:1])


@pytest.mark.parametrize("axis", [-1, 1])
def test_rms_normalization(axis: int) -> None:
    shape = (3, 4)
    layer = node("RMSNormalization", ["x", "s"], "y", axis=axis)
    tensors = {"s": weights(*(shape[-1:] if axis == -1 else shape))}
    graph = agree(model([layer], tensors, shape=["N", *shape], opset=23), _small(shape)).graph
    assert "Sub" not in operators(graph)
    assert operators(graph).count("Mul") == 2


@pytest.mark.parametrize("opset", opsets("InstanceNormalization"))
@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4), (1, 2, 2)])
def test_instance_normalization(opset: int, shape: tuple[int, ...]) -> None:
    layer = node("InstanceNormalization", ["x", "s", "b"], "y", epsilon=1e-2)
    tensors = {"s": weights(shape[0]), "b": weights(shape[0])}
    agree(model([layer], tensors, shape=["N", *shape], opset=opset), _small(shape))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("opset", opsets("GroupNormalization"))
@pytest.mark.parametrize("shape", [(4, 3, 2), (4, 5)])
def test_group_normalization(groups: int, opset: int, shape: tuple[int, ...]) -> None:
    count = groups if opset < 21 else shape[0]
    layer = node("GroupNormalization", ["x", "s", "b"], "y", num_groups=groups)
    tensors = {"s": weights(count), "b": weights(count)}
    agree(model([layer], tensors, shape=["N", *shape], opset=opset), _small(shape))


def test_a_group_normalization_with_parameters_of_the_other_opset_is_refused() -> None:
    layer = node("GroupNormalization", ["x", "s", "b"], "y", num_groups=2)
    for opset, count in ((20, 4), (21, 2)):
        proto = model([layer], {"s": weights(count), "b": weights(count)}, shape=["N", 4, 3], opset=opset)
        assert refusal(UnsupportedOperators, proto).offences[0].where == "make y"
    odd = model([layer], {"s": weights(3), "b": weights(3)}, shape=["N", 3, 3], opset=21)
    assert refusal(InvalidGraph, odd).offences[0].where == "make y"


@pytest.mark.parametrize("opset", opsets("LpNormalization"))
@pytest.mark.parametrize("attributes", [{}, {"p": 2, "axis": 1}, {"p": 1, "axis": 2}])
def test_lp_normalization(opset: int, attributes: Mapping[str, int]) -> None:
    x = _small((3, 4)) + np.float32(0.05)
    layer = node("LpNormalization", ["x"], "y", **attributes)
    agree(model([layer], shape=["N", 3, 4], opset=opset), x)


@pytest.mark.parametrize("opset", opsets("MeanVarianceNormalization"))
def test_mean_variance_normalization(opset: int) -> None:
    layer = node("MeanVarianceNormalization", ["x"], "y", axes=[2, 3])
    agree(model([layer], shape=["N", 2, 3, 4], opset=opset), _small((2, 3, 4)))
    across = node("MeanVarianceNormalization", ["x"], "y")
    error = refusal(UnsupportedOperators, model([across], shape=["N", 2, 3, 4], opset=opset))
    assert "batch" in error.offences[0].detail


def test_half_precision_inside_is_refused() -> None:
    layer = node("LayerNormalization", ["x", "s"], "y", stash_type=TensorProto.BFLOAT16)
    error = refusal(UnsupportedOperators, model([layer], {"s": weights(4)}))
    assert "half precision" in error.offences[0].detail


def _attention(**attributes: object) -> list[onnx.NodeProto]:
    """Queries, keys and values as three slices of the input's last axis but one."""
    nodes = [node("Split", ["x", "sizes"], "q", axis=attributes.pop("split", 1))]
    nodes[0].output.extend(["k", "v"])
    return [*nodes, node("Attention", ["q", "k", "v"], "y", **attributes)]


@pytest.mark.parametrize("scale", [None, 0.3])
def test_attention_with_heads_of_their_own(scale: float | None) -> None:
    attributes = {} if scale is None else {"scale": scale}
    nodes = _attention(split=2, **attributes)
    proto = model(nodes, {"sizes": np.array([3, 5, 5])}, shape=["N", 2, 13, 4], opset=23)
    graph = agree(proto, _small((2, 13, 4))).graph
    assert operators(graph).count("MatMul") == 2
    assert graph.output_shape == (2, 3, 4)


@pytest.mark.parametrize(("queries", "keys", "widths"), [(2, 2, [6, 6, 8]), (4, 2, [12, 6, 8])])
def test_attention_with_joined_heads(queries: int, keys: int, widths: list[int]) -> None:
    nodes = _attention(split=2, q_num_heads=queries, kv_num_heads=keys)
    proto = model(nodes, {"sizes": np.array(widths)}, shape=["N", 3, sum(widths)], opset=23)
    graph = agree(proto, _small((3, sum(widths)))).graph
    assert operators(graph).count("Gather") == (3 if queries == keys else 5)
    assert graph.output_shape == (3, queries * widths[2] // keys)


def test_attention_with_a_stored_mask() -> None:
    nodes = _attention(split=2)
    nodes[-1].input.append("mask")
    tensors = {"sizes": np.array([4, 4, 4]), "mask": weights(4, 4)}
    agree(model(nodes, tensors, shape=["N", 2, 12, 4], opset=23), _small((2, 12, 4)))


@pytest.mark.parametrize(
    ("attributes", "mask", "reason"),
    [
        ({"is_causal": 1}, None, "causal"),
        ({"softcap": 2.0}, None, "cap"),
        ({"softmax_precision": TensorProto.FLOAT16}, None, "half precision"),
        ({}, np.array([[True, False], [True, True]]), "mask"),
        ({}, np.array([[0.0, -np.inf], [0.0, 0.0]]), "mask"),
    ],
)
def test_other_attention_is_refused(attributes: dict[str, object], mask: object, reason: str) -> None:
    nodes = _attention(split=2, **attributes)
    tensors: dict[str, object] = {"sizes": np.array([2, 2, 2])}
    if mask is not None:
        nodes[-1].input.append("mask")
        tensors["mask"] = mask
    error = refusal(UnsupportedOperators, model(nodes, tensors, shape=["N", 2, 6, 4], opset=23))
    assert reason in error.offences[0].detail


def test_an_exported_layer_normalization_is_as_few_nodes() -> None:
    nodes = [
        node("ReduceMean", ["x"], "m", axes=[-1]),
        node("Sub", ["x", "m"], "d"),
        node("Pow", ["d", "two"], "s"),
        node("ReduceMean", ["s"], "v", axes=[-1]),
        node("Add", ["v", "epsilon"], "e"),
        node("Sqrt", ["e"], "r"),
        node("Div", ["d", "r"], "n"),
        node("Mul", ["n", "w"], "y"),
    ]
    tensors = {"two": np.array(2.0), "epsilon": np.array(1e-5), "w": weights(4)}
    graph = agree(model(nodes, tensors), _small((4,))).graph
    assert sorted(operators(graph)) == sorted([*STANDARD, "Mul"])


NORMS = ["ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"]


@pytest.mark.parametrize("kind", NORMS)
@pytest.mark.parametrize(("axes", "keepdims"), [([1], 1), ([-1], 0), ([1, 2], 1), ([2, 1], 0)])
def test_norms_and_logarithms_over_axes(kind: str, axes: list[int], keepdims: int) -> None:
    x = np.abs(_small((3, 4))) + np.float32(0.1)
    for opset in opsets(kind):
        if opset < 18:
            proto = model(
                [node(kind, ["x"], "y", axes=axes, keepdims=keepdims)], shape=["N", 3, 4], opset=opset
            )
        else:
            layer = node(kind, ["x", "axes"], "y", keepdims=keepdims)
            proto = model([layer], {"axes": np.array(axes)}, shape=["N", 3, 4], opset=opset)
        agree(proto, x)


@pytest.mark.parametrize("kind", NORMS)
def test_a_norm_over_no_axes_or_over_the_batch_is_refused(kind: str) -> None:
    for layer in (node(kind, ["x"], "y", noop_with_empty_axes=1), node(kind, ["x"], "y")):
        assert refusal(UnsupportedOperators, model([layer], opset=18)).offences[0].where == "make y"
