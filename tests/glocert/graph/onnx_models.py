"""Small ONNX models written out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Shape = Sequence[int | str]


def node(operator: str, inputs: Sequence[str], output: str, **attributes: object) -> onnx.NodeProto:
    """A node that is named after its output."""
    return helper.make_node(operator, list(inputs), [output], name=f"make {output}", **attributes)


def model(
    nodes: Sequence[onnx.NodeProto],
    tensors: Mapping[str, object] | None = None,
    *,
    shape: Shape = ("N", 4),
    opset: int = 17,
    kind: int = TensorProto.FLOAT,
    outputs: Sequence[str] = ("y",),
) -> onnx.ModelProto:
    """A model from ``x`` to ``outputs``; float64 arrays and lists are stored as float32."""
    stored = []
    for name, value in (tensors or {}).items():
        array = np.asarray(value)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        stored.append(numpy_helper.from_array(array, name))
    entry = helper.make_tensor_value_info("x", kind, shape)
    ends = [helper.make_tensor_value_info(name, kind, None) for name in outputs]
    graph = helper.make_graph(list(nodes), "small", [entry], ends, stored)
    result = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    result.ir_version = 8
    return result


def weights(*shape: int) -> np.ndarray:
    """The same normal numbers for the same shape."""
    return np.random.default_rng(shape).normal(size=shape).astype(np.float32)


def dense(shape: Shape = ("N", 4), **options: object) -> onnx.ModelProto:
    """A network of two layers, 4 -> 5 -> 3."""
    nodes = [
        node("Gemm", ["x", "W1", "b1"], "h", transB=1),
        node("Relu", ["h"], "r"),
        node("Gemm", ["r", "W2", "b2"], "y", transB=1),
    ]
    tensors = {"W1": weights(5, 4), "b1": weights(5), "W2": weights(3, 5), "b2": weights(3)}
    return model(nodes, tensors, shape=shape, **options)
