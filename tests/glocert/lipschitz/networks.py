"""Random networks for attacks: dense and convolutional, with the kinks that local bounds know."""

from __future__ import annotations

import numpy as np

from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Attribute, Graph, Node
from glocert.graph.limits import Limits


class Drawing:
    """A network that is put together node by node from random weights."""

    def __init__(self, seed: int, shape: tuple[int, ...]) -> None:
        self.chance = np.random.default_rng(seed)
        self.builder = GraphBuilder.start("x", shape, Limits())

    def weights(self, *shape: int, scale: float = 1.0) -> str:
        """Return the name of random weights of about unit norm."""
        width = int(np.prod(shape[1:])) or 1
        return self.builder.parameter(self.chance.normal(size=shape) * scale / np.sqrt(width), "w")

    def add(self, operator: str, *inputs: str, **attributes: Attribute) -> str:
        """Append a node and return its output."""
        return self.builder.add(Node(operator, operator, inputs, operator, attributes, operator))

    def dense(self, x: str, inputs: int, outputs: int) -> str:
        """Append a dense layer."""
        return self.add("Gemm", x, self.weights(outputs, inputs), self.weights(outputs, scale=0.1))


def dense_net(seed: int, *, activation: str = "Relu", width: int = 24) -> Graph:
    """Clip, shift and scale, and three dense layers with kinks between them."""
    net = Drawing(seed, (9,))
    mean, std = (net.builder.parameter(np.full(9, value), "p") for value in (0.4, 0.5))
    x = net.add("Div", net.add("Sub", net.add("Clip", "x", min=0.0, max=1.0), mean), std)
    for inputs in (9, width):
        x = net.dense(x, inputs, width)
        x = net.add(activation, x, **({"alpha": 0.2} if activation == "LeakyRelu" else {}))
    return net.builder.finish(net.dense(x, width, 4))


def image_net(seed: int) -> Graph:
    """A convolution, overlapping pools, a residual block and two dense layers."""
    net = Drawing(seed, (1, 6, 6))
    same: dict[str, Attribute] = {"strides": (1, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1), "group": 1}
    pool: dict[str, Attribute] = {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (0, 0, 0, 0)}
    stem = net.add("Relu", net.add("Conv", "x", net.weights(3, 1, 3, 3), net.weights(3), **same))
    inner = net.add("Relu", net.add("Conv", stem, net.weights(3, 3, 3, 3), **same))
    joined = net.add("Add", stem, net.add("Conv", inner, net.weights(3, 3, 3, 3), **same))
    pooled = net.add("MaxPool", joined, dilations=(1, 1), **pool)
    hidden = net.add("Relu", net.dense(net.add("Reshape", pooled, shape=(12,)), 12, 10))
    return net.builder.finish(net.dense(hidden, 10, 3))
