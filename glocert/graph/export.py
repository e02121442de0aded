"""A graph as an ONNX model of its own, so that a runtime that we did not write can execute it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from glocert.graph.families import FUNCTIONS
from glocert.graph.ir import Graph, Node
from glocert.graph.pooling import divisors, overhang

OPSET = 20
IR_VERSION = 9


@dataclass(slots=True)
class _Writer:
    """The model while it grows."""

    graph: Graph
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def constant(self, array: NDArray[np.generic], name: str) -> str:
        """Store a constant under a name that no tensor of the graph has."""
        while name in self.graph.shapes or name in self.graph.parameters or name in self.tensors:
            name += "'"
        self.tensors[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name

    def emit(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Append a node and return the name of its output."""
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=name, **attributes))
        return output

    def within(self, node: Node, suffix: str) -> str:
        """Name an intermediate result of ``node``."""
        name = f"{node.output}/{suffix}"
        while name in self.graph.shapes:
            name += "'"
        return name

    def shape(self, name: str) -> tuple[int, ...]:
        """Per-sample shape of an activation or a parameter."""
        return self.graph.shapes[name] if name in self.graph.shapes else self.graph.parameters[name].shape


Write = Callable[[_Writer, Node], None]
_WRITES: dict[str, Write] = {}


def write(*operators: str) -> Callable[[Write], Write]:
    """Register how ``operators`` are written."""

    def register(function: Write) -> Write:
        _WRITES.update(dict.fromkeys(operators, function))
        return function

    return register


def to_onnx(graph: Graph) -> bytes:
    """Write ``graph`` as a float32 ONNX model with a dynamic batch axis; equal graphs give equal bytes.

    Raises:
        ValueError: a float64 parameter is too large for float32.
    """
    writer = _Writer(graph)
    for name, array in graph.parameters.items():
        writer.tensors[name] = numpy_helper.from_array(_single(array, name), name)
    for node in graph.nodes:
        _WRITES[node.operator](writer, node)
    if graph.output == graph.input:
        raise ValueError("the graph has no node")
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(_proto(writer), opset_imports=opsets, producer_name="glocert")
    model.ir_version = IR_VERSION
    return bytes(model.SerializeToString(deterministic=True))


def _single(array: NDArray[np.floating], name: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(array).astype(np.float32).reshape(array.shape)
    if not np.isfinite(single).all():
        raise ValueError(f"parameter {name!r} does not fit float32")
    return single


def _proto(writer: _Writer) -> onnx.GraphProto:
    graph = writer.graph
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", *graph.shapes[name]])
        for name in (graph.input, graph.output)
    ]
    used = {name for node in writer.nodes for name in node.input}
    tensors = [tensor for name, tensor in writer.tensors.items() if name in used]
    return helper.make_graph(writer.nodes, "glocert", ends[:1], ends[1:], tensors)


def _aligned(writer: _Writer, node: Node, position: int) -> str:
    """Insert unit axes after the batch axis where the other operand has a higher rank."""
    name = node.inputs[position]
    missing = len(writer.shape(node.output)) - len(writer.shape(name))
    if not missing or not writer.graph.is_activation(name):
        return name
    return _reshaped(
        writer, name, (1,) * missing + writer.shape(name), writer.within(node, f"aligned{position}")
    )


def _reshaped(writer: _Writer, name: str, shape: tuple[int, ...], output: str) -> str:
    target = writer.constant(np.array([-1, *shape], np.int64), f"{output}/shape")
    return writer.emit("Reshape", [name, target], output)


@write("Add", "Sub", "Mul", "Div")
def _broadcast(writer: _Writer, node: Node) -> None:
    writer.emit(node.operator, [_aligned(writer, node, position) for position in range(2)], node.output)


@write("MatMul")
def _matmul(writer: _Writer, node: Node) -> None:
    x, y = node.inputs
    if writer.graph.is_activation(x) and writer.graph.is_activation(y):
        _product(writer, node)
        return
    if writer.graph.is_activation(x) or len(writer.shape(y)) > 1:
        writer.emit("MatMul", [x, y], node.output)
        return
    # W x of one vector per sample is x W^T of the batch.
    weight = writer.graph.parameters[x]
    writer.emit("MatMul", [y, writer.constant(_single(weight.T, x), f"{x}/transposed")], node.output)


