"""Networks that can be certified exactly: a chain of affine and piecewise linear layers, and its graph.

A chain ends with an affine layer, or with a clamp to [0, 1]. While it learns, the clamp lets a gradient pass
wherever a step along it would move the value back inside: a pixel that is black and ought not to be can
learn, one that is right to be black stays as it is. The value is that of the plain clamp at all times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Graph
from glocert.graph.limits import Limits
from glocert.graph.lowering_select import take
from glocert.graph.lowering_transposed import transposed_convolution
from glocert.graph.lowering_window import Window, convolution
from glocert.graph.values import Activation, Batch, Constant, Emitter

Shape = tuple[int, ...]


class Inward(torch.autograd.Function):
    """A clamp to [0, 1] whose gradient passes where descending it leads back inside."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        """Clamp."""
        context.save_for_backward(x)
        return x.clamp(0.0, 1.0)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        """Pass what is inside or leads there."""
        (x,), (gradient,) = context.saved_tensors, gradients
        stuck = ((x < 0) & (gradient > 0)) | ((x > 1) & (gradient < 0))
        return gradient.masked_fill(stuck, 0.0)


class Shaped(nn.Module):
    """Give every sample another shape."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """Reshape."""
        return x.reshape(len(x), *self.shape)


class Crop(nn.Module):
    """Keep the middle of an image."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def spans(self, rows: int, columns: int) -> tuple[range, range]:
        """Return which rows and columns are kept."""
        top, left = (rows - self.height) // 2, (columns - self.width) // 2
        return range(top, top + self.height), range(left, left + self.width)

    def forward(self, x: Tensor) -> Tensor:
        """Cut."""
        down, across = self.spans(*x.shape[2:])
        return x[:, :, down.start : down.stop, across.start : across.stop]


class Sum(nn.Module):
    """Two sequences of layers for the same input, added."""

    def __init__(self, first: Sequence[nn.Module], second: Sequence[nn.Module]) -> None:
        super().__init__()
        self.first, self.second = nn.Sequential(*first), nn.Sequential(*second)

    def forward(self, x: Tensor) -> Tensor:
        """Add."""
        return self.first(x) + self.second(x)  # type: ignore[no-any-return]


