"""Average pooling: a sum over each window, divided by an exact count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from glocert.graph.ir import Node
from glocert.graph.pooling import dilations, divisors, overhang
from glocert.rounding import dot, grow
from glocert.segments.knots import Knots
from glocert.segments.ops.registry import (
    Affine,
    Charges,
    Order,
    Shape,
    Site,
    channels_last,
    gathered,
    transfer,
)


@dataclass(frozen=True, slots=True)
class Window:
    """Where pooling windows lie.

    Attributes:
        image: (height, width, channels) of the input.
        pads: top, left, bottom, right, so that the last window just fits; negative where it ends earlier.
        kernel: height, width.
        strides: vertical, horizontal.
        dilations: vertical, horizontal.
        outside: height, width of the output.
    """

    image: Shape
    pads: Shape
    kernel: Shape
    strides: Shape
    dilations: Shape
    outside: Shape

    def frame(self, values: Tensor, filling: float) -> Tensor:
        """Return (rows, channels, height, width), channels last in memory, padded with ``filling``."""
        height, width, channels = self.image
        top, left, bottom, right = self.pads
        images = values.view(-1, height, width, channels).permute(0, 3, 1, 2)
        if not any(self.pads):
            return images
        return torch.nn.functional.pad(images, (left, right, top, bottom), value=filling).contiguous(
            memory_format=torch.channels_last
        )

    def shifted(self, framed: Tensor, down: int, right: int) -> Tensor:
        """Return the pixel at one place of every window, shape (rows, channels, out height, out width)."""
        top, left = down * self.dilations[0], right * self.dilations[1]
        rows = slice(top, top + (self.outside[0] - 1) * self.strides[0] + 1, self.strides[0])
        columns = slice(left, left + (self.outside[1] - 1) * self.strides[1] + 1, self.strides[1])
        return framed[:, :, rows, columns]


def window(node: Node, site: Site) -> Window:
    """Read the geometry of a pooling node."""
    channels, height, width = site.shape(node.inputs[0])
    outside = site.shape(node.output)[1:]
    top, left = node.ints("pads")[:2]
    bottom, right = overhang(node, (height, width), outside)
    pads = (top, left, bottom, right)
    sizes = (height, width, channels)
    return Window(sizes, pads, node.ints("kernel_shape"), node.ints("strides"), dilations(node), outside)


@dataclass(frozen=True, slots=True)
class Average:
    """Sums over windows by adding shifted images, divided by the number of places that count.

    Attributes:
        window: the geometry.
        counts: divisors, shape (out height, out width).
        charges: what roundings cost.
    """

    window: Window
    counts: Tensor
    charges: Charges

    def __call__(self, *inputs: Knots) -> Knots:
        """Average every vertex; the radius is averaged too, with the error of a sum and a quotient."""
        (x,) = inputs
        terms = self.window.kernel[0] * self.window.kernel[1] + 1
        radius = self.apply(self.charges.spread(x, dot(terms)).unsqueeze(0)).squeeze(0)
        return Knots(self.apply(x.values), self.charges.closed(radius.mul_(grow(terms))))

    def apply(self, values: Tensor) -> Tensor:
        """Average images of shape (rows, height * width * channels)."""
        framed = self.window.frame(values, 0.0)
        total = self.window.shifted(framed, 0, 0).clone(memory_format=torch.channels_last)
        for down in range(self.window.kernel[0]):
            for right in range(self.window.kernel[1]):
                if down or right:
                    total += self.window.shifted(framed, down, right)
        return (total / self.counts).permute(0, 2, 3, 1).reshape(len(values), -1)


@transfer("AveragePool")
def average_pool(node: Node, site: Site) -> tuple[Affine, Order]:
    """Average pooling with whatever divisor the graph's conventions say."""
    name = node.inputs[0]
    counts = divisors(node, site.shape(name)[1:], site.shape(node.output)[1:])
    average = Average(window(node, site), site.tensor(counts.astype(np.float64)), site.charges(node))
    return gathered(site.gather(name, channels_last(site.shape(name))), average), channels_last(
        site.shape(node.output)
    )
