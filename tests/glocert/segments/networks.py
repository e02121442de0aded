"""Small networks, random ones and the constructed ones of the tests."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from glocert.graph.ir import Attribute, Graph, Node
from glocert.paths.segment import Segment


class Draft:
    """A graph in the making: every method appends a node and returns the name of its output."""

    def __init__(self, *shape: int) -> None:
        self.nodes: list[Node] = []
        self.parameters: dict[str, np.ndarray] = {}
        self.shapes: dict[str, tuple[int, ...]] = {"x": shape}

    def parameter(self, array) -> str:
        """Store a parameter; integers become float32."""
        array = np.asarray(array)
        name = f"p{len(self.parameters)}"
        self.parameters[name] = array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)
        return name

    def node(
        self, operator: str, inputs: Sequence[str], shape: Sequence[int], /, **attributes: Attribute
    ) -> str:
        """Append any node."""
        name = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(Node(name, operator, tuple(inputs), name, attributes))
        self.shapes[name] = tuple(int(size) for size in shape)
        return name

    def same(self, operator: str, x: str, *parameters, **attributes: Attribute) -> str:
        """Append a node whose output has the shape of its first input."""
        inputs = [x, *(self.parameter(array) for array in parameters)]
        return self.node(operator, inputs, self.shapes[x], **attributes)

    def gemm(self, x: str, weight, bias=None) -> str:
        """``W x + b``."""
        arrays = [weight] if bias is None else [weight, bias]
        return self.node("Gemm", [x, *(self.parameter(a) for a in arrays)], [len(weight)])

    def relu(self, x: str) -> str:
        """``max(x, 0)``."""
        return self.same("Relu", x)

    def reshape(self, x: str, *shape: int) -> str:
        """Another shape of the same size."""
        return self.node("Reshape", [x], shape, shape=tuple(shape))

    def flat(self, x: str) -> str:
        """One axis."""
        return self.reshape(x, int(np.prod(self.shapes[x])))

    def conv(
        self, x: str, weight, bias=None, strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1), group=1
    ) -> str:
        """Two-dimensional convolution."""
        sizes = _outside(self.shapes[x][1:], weight.shape[2:], strides, pads, dilations)
        arrays = [weight] if bias is None else [weight, bias]
        inputs = [x, *(self.parameter(a) for a in arrays)]
        geometry = {"strides": strides, "pads": pads, "dilations": dilations, "group": group}
        return self.node("Conv", inputs, (len(weight), *sizes), **geometry)

    def pool(
        self, operator: str, x: str, kernel, strides, pads=(0, 0, 0, 0), extra=(0, 0), **attributes
    ) -> str:
        """MaxPool or AveragePool; ``extra`` windows hang over the end, as ceil_mode has them."""
        dilations = attributes.pop("dilations", (1, 1))
        sizes = _outside(self.shapes[x][1:], kernel, strides, pads, dilations)
        shape = (self.shapes[x][0], sizes[0] + extra[0], sizes[1] + extra[1])
        geometry = {"kernel_shape": kernel, "strides": strides, "pads": pads, "dilations": dilations}
        return self.node(operator, [x], shape, **geometry, **attributes)

    def graph(self, output: str) -> Graph:
        """Close the draft."""
        return Graph("x", output, tuple(self.nodes), self.parameters, self.shapes)


def _outside(sizes, kernel, strides, pads, dilations) -> tuple[int, ...]:
    return tuple(
        (sizes[i] + pads[i] + pads[2 + i] - dilations[i] * (kernel[i] - 1) - 1) // strides[i] + 1
        for i in range(2)
    )


def line(start, stop, radius: float = 0.0) -> Segment:
    """A segment between two arrays."""
    start = np.asarray(start, dtype=np.float64)
    return Segment(start, np.asarray(stop, dtype=np.float64), np.full(start.shape, radius))


def scalar_line() -> Segment:
    """The path x(t) = t."""
    return line([0.0], [1.0])


def mlp(rng: np.random.Generator, *sizes: int, bias: bool = True) -> Graph:
    """A fully connected ReLU network with He weights."""
    draft, x = Draft(sizes[0]), "x"
    for before, after in pairwise(sizes):
        weight = (rng.standard_normal((after, before)) * np.sqrt(2 / before)).astype(np.float32)
        x = draft.gemm(x, weight, rng.standard_normal(after).astype(np.float32) / 4 if bias else None)
        x = draft.relu(x)
    draft.nodes.pop()
    return draft.graph(draft.nodes[-1].output)


def random_segment(rng: np.random.Generator, shape: Sequence[int], whole: bool = False) -> Segment:
    """A chord between two random points; ``whole`` numbers make many ties."""
    if whole:
        return line(rng.integers(-2, 3, shape), rng.integers(-2, 3, shape))
    return line(rng.standard_normal(shape), rng.standard_normal(shape))


IMAGE_BLOCKS = (
    *("conv", "conv", "max", "max", "average", "norm", "residual", "concat", "pad", "turn", "arithmetic"),
    *("matmul", "flat", "gather", "sum"),
)


class Wild(Draft):
    """A random network that uses every operator sooner or later.

    Args:
        rng: what decides.
        whole: whether numbers are small integers, so that ties and exact zeros are common.
    """

    def __init__(self, rng: np.random.Generator, whole: bool = False) -> None:
        self.rng, self.whole = rng, whole
        image = rng.random() < 0.6
        super().__init__(
            *((int(rng.integers(1, 4)), *rng.integers(3, 6, 2)) if image else (int(rng.integers(1, 6)),))
        )
        self.shapes["x"] = tuple(int(size) for size in self.shapes["x"])

    def numbers(self, *shape: int) -> np.ndarray:
        """Random parameters, float32 or float64."""
        if self.whole:
            return self.rng.integers(-2, 3, shape).astype(np.float32)
        values = self.rng.standard_normal(shape) * self.rng.choice([0.3, 1.0, 3.0])
        return values.astype(np.float32) if self.rng.random() < 0.8 else values

    def build(self, depth: int) -> Graph:
        """Append ``depth`` random blocks and a last matrix."""
        x = "x"
        for _ in range(depth):
            x = self._image(x) if len(self.shapes[x]) == 3 else self._vector(x)
        x = x if len(self.shapes[x]) == 1 else self.flat(x)
        classes = int(self.rng.integers(2, 5))
        return self.graph(self.gemm(x, self.numbers(classes, self.shapes[x][0]), self.numbers(classes)))

    def _pick(self, options: Sequence) -> object:
        return options[int(self.rng.integers(len(options)))]

    def bent(self, x: str) -> str:
        """Append an activation function."""
        kind = self._pick(["Relu", "Relu", "LeakyRelu", "Clip"])
        if kind == "LeakyRelu":
            return self.same("LeakyRelu", x, alpha=float(self._pick([0.01, 0.1, 0.5, -1.0, 2.0, 0.0, 1.0])))
        if kind == "Clip":
            bounds = self._pick(
                [(0.0, 1.0), (-0.7, 0.3), (0.0, float("inf")), (float("-inf"), 0.5), (1.0, 1.0)]
            )
            return self.same("Clip", x, min=bounds[0], max=bounds[1])
        return self.relu(x)

    def gathered(self, x: str, axis: int, length: int = 0) -> str:
        """Append a selection: sometimes a permutation, else entries in any order, repeated or left out."""
        shape = list(self.shapes[x])
        length = length or int(self.rng.integers(1, shape[axis] + 2))
        positions = self.rng.integers(0, shape[axis], length)
        if self.rng.random() < 0.3:
            positions = np.resize(self.rng.permutation(shape[axis]), length)
        shape[axis] = length
        return self.node("Gather", [x], shape, axis=axis, indices=tuple(int(p) for p in positions))

    def _arithmetic(self, x: str) -> str:
        shape = self.shapes[x]
        operator = self._pick(["Add", "Sub", "Mul", "Div", "Sub-from"])
        partial = tuple(size if self.rng.random() < 0.5 else 1 for size in shape)
        values = self.numbers(*partial)
        if operator == "Div":
            values = np.where(values == 0, values.dtype.type(3), values)
        name = self.parameter(values)
        inputs = (
            [name, x]
            if operator == "Sub-from" or (operator != "Div" and self.rng.random() < 0.3)
            else [x, name]
        )
        return self.node(str(operator).removesuffix("-from"), inputs, shape)

    def _vector(self, x: str) -> str:
        size = self.shapes[x][0]
        block = self._pick(
            ["dense", "dense", "residual", "concat", "arithmetic", "matmul", "image", "gather", "sum"]
        )
        if block == "gather":
            return self.gathered(x, 0)
        if block == "sum":
            pairs = self.reshape(self.gathered(x, 0, 2 * size), 2, size)
            axis = int(self.rng.integers(2))
            return self.bent(self.node("ReduceSum", [pairs], [(size, 2)[axis]], axes=(axis,)))
        if block == "dense":
            width = int(self.rng.integers(2, 6))
            return self.bent(self.gemm(x, self.numbers(width, size), self.numbers(width)))
        if block == "residual":
            inner = self.gemm(self.bent(self.gemm(x, self.numbers(3, size))), self.numbers(size, 3))
            return self.node(str(self._pick(["Add", "Sub"])), [inner, x], [size])
        if block == "concat":
            side = self.bent(self.gemm(x, self.numbers(2, size)))
            constant = self.parameter(self.numbers(1))
            return self.node("Concat", [side, constant, x], [size + 3], axis=0)
        if block == "matmul":
            if self.rng.random() < 0.5:
                return self.bent(self.node("MatMul", [x, self.parameter(self.numbers(size, 3))], [3]))
            return self.bent(self.node("MatMul", [self.parameter(self.numbers(3, size)), x], [3]))
        if block == "image":
            weight = self.numbers(2 * 3 * 4, size)
            return self.reshape(self.gemm(x, weight), 2, 3, 4)
        return self._arithmetic(x)

    def _image(self, x: str) -> str:
        channels, height, width = self.shapes[x]
        block = self._pick(IMAGE_BLOCKS)
        if min(height, width) < 2 or channels * height * width > 80:
            block = "shrink" if min(height, width) >= 2 else "flat"
        return getattr(self, f"_{block}_block")(x, channels, height, width)

    def _conv_block(self, x: str, channels: int, height: int, width: int) -> str:
        group = channels if self.rng.random() < 0.3 else 1
        kernel = (int(self.rng.integers(1, 3)), int(self.rng.integers(1, 3)))
        dilated = (2, 1) if height > 2 and self.rng.random() < 0.3 else (1, 1)
        pads = tuple(int(p) for p in self.rng.integers(0, 2, 4))
        strides = tuple(int(s) for s in self.rng.integers(1, 3, 2))
        maps = group * int(self.rng.integers(1, 3))
        weight = self.numbers(maps, channels // group, *kernel)
        bias = self.numbers(maps) if self.rng.random() < 0.7 else None
        return self.bent(self.conv(x, weight, bias, strides, pads, dilated, group))

    def _max_block(self, x: str, channels: int, height: int, width: int) -> str:
        return self._pooled("MaxPool", x, height, width)

    def _average_block(self, x: str, channels: int, height: int, width: int) -> str:
        return self._pooled("AveragePool", x, height, width, count_include_pad=int(self.rng.integers(2)))

    def _pooled(self, operator: str, x: str, height: int, width: int, **attributes: int) -> str:
        pads = tuple(int(p) for p in self.rng.integers(0, 2, 4))
        strides = tuple(int(s) for s in self.rng.integers(1, 3, 2))
        hanging = [
            int((size + pads[i] + pads[2 + i] - 2) % strides[i] > 0 and pads[2 + i] == 0)
            for i, size in enumerate((height, width))
        ]
        return self.pool(operator, x, (2, 2), strides, pads, hanging, **attributes)

    def _norm_block(self, x: str, channels: int, height: int, width: int) -> str:
        variance = np.abs(self.numbers(channels)) + np.float32(0.5)
        arrays = [self.numbers(channels), self.numbers(channels), self.numbers(channels), variance]
        return self.bent(self.same("BatchNormalization", x, *arrays, epsilon=1e-5))

    def _residual_block(self, x: str, channels: int, height: int, width: int) -> str:
        inner = self.bent(self.conv(x, self.numbers(2, channels, 1, 1)))
        inner = self.conv(inner, self.numbers(channels, 2, 3, 3), pads=(1, 1, 1, 1))
        return self.bent(self.node("Add", [inner, x], self.shapes[x]))

    def _concat_block(self, x: str, channels: int, height: int, width: int) -> str:
        side = self.bent(self.conv(x, self.numbers(1, channels, 1, 1), self.numbers(1)))
        constant = self.parameter(self.numbers(1, height, width))
        return self.node("Concat", [x, constant, side], [channels + 2, height, width], axis=0)

    def _pad_block(self, x: str, channels: int, height: int, width: int) -> str:
        pads = (0, 1, 0, 0, 0, 1)
        return self.node("Pad", [x], [channels, height + 1, width + 1], pads=pads, value=0.25)

    def _turn_block(self, x: str, channels: int, height: int, width: int) -> str:
        turned = self.node("Transpose", [x], [height, width, channels], perm=(1, 2, 0))
        return self.reshape(turned, width, channels, height)

    def _gather_block(self, x: str, channels: int, height: int, width: int) -> str:
        return self.gathered(x, int(self.rng.integers(3)))

    def _sum_block(self, x: str, channels: int, height: int, width: int) -> str:
        axes = [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)][int(self.rng.integers(7))]
        kept = [size for axis, size in enumerate((channels, height, width)) if axis not in axes]
        return self.reshape(self.node("ReduceSum", [x], kept, axes=axes), int(np.prod(kept)))

    def _arithmetic_block(self, x: str, channels: int, height: int, width: int) -> str:
        return self._arithmetic(x)

    def _matmul_block(self, x: str, channels: int, height: int, width: int) -> str:
        if self.rng.random() < 0.5:
            right = self.parameter(self.numbers(width, 2))
            return self.bent(self.node("MatMul", [x, right], [channels, height, 2]))
        left = self.parameter(self.numbers(2, height))
        return self.bent(self.node("MatMul", [left, x], [channels, 2, width]))

    def _flat_block(self, x: str, channels: int, height: int, width: int) -> str:
        return self.flat(x)

    def _shrink_block(self, x: str, channels: int, height: int, width: int) -> str:
        return self.bent(self.conv(x, self.numbers(2, channels, 2, 2), strides=(2, 2)))