class Chain(nn.Module):
    """Layers one after the other, for inputs of one shape.

    Attributes:
        shape: per-sample shape of the input.
        layers: affine or piecewise linear, each known to ``WRITE``.
        bounded: whether the output is clamped to [0, 1].
    """

    def __init__(self, shape: Shape, layers: Sequence[nn.Module], *, bounded: bool = False) -> None:
        super().__init__()
        self.shape, self.bounded = shape, bounded
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of a batch."""
        y: Tensor = self.layers(x)
        return y.clamp(0.0, 1.0) if self.bounded else y

    def learning(self, x: Tensor) -> Tensor:
        """Return the same with the gradient that a loss learns by."""
        y: Tensor = self.layers(x)
        return Inward.apply(y) if self.bounded else y  # type: ignore[no-untyped-call]

    def graph(self) -> Graph:
        """Return the chain as it is now, statistics frozen: the same weights in float32."""
        builder = GraphBuilder.start("input", self.shape, Limits())
        return builder.finish(self.write(builder, Activation(builder.input, self.shape), "").name)

    def write(self, builder: GraphBuilder, x: Activation, prefix: str) -> Activation:
        """Append the chain to a graph under construction."""
        x = written(builder, self.layers, x, prefix)
        return clamp(builder, x, f"{prefix}pixels") if self.bounded else x


Write = Callable[[Emitter, Any, Activation], Activation]


def written(builder: GraphBuilder, layers: nn.Sequential, x: Activation, prefix: str) -> Activation:
    """Append layers to a graph under construction, one after the other."""
    for position, layer in enumerate(layers):
        x = write(builder, layer, x, f"{prefix}layer{position}")
    return x


def write(builder: GraphBuilder, layer: nn.Module, x: Activation, name: str) -> Activation:
    """Append one layer to a graph under construction.

    Raises:
        TypeError: the layer has no place in a graph that is certified exactly.
    """
    for kind, writer in WRITE.items():
        if isinstance(layer, kind):
            return writer(emitter(builder, name, type(layer).__name__), layer, x)
    raise TypeError(f"no graph for {type(layer).__name__}")


def emitter(builder: GraphBuilder, name: str, source: str) -> Emitter:
    """Return what appends the nodes of one layer."""
    return Emitter(builder, Batch(), name, source, name)


def clamp(builder: GraphBuilder, x: Activation, name: str) -> Activation:
    """Append a clamp to [0, 1]."""
    return emitter(builder, name, "Clamp").add("Clip", (x,), {"min": 0.0, "max": 1.0})


def array(tensor: Tensor) -> NDArray[np.float32]:
    """Return a copy of a tensor as a parameter."""
    return np.array(tensor.detach().cpu().to(torch.float32).numpy())


def _constants(emitter: Emitter, **tensors: Tensor | None) -> list[Constant]:
    return [
        Constant(array(tensor), f"{emitter.name}.{name}")
        for name, tensor in tensors.items()
        if tensor is not None
    ]


def _linear(emitter: Emitter, layer: nn.Linear, x: Activation) -> Activation:
    return emitter.add("Gemm", (x, *_constants(emitter, weight=layer.weight, bias=layer.bias)))


def _window(layer: nn.Conv2d | nn.ConvTranspose2d) -> Window:
    pads = tuple(int(size) for size in layer.padding)
    return Window(layer.kernel_size, layer.stride, pads * 2, layer.dilation)


def _convolution(emitter: Emitter, layer: nn.Conv2d, x: Activation) -> Activation:
    weight, bias = _constants(emitter, weight=layer.weight, bias=layer.bias)
    return convolution(emitter, x, weight, bias, _window(layer), 1)


def _transposed(emitter: Emitter, layer: nn.ConvTranspose2d, x: Activation) -> Activation:
    weight, bias = _constants(emitter, weight=layer.weight, bias=layer.bias)
    return transposed_convolution(emitter, x, weight, bias, _window(layer), 1)


def _normalise(emitter: Emitter, layer: nn.BatchNorm2d, x: Activation) -> Activation:
    known = _constants(
        emitter, scale=layer.weight, bias=layer.bias, mean=layer.running_mean, var=layer.running_var
    )
    return emitter.add("BatchNormalization", (x, *known), {"epsilon": layer.eps})


def _shaped(emitter: Emitter, layer: Shaped, x: Activation) -> Activation:
    return emitter.add("Reshape", (x,), {"shape": layer.shape})


def _crop(emitter: Emitter, layer: Crop, x: Activation) -> Activation:
    for axis, span in enumerate(layer.spans(*x.shape[1:]), start=1):
        x = take(emitter, x, axis, span)
    return x


def _sum(emitter: Emitter, layer: Sum, x: Activation) -> Activation:
    parts = {"first": layer.first, "second": layer.second}
    ends = [written(emitter.builder, part, x, f"{emitter.name}.{name}.") for name, part in parts.items()]
    return emitter.add("Add", ends)


WRITE: dict[type[nn.Module], Write] = {
    nn.Linear: _linear,
    nn.Conv2d: _convolution,
    nn.ConvTranspose2d: _transposed,
    nn.BatchNorm2d: _normalise,
    nn.ReLU: lambda emitter, _, x: emitter.add("Relu", (x,)),
    nn.LeakyReLU: lambda emitter, layer, x: emitter.add(
        "LeakyRelu", (x,), {"alpha": float(layer.negative_slope)}
    ),
    Sum: _sum,
    Shaped: _shaped,
    Crop: _crop,
}
"""Layer -> how it is written."""
