"""Comparing an imported ONNX model with onnxruntime, shapes and both float types included."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, numpy_helper

from glocert.graph.imported import Imported
from glocert.graph.onnx import read_onnx
from glocert.graph.run import run
from tests.glocert.graph.onnx_models import model

ROWS = 2


def doubled(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same model in float64."""
    result = onnx.ModelProto.FromString(proto.SerializeToString())
    for tensor in result.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in {"scales", "roi"}:
            array = numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for value in (*result.graph.input, *result.graph.output):
        value.type.tensor_type.elem_type = TensorProto.DOUBLE
    return result


def runtime(proto: onnx.ModelProto, x: np.ndarray) -> np.ndarray | None:
    """What onnxruntime returns, None where it refuses the model or the input."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    try:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
        return np.asarray(session.run(None, {session.get_inputs()[0].name: x})[0])
    except Exception:  # noqa: BLE001 - its error classes are not public
        return None


def rows(proto: onnx.ModelProto) -> np.ndarray:
    """Normal numbers of the model's input shape and type."""
    entry = proto.graph.input[0].type.tensor_type
    shape = [axis.dim_value or ROWS for axis in entry.shape.dim]
    dtype = np.float64 if entry.elem_type == TensorProto.DOUBLE else np.float32
    return np.random.default_rng(shape).normal(size=shape).astype(dtype)


def compared(proto: onnx.ModelProto, tolerance: float = 1e-5) -> Imported | None:
    """Import and compare, shapes included; None where onnxruntime takes no such model."""
    x = rows(proto)
    theirs = runtime(proto, x)
    if theirs is None:
        return None
    result = read_onnx(proto.SerializeToString())
    ours = run(result.graph, torch.from_numpy(x)).numpy()
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * max(1, np.abs(theirs).max()))
    return result


def same(
    nodes: list[onnx.NodeProto],
    tensors: dict[str, object] | None = None,
    *,
    shape: tuple[int | str, ...],
    opset: int = 17,
    double: bool = False,
    outputs: tuple[str, ...] = ("y",),
) -> Imported:
    """Import a small model and compare it; onnxruntime must take it."""
    proto = model(nodes, tensors, shape=shape, opset=opset, outputs=outputs)
    proto.ir_version = 10 if opset > 20 else 8
    result = compared(doubled(proto) if double else proto)
    assert result is not None, "onnxruntime refuses the model"
    return result