def _product(writer: _Writer, node: Node) -> None:
    """Write a product of two activations: as matrices of one rank, so that the batch meets the batch."""
    shapes = [writer.shape(name) for name in node.inputs]
    full = [(1, *shapes[0]) if len(shapes[0]) == 1 else shapes[0]]
    full.append((*shapes[1], 1) if len(shapes[1]) == 1 else shapes[1])
    rank = max(map(len, full))
    names = []
    for position, (name, shape) in enumerate(zip(node.inputs, full, strict=True)):
        target = (1,) * (rank - len(shape)) + shape
        same = target == shapes[position]
        names.append(
            name if same else _reshaped(writer, name, target, writer.within(node, f"matrix{position}"))
        )
    if shapes == full:
        writer.emit("MatMul", names, node.output)
        return
    product = writer.emit("MatMul", names, writer.within(node, "product"))
    _reshaped(writer, product, writer.shape(node.output), node.output)


@write("Gemm")
def _gemm(writer: _Writer, node: Node) -> None:
    writer.emit("Gemm", node.inputs, node.output, transB=1)


@write("Conv")
def _conv(writer: _Writer, node: Node) -> None:
    attributes = {key: list(node.ints(key)) for key in ("strides", "pads", "dilations")}
    writer.emit("Conv", node.inputs, node.output, group=int(node.number("group")), **attributes)


@write("BatchNormalization")
def _normalise(writer: _Writer, node: Node) -> None:
    writer.emit("BatchNormalization", node.inputs, node.output, epsilon=node.number("epsilon"))


@write("Relu")
def _relu(writer: _Writer, node: Node) -> None:
    writer.emit("Relu", node.inputs, node.output)


@write("LeakyRelu")
def _leaky_relu(writer: _Writer, node: Node) -> None:
    writer.emit("LeakyRelu", node.inputs, node.output, alpha=node.number("alpha"))


@write("Clip")
def _clip(writer: _Writer, node: Node) -> None:
    bounds = [
        writer.constant(np.array(node.number(key), np.float32), f"{node.output}/{key}")
        if np.isfinite(node.number(key))
        else ""
        for key in ("min", "max")
    ]
    writer.emit("Clip", [*node.inputs, *bounds], node.output)


@write(*(name for name, attributes in FUNCTIONS.items() if not attributes and name != "Silu"))
def _function(writer: _Writer, node: Node) -> None:
    writer.emit(node.operator, node.inputs, node.output)


@write("Silu")
def _silu(writer: _Writer, node: Node) -> None:
    gate = writer.emit("Sigmoid", node.inputs, writer.within(node, "gate"))
    writer.emit("Mul", [*node.inputs, gate], node.output)


@write("Elu")
def _elu(writer: _Writer, node: Node) -> None:
    writer.emit("Elu", node.inputs, node.output, alpha=node.number("alpha"))


@write("Gelu")
def _gelu(writer: _Writer, node: Node) -> None:
    writer.emit("Gelu", node.inputs, node.output, approximate=node.attributes["approximate"])


@write("Pow")
def _power(writer: _Writer, node: Node) -> None:
    exponent = np.array(node.number("exponent"), np.float32)
    writer.emit("Pow", [*node.inputs, writer.constant(exponent, f"{node.output}/exponent")], node.output)


@write("Softmax")
def _softmax(writer: _Writer, node: Node) -> None:
    writer.emit("Softmax", node.inputs, node.output, axis=int(node.number("axis")) + 1)


@write("Gather")
def _gather(writer: _Writer, node: Node) -> None:
    positions = writer.constant(np.array(node.ints("indices"), np.int64), f"{node.output}/indices")
    writer.emit("Gather", [*node.inputs, positions], node.output, axis=int(node.number("axis")) + 1)


@write("ReduceSum")
def _reduce_sum(writer: _Writer, node: Node) -> None:
    axes = np.array([axis + 1 for axis in node.ints("axes")], np.int64)
    inputs = [*node.inputs, writer.constant(axes, f"{node.output}/axes")]
    writer.emit("ReduceSum", inputs, node.output, keepdims=0)


