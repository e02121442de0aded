"""Random small ONNX networks over every operator that is imported, in the forms of old and new opsets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnxruntime
from hypothesis import assume
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

SYMBOL = "N"
Draw = Callable[[st.SearchStrategy], object]


@dataclass
class Network:
    """An ONNX graph while it is drawn."""

    draw: Draw
    opset: int
    batch: int | str
    shape: list[int]
    rng: np.random.Generator
    value: str = "x"
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(array, name))
        return name

    def weights(self, *shape: int) -> str:
        return self.constant(self.rng.normal(size=shape).astype(np.float32))

    def positive(self, *shape: int) -> str:
        return self.constant((self.rng.random(shape) + 0.5).astype(np.float32))

    def emit(self, operator: str, inputs: list[str], **attributes: object) -> str:
        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def integers(self, values: list[int]) -> str:
        return self.constant(np.array(values, np.int64))

    def model(self, output: str) -> onnx.ModelProto:
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [self.batch, *self.shape])
        y = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "random", [x], [y], self.tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = 8
        return model

    def shape_of(self, output: str) -> list[int] | None:
        """Per-sample shape by onnxruntime, None where it finds the layer impossible or a window empty."""
        rows = self.batch if isinstance(self.batch, int) else 2
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 4, 1
        try:
            session = onnxruntime.InferenceSession(self.model(output).SerializeToString(), options)
            (y,) = session.run(None, {"x": np.ones((rows, *self.shape), np.float32)})
        except Exception:  # noqa: BLE001 - its error classes are not public
            return None
        fits = 1 <= y.ndim - 1 <= 3 and y.shape[0] == rows and 0 < y.size < 5000
        return list(y.shape[1:]) if fits and np.abs(y).max() < 1e30 else None


def _pair(draw: Draw, low: int, high: int) -> list[int]:
    return [draw(st.integers(low, high)), draw(st.integers(low, high))]


def _padding(net: Network, kernel: list[int]) -> dict[str, object]:
    mode = net.draw(st.sampled_from(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if mode != "NOTSET":
        return {"auto_pad": mode}
    return {"pads": [net.draw(st.integers(0, size - 1)) for size in (*kernel, *kernel)]}


def _strides(net: Network, kernel: list[int]) -> list[int]:
    """No further than the kernel: what auto_pad means beyond is disputed."""
    return [net.draw(st.integers(1, size)) for size in kernel]


def conv(net: Network, x: str, shape: list[int]) -> str:
    group = net.draw(st.sampled_from([g for g in (1, 2, 3) if shape[0] % g == 0]))
    kernel = _pair(net.draw, 1, 3)
    outputs = group * net.draw(st.integers(1, 2))
    padding = _padding(net, kernel)
    inputs = [x, net.weights(outputs, shape[0] // group, *kernel)]
    if net.draw(st.booleans()):
        inputs.append(net.weights(outputs))
    strides, dilations = _pair(net.draw, 1, 2), [1, 1] if "auto_pad" in padding else _pair(net.draw, 1, 2)
    return net.emit("Conv", inputs, group=group, strides=strides, dilations=dilations, **padding)


def max_pool(net: Network, x: str, shape: list[int]) -> str:
    kernel = [min(size, room) for size, room in zip(_pair(net.draw, 1, 3), shape[1:], strict=True)]
    attributes = {"kernel_shape": kernel, "strides": _strides(net, kernel), **_padding(net, kernel)}
    if net.opset >= 10 and "auto_pad" not in attributes:
        # onnxruntime lets a window hang out of a smaller input; nobody should rely on it.
        dilations = [
            min(2 if size > 2 * k - 2 else 1, d)
            for size, k, d in zip(shape[1:], kernel, _pair(net.draw, 1, 2), strict=True)
        ]
        attributes |= {"ceil_mode": net.draw(st.integers(0, 1)), "dilations": dilations}
    return net.emit("MaxPool", [x], **attributes)


def average_pool(net: Network, x: str, shape: list[int]) -> str:
    kernel = [min(size, room) for size, room in zip(_pair(net.draw, 1, 3), shape[1:], strict=True)]
    attributes = {"kernel_shape": kernel, "strides": _strides(net, kernel), **_padding(net, kernel)}
    attributes["count_include_pad"] = net.draw(st.integers(0, 1))
    if net.opset >= 10 and "auto_pad" not in attributes:
        attributes["ceil_mode"] = net.draw(st.integers(0, 1))
    return net.emit("AveragePool", [x], **attributes)


def global_average_pool(net: Network, x: str, shape: list[int]) -> str:
    return net.emit("GlobalAveragePool", [x])


def relu(net: Network, x: str, shape: list[int]) -> str:
    return net.emit("Relu", [x])


def leaky_relu(net: Network, x: str, shape: list[int]) -> str:
    return net.emit("LeakyRelu", [x], alpha=net.draw(st.sampled_from([0.01, 0.3, -0.5, 2.0])))


def clip(net: Network, x: str, shape: list[int]) -> str:
    low, high = net.draw(st.sampled_from([(-1.0, 1.0), (0.0, 6.0), (-0.5, None), (None, 0.25)]))
    if net.opset < 11:
        bounds = {"min": low, "max": high}
        return net.emit("Clip", [x], **{key: value for key, value in bounds.items() if value is not None})
    names = ["" if bound is None else net.constant(np.array(bound, np.float32)) for bound in (low, high)]
    return net.emit("Clip", [x, *names])


def batch_normalization(net: Network, x: str, shape: list[int]) -> str:
    channels = shape[0]
    inputs = [net.weights(channels), net.weights(channels), net.weights(channels), net.positive(channels)]
    return net.emit("BatchNormalization", [x, *inputs], epsilon=1e-3)


def arithmetic(net: Network, x: str, shape: list[int]) -> str:
    operator = net.draw(st.sampled_from(["Add", "Sub", "Mul", "Div"]))
    form = net.draw(st.sampled_from(["scalar", "full", "broadcast", "with batch axis"]))
    sizes = {
        "scalar": [],
        "full": shape,
        "broadcast": [size if net.draw(st.booleans()) else 1 for size in shape],
        "with batch axis": [1, *shape],
    }[form]
    constant = net.positive(*sizes)
    swap = operator != "Div" and net.draw(st.booleans())
    return net.emit(operator, [constant, x] if swap else [x, constant])


def residual(net: Network, x: str, shape: list[int]) -> str:
    branch = net.emit("Mul", [net.emit("Relu", [x]), net.positive(*shape)])
    return net.emit(net.draw(st.sampled_from(["Add", "Sub"])), [x, branch])


def concat(net: Network, x: str, shape: list[int]) -> str:
    axis = net.draw(st.integers(1, len(shape)))
    parts = [x, net.emit("Relu", [x])]
    if net.batch == 1 and net.draw(st.booleans()):
        parts.insert(net.draw(st.integers(0, 2)), net.weights(1, *shape))
    return net.emit("Concat", parts, axis=net.draw(st.sampled_from([axis, axis - len(shape) - 1])))


def pad(net: Network, x: str, shape: list[int]) -> str:
    begins, ends = (
        [0, *(net.draw(st.integers(0, 2)) for _ in shape)],
        [0, *(net.draw(st.integers(0, 1)) for _ in shape)],
    )
    if net.opset < 11:
        return net.emit("Pad", [x], pads=[*begins, *ends], value=0.5)
    value = [net.constant(np.array(-1.5, np.float32))] if net.draw(st.booleans()) else []
    return net.emit("Pad", [x, net.integers([*begins, *ends]), *value])


def copied(net: Network, x: str, shape: list[int]) -> str:
    mode = net.draw(st.sampled_from(["reflect", "edge"]))
    ends = [[0, *(net.draw(st.integers(0, min(2, size - 1))) for size in shape)] for _ in range(2)]
    if net.opset < 11:
        return net.emit("Pad", [x], pads=[*ends[0], *ends[1]], mode=mode)
    return net.emit("Pad", [x, net.integers([*ends[0], *ends[1]])], mode=mode)


def gather(net: Network, x: str, shape: list[int]) -> str:
    axis = net.draw(st.integers(1, len(shape)))
    places = net.draw(st.lists(st.integers(0, shape[axis - 1] - 1), min_size=1, max_size=4))
    return net.emit("Gather", [x, net.integers(places)], axis=axis)


def slice_(net: Network, x: str, shape: list[int]) -> str:
    axis = net.draw(st.integers(1, len(shape)))
    start, end = net.draw(st.integers(-3, 2)), net.draw(st.sampled_from([2, 4, -1, 2**31 - 1]))
    if net.opset < 10:
        return net.emit("Slice", [x], starts=[start], ends=[end], axes=[axis])
    step = net.draw(st.sampled_from([1, 2, -1]))
    return net.emit("Slice", [x, *(net.integers([bound]) for bound in (start, end, axis, step))])


def split(net: Network, x: str, shape: list[int]) -> str:
    axis = net.draw(st.integers(1, len(shape)))
    size = shape[axis - 1]
    first = net.draw(st.integers(1, size))
    sizes = [first, size - first] if first < size else [size]
    parts = [f"{x}.part{k}" for k in range(len(sizes))]
    inputs, attributes = [x], {"axis": axis}
    if net.opset < 13:
        attributes["split"] = sizes
    else:
        inputs.append(net.integers(sizes))
    net.nodes.append(helper.make_node("Split", inputs, parts, **attributes))
    return net.emit("Concat", parts[::-1], axis=axis)


def reduction(net: Network, x: str, shape: list[int]) -> str:
    kind = net.draw(st.sampled_from(["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"]))
    axes = net.draw(st.lists(st.integers(1, len(shape)), min_size=1, max_size=2, unique=True))
    keep = net.draw(st.integers(0, 1)) if len(axes) < len(shape) else 1
    if net.opset >= 18 or (net.opset >= 13 and kind == "ReduceSum"):
        return net.emit(kind, [x, net.integers(axes)], keepdims=keep)
    return net.emit(kind, [x], keepdims=keep, axes=axes)


def transposed(net: Network, x: str, shape: list[int]) -> str:
    kernel, strides = _pair(net.draw, 1, 3), _pair(net.draw, 1, 2)
    pads = [net.draw(st.integers(0, size - 1)) for size in (*kernel, *kernel)]
    inputs = [x, net.weights(shape[0], net.draw(st.integers(1, 2)), *kernel)]
    return net.emit("ConvTranspose", inputs, strides=strides, pads=pads)


def upsample(net: Network, x: str, shape: list[int]) -> str:
    scales = np.array([1, 1, *net.draw(st.sampled_from([(2, 2), (1, 3), (1.5, 2)]))], np.float32)
    mode = net.draw(st.sampled_from(["nearest", "linear"]))
    if net.opset < 9:
        return net.emit("Upsample", [x], scales=[float(scale) for scale in scales], mode=mode)
    if net.opset < 11:
        return net.emit("Upsample" if net.opset < 10 else "Resize", [x, net.constant(scales)], mode=mode)
    roi = net.constant(np.zeros(0, np.float32))
    return net.emit("Resize", [x, roi, net.constant(scales)], mode=mode)


def global_max_pool(net: Network, x: str, shape: list[int]) -> str:
    return net.emit("GlobalMaxPool", [x])


def transpose(net: Network, x: str, shape: list[int]) -> str:
    order = net.draw(st.permutations(range(1, len(shape) + 1)))
    return net.emit("Transpose", [x], perm=[0, *order])


def reshape(net: Network, x: str, shape: list[int]) -> str:
    lead = net.draw(st.sampled_from([0, -1, net.batch if isinstance(net.batch, int) else -1]))
    rest = [shape[0] * shape[1], *shape[2:]] if len(shape) > 1 else [1, shape[0]]
    if lead != -1 and net.draw(st.booleans()):
        rest[net.draw(st.integers(0, len(rest) - 1))] = -1
    return net.emit("Reshape", [x, net.integers([lead, *rest])])


def unsqueeze(net: Network, x: str, shape: list[int]) -> str:
    axis = net.draw(st.integers(1, len(shape) + 1))
    if net.opset < 13:
        return net.emit("Squeeze", [net.emit("Unsqueeze", [x], axes=[axis])], axes=[axis])
    return net.emit("Squeeze", [net.emit("Unsqueeze", [x, net.integers([axis])]), net.integers([axis])])


def nothing(net: Network, x: str, shape: list[int]) -> str:
    return net.emit(net.draw(st.sampled_from(["Identity", "Dropout"])), [x])


def flatten(net: Network, x: str, shape: list[int]) -> str:
    return net.emit("Flatten", [x], axis=1)


def gemm(net: Network, x: str, shape: list[int]) -> str:
    outputs, flip = net.draw(st.integers(2, 4)), net.draw(st.integers(0, 1))
    weight = net.weights(*((outputs, shape[0]) if flip else (shape[0], outputs)))
    inputs = [x, weight]
    if net.draw(st.booleans()) or net.opset < 11:
        sizes = net.draw(st.sampled_from([(outputs,), (1, outputs), (1,), ()]))
        inputs.append(net.weights(*sizes))
    factors = {key: net.draw(st.sampled_from([1.0, 1.0, 0.7, -2.0, 0.0])) for key in ("alpha", "beta")}
    return net.emit("Gemm", inputs, transB=flip, **factors)


def matmul(net: Network, x: str, shape: list[int]) -> str:
    return net.emit("MatMul", [x, net.weights(shape[-1], net.draw(st.integers(2, 4)))])


def matmul_from_left(net: Network, x: str, shape: list[int]) -> str:
    return net.emit("MatMul", [net.weights(net.draw(st.integers(2, 4)), shape[-2]), x])


ANYWHERE = (
    relu,
    leaky_relu,
    clip,
    arithmetic,
    residual,
    concat,
    pad,
    transpose,
    reshape,
    unsqueeze,
    nothing,
    flatten,
    copied,
    gather,
    slice_,
    split,
    reduction,
)
ON_IMAGES = (
    conv,
    conv,
    max_pool,
    average_pool,
    global_average_pool,
    global_max_pool,
    transposed,
    upsample,
    batch_normalization,
    matmul,
    matmul_from_left,
)
ON_VECTORS = (gemm, gemm, matmul, batch_normalization)
ON_MATRICES = (matmul, matmul_from_left)


Layer = Callable[[Network, str, list[int]], str]


def _layers(shape: list[int]) -> tuple[Layer, ...]:
    own = {1: ON_VECTORS, 2: ON_MATRICES, 3: ON_IMAGES}[len(shape)]
    return ANYWHERE + own * 2


@st.composite
def networks(draw: Draw, longest: int = 5, extra: tuple[Layer, ...] = ()) -> onnx.ModelProto:
    """Classifiers of up to ``longest`` layers behind an image, some of them ``extra``; three scores."""
    image = [draw(st.integers(1, 3)), draw(st.integers(2, 6)), draw(st.integers(2, 6))]
    batch = draw(st.sampled_from([SYMBOL, 1, 3]))
    opset = draw(st.sampled_from([7, 9, 10, 11, 13, 17, 21]))
    net = Network(draw, opset, batch, image, np.random.default_rng(draw(st.integers(0, 2**32))))
    value, shape = "x", image
    for _ in range(draw(st.integers(1, longest))):
        layer = draw(st.sampled_from(extra or _layers(shape)) | st.sampled_from(_layers(shape)))
        nodes, tensors = len(net.nodes), len(net.tensors)
        output = layer(net, value, shape)
        result = net.shape_of(output)
        if result is None:
            del net.nodes[nodes:], net.tensors[tensors:]
            continue
        value, shape = output, result
    value = net.emit("Flatten", [value], axis=1)
    value = net.emit("Gemm", [value, net.weights(int(np.prod(shape)), 3), net.weights(3)])
    tail = draw(st.sampled_from(["", "", "Softmax", "LogSoftmax", "Sigmoid"]))
    value = net.emit(tail, [value]) if tail else value
    # With ceil_mode, onnxruntime's shape inference and its kernel may disagree; it refuses the model then.
    assume(net.shape_of(value) is not None)
    return net.model(value)
