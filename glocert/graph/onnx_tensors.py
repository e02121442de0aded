"""Stored ONNX tensors as arrays, checked before memory is asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from glocert.errors import InvalidGraph, Offence
from glocert.graph.limits import Limits
from glocert.graph.onnx_file import is_external
from glocert.graph.values import BATCH, Constant

_BYTES: dict[int, int] = {
    TensorProto.FLOAT: 4,
    TensorProto.DOUBLE: 8,
    TensorProto.FLOAT16: 2,
    TensorProto.INT64: 8,
    TensorProto.INT32: 4,
    TensorProto.INT8: 1,
    TensorProto.UINT8: 1,
    TensorProto.BOOL: 1,
}
_STORED_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)
_FIELDS: dict[int, str] = {
    TensorProto.FLOAT: "float_data",
    TensorProto.DOUBLE: "double_data",
    TensorProto.INT64: "int64_data",
}


def check_declared(tensor: TensorProto, limits: Limits) -> None:
    """Compare what a tensor declares with what it carries.

    Raises:
        InvalidGraph: a negative dimension, an unknown type, or data of another length.
        ModelTooLarge: more axes or more elements than the limits allow.
    """
    if is_external(tensor):
        raise _invalid(tensor, "its numbers are in another file")  # whatever else it carries
    if len(tensor.dims) > limits.rank:
        raise limits.exceeded(f"Tensor {tensor.name!r} has {len(tensor.dims)} axes", "rank")
    if any(size < 0 for size in tensor.dims):
        raise _invalid(tensor, f"its shape {list(tensor.dims)} has a negative dimension")
    if tensor.data_type not in _BYTES:
        raise _invalid(tensor, f"its type {_type_name(tensor.data_type)} is not supported")
    count = math.prod(tensor.dims)
    if tensor.HasField("raw_data"):
        carried, unit = len(tensor.raw_data), _BYTES[tensor.data_type]
    else:
        carried, unit = len(getattr(tensor, _FIELDS.get(tensor.data_type, "int32_data"))), 1
    if carried != count * unit:
        raise _invalid(tensor, "its declared shape does not match the data that it carries")
    if count > limits.tensor:
        raise limits.exceeded(f"Tensor {tensor.name!r} has {count} elements", "tensor")


def _invalid(tensor: TensorProto, detail: str) -> InvalidGraph:
    where = tensor.name or "a constant"
    return InvalidGraph(f"Tensor {where!r}: {detail}.", [Offence(where, detail)])


def _type_name(data_type: int) -> str:
    known = data_type in TensorProto.DataType.values()
    return str(TensorProto.DataType.Name(data_type)) if known else str(data_type)


def constant(tensor: TensorProto, name: str) -> Constant:
    """Decode a checked tensor; float16 is widened, which is exact."""
    array: NDArray[np.generic] = numpy_helper.to_array(tensor)
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    if np.issubdtype(array.dtype, np.integer) and (array == BATCH).any():
        raise _invalid(tensor, "it holds an impossible length")
    return Constant(array, name)


def load_initializers(graph: onnx.GraphProto, limits: Limits) -> dict[str, Constant]:
    """Decode every initialiser after all of them were checked."""
    for tensor in graph.initializer:
        check_declared(tensor, limits)
    total = sum(math.prod(tensor.dims) for tensor in graph.initializer)
    if total > limits.parameters:
        raise limits.exceeded(f"The model has {total} weights", "parameters")
    return {tensor.name: constant(tensor, tensor.name) for tensor in graph.initializer}


def stored_weights(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> int:
    """Count the floats that the file stores for ``nodes``, as initialisers or as Constant nodes."""
    read = {name for node in nodes for name in node.input}
    stored = [tensor for tensor in graph.initializer if tensor.name in read]
    stored += [attribute.t for node in nodes if node.op_type == "Constant" for attribute in node.attribute]
    return sum(math.prod(tensor.dims) for tensor in stored if tensor.data_type in _STORED_FLOATS)