def _pads(writer: _Writer, node: Node) -> list[int]:
    """Return pads with which a runtime that rounds down finds exactly the graph's windows."""
    sizes, windows = writer.shape(node.inputs[0])[1:], writer.shape(node.output)[1:]
    return [*node.ints("pads")[:2], *(max(0, end) for end in overhang(node, sizes, windows))]


@write("MaxPool")
def _max_pool(writer: _Writer, node: Node) -> None:
    attributes: dict[str, Any] = {
        key: list(node.ints(key)) for key in ("kernel_shape", "strides", "dilations")
    }
    pads = _pads(writer, node)
    if any(pad >= size for pad, size in zip(pads, node.ints("kernel_shape") * 2, strict=True)):
        # onnxruntime takes no such pads; rounding up finds the same windows.
        pads, attributes["ceil_mode"] = list(node.ints("pads")), 1
    writer.emit("MaxPool", node.inputs, node.output, pads=pads, **attributes)


@write("AveragePool")
def _average_pool(writer: _Writer, node: Node) -> None:
    """Write the sum as a convolution with ones: runtimes disagree on the divisors at the border."""
    channels, *sizes = writer.shape(node.inputs[0])
    kernel = np.ones((channels, 1, *node.ints("kernel_shape")), np.float32)
    inputs = [node.inputs[0], writer.constant(kernel, f"{node.output}/ones")]
    attributes = {"pads": _pads(writer, node), "strides": list(node.ints("strides"))}
    sums = writer.emit("Conv", inputs, writer.within(node, "sums"), group=channels, **attributes)
    counts = divisors(node, tuple(sizes), writer.shape(node.output)[1:]).astype(np.float32)
    writer.emit("Div", [sums, writer.constant(counts, f"{node.output}/counts")], node.output)


@write("Reshape")
def _reshape(writer: _Writer, node: Node) -> None:
    _reshaped(writer, node.inputs[0], writer.shape(node.output), node.output)


@write("Transpose")
def _transpose(writer: _Writer, node: Node) -> None:
    writer.emit("Transpose", node.inputs, node.output, perm=[0, *(axis + 1 for axis in node.ints("perm"))])


@write("Concat")
def _concat(writer: _Writer, node: Node) -> None:
    axis = int(node.number("axis"))
    if all(writer.graph.is_activation(name) for name in node.inputs):
        writer.emit("Concat", node.inputs, node.output, axis=axis + 1)
        return
    # Constants know no batch: everything is padded to full length with zeros and added up, which is exact.
    shape, start = writer.shape(node.output), 0
    known, total = np.zeros(shape, np.float32), ""
    for position, name in enumerate(node.inputs):
        size = writer.shape(name)[axis]
        if writer.graph.is_activation(name):
            part = _widened(writer, node, position, axis, (start, shape[axis] - start - size))
            pair = writer.within(node, f"sum{position}")
            total = writer.emit("Add", [total, part], pair) if total else part
        else:
            np.moveaxis(known, axis, 0)[start : start + size] = np.moveaxis(
                _single(writer.graph.parameters[name], name), axis, 0
            )
        start += size
    writer.emit("Add", [total, writer.constant(known, f"{node.output}/constants")], node.output)


def _widened(writer: _Writer, node: Node, position: int, axis: int, ends: tuple[int, int]) -> str:
    """Surround one input of a Concat with zeros along ``axis``."""
    rank = len(writer.shape(node.output))
    pads = np.zeros((2, rank + 1), np.int64)
    pads[:, axis + 1] = ends
    sizes = writer.constant(pads.ravel(), f"{node.output}/pads{position}")
    return writer.emit("Pad", [node.inputs[position], sizes], writer.within(node, f"padded{position}"))


@write("Pad")
def _pad(writer: _Writer, node: Node) -> None:
    pads = node.ints("pads")
    rank = len(pads) // 2
    sizes = np.array([0, *pads[:rank], 0, *pads[rank:]], np.int64)
    value = np.array(node.number("value"), np.float32)
    inputs = [writer.constant(sizes, f"{node.output}/pads"), writer.constant(value, f"{node.output}/value")]
    writer.emit("Pad", [*node.inputs, *inputs], node.output)
