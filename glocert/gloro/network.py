"""A GloRo network: a chain of layers, and the inert graph that it becomes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from glocert.gloro.layers import (
    Convolution,
    Dense,
    Layer,
    Linear,
    LinearResidual,
    MinMax,
    Normalise,
    Relu,
    Shape,
)
from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Array, Attribute, Graph, Node
from glocert.graph.limits import Limits


class Learner(nn.Module):
    """What can be trained to be certified: scores, and estimates of how fast their differences change."""

    def pairs(self, steps: int) -> Tensor:
        """Return estimates of how fast score differences change, shape (classes, classes), with gradient.

        Args:
            steps: of the power iterations, from where the last call left them.
        """
        raise NotImplementedError

    def restart(self, generator: torch.Generator) -> None:
        """Begin all power iterations anew."""
        raise NotImplementedError

    def graph(self) -> Graph:
        """Return the network as it is now: the inert graph that is certified."""
        raise NotImplementedError


class GloroNet(Learner):
    """A chain of layers that ends with a dense one, the scores."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    @property
    def head(self) -> Dense:
        """The layer that makes the scores."""
        last = self.layers[-1]
        assert isinstance(last, Dense)
        return last

    def forward(self, x: Tensor) -> Tensor:
        """Return scores of shape (N, classes)."""
        for layer in self.layers:
            x = layer(x)
        return x

    def pairs(self, steps: int) -> Tensor:
        """Return estimates of how fast score differences change, shape (classes, classes), with gradient."""
        product: Tensor | float = 1.0
        for layer in self.layers[:-1]:
            assert isinstance(layer, Layer)
            product = product * layer.stretch(steps)
        return product * distances(self.head.matrix)

    def restart(self, generator: torch.Generator) -> None:
        """Begin all power iterations anew."""
        for layer in self.layers:
            if isinstance(layer, Linear):
                layer.restart(generator)

    def graph(self) -> Graph:
        """Return the network as it is now, for inputs of the first layer's shape."""
        first = self.layers[0]
        assert isinstance(first, Layer)
        return to_graph(self, first.shape)


def distances(rows: Tensor) -> Tensor:
    """Return the distances between all rows of a matrix, with a gradient that is finite everywhere."""
    gaps = (rows[:, None] - rows[None]).square().sum(2)
    diagonal = torch.eye(len(rows), device=rows.device, dtype=rows.dtype)
    return torch.sqrt((gaps + diagonal).clamp_min(1e-30)) * (1 - diagonal)


def to_graph(network: GloroNet, shape: Shape) -> Graph:
    """Return the network as the inert graph that is certified: the same weights, float32."""
    writer = _Writer(GraphBuilder.start("input", shape, Limits()), shape)
    name = writer.builder.input
    for position, layer in enumerate(network.layers):
        assert isinstance(layer, Layer)
        name = writer.layer(layer, name, f"layer{position}")
    return writer.builder.finish(name)


class _Writer:
    """Appends the nodes of one layer after the other."""

    def __init__(self, builder: GraphBuilder, shape: Shape) -> None:
        self.builder = builder
        self.shape = shape

    def layer(self, layer: Layer, x: str, name: str) -> str:
        """Append a layer and return the name of its output."""
        if isinstance(layer, Normalise):
            shifted = self._add("Sub", (x, self._weight(layer.mean, f"{name}.mean")), f"{name}.shifted")
            return self._add("Div", (shifted, self._weight(layer.std, f"{name}.std")), name)
        if isinstance(layer, Convolution):
            return self._convolution(layer, x, name)
        if isinstance(layer, Dense):
            return self._dense(layer, x, name)
        if isinstance(layer, MinMax):
            return self._min_max(x, name)
        if isinstance(layer, Relu):
            return self._add("Relu", (x,), name)
        raise TypeError(f"no graph for {type(layer).__name__}")

    def _convolution(self, layer: Convolution, x: str, name: str) -> str:
        attributes: dict[str, Attribute] = {
            "strides": (layer.stride, layer.stride),
            "pads": (layer.pad,) * 4,
            "dilations": (1, 1),
            "group": 1,
        }
        inputs = (x, self._weight(layer.weight, f"{name}.weight"), self._weight(layer.bias, f"{name}.bias"))
        output = self._add("Conv", inputs, name, attributes)
        return self._add("Add", (x, output), f"{name}.sum") if isinstance(layer, LinearResidual) else output

    def _dense(self, layer: Dense, x: str, name: str) -> str:
        if len(self.builder.shapes[x]) > 1:
            x = self._add("Reshape", (x,), f"{name}.flat", {"shape": layer.shape})
        inputs = (x, self._weight(layer.matrix, f"{name}.weight"), self._weight(layer.bias, f"{name}.bias"))
        return self._add("Gemm", inputs, name)

    def _min_max(self, x: str, name: str) -> str:
        half = self.builder.shapes[x][0] // 2
        ranges = (tuple(range(half)), tuple(range(half, 2 * half)))
        first, second = (
            self._add("Gather", (x,), f"{name}.half{place}", {"axis": 0, "indices": indices})
            for place, indices in enumerate(ranges)
        )
        lead = self._add("Relu", (self._add("Sub", (first, second), f"{name}.gap"),), f"{name}.lead")
        larger = self._add("Add", (second, lead), f"{name}.larger")
        smaller = self._add("Sub", (first, lead), f"{name}.smaller")
        return self._add("Concat", (larger, smaller), name, {"axis": 0})

    def _add(
        self,
        operator: str,
        inputs: tuple[str, ...],
        name: str,
        attributes: dict[str, Attribute] | None = None,
    ) -> str:
        return self.builder.add(Node(name, operator, inputs, name, attributes or {}, operator))

    def _weight(self, tensor: Tensor, name: str) -> str:
        array: Array = np.array(tensor.detach().cpu().to(torch.float32).numpy())
        return self.builder.parameter(array, name)
