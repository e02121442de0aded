"""Where pooling windows lie in a batch of images, and the average over each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.ops.affine import Linear, Shape
from glocert.forms.ops.registry import Site, Transfer, transfer
from glocert.graph.ir import Node
from glocert.graph.pooling import dilations, divisors, overhang


@dataclass(frozen=True, slots=True)
class Window:
    """Geometry of a pooling node.

    Attributes:
        pads: left, right, top, bottom, so that the last window just fits; negative where it ends earlier.
        kernel: height, width.
        strides: vertical, horizontal.
        dilations: vertical, horizontal.
        outside: height, width of the output.
    """

    pads: Shape
    kernel: Shape
    strides: Shape
    dilations: Shape
    outside: Shape

    def places(self) -> list[tuple[int, int]]:
        """Return (down, right) of every place in the kernel."""
        return [(down, right) for down in range(self.kernel[0]) for right in range(self.kernel[1])]

    def frame(self, images: Tensor) -> Tensor:
        """Return images of shape (..., height, width) with zeros around them."""
        return torch.nn.functional.pad(images, self.pads) if any(self.pads) else images

    def shifted(self, framed: Tensor, place: tuple[int, int]) -> Tensor:
        """Return the pixel at one place of every window, shape (..., out height, out width); a view."""
        top, left = place[0] * self.dilations[0], place[1] * self.dilations[1]
        rows = slice(top, top + (self.outside[0] - 1) * self.strides[0] + 1, self.strides[0])
        columns = slice(left, left + (self.outside[1] - 1) * self.strides[1] + 1, self.strides[1])
        return framed[..., rows, columns]

    def total(self, images: Tensor) -> Tensor:
        """Return the sum over each window."""
        framed = self.frame(images)
        first, *rest = self.places()
        total = self.shifted(framed, first).clone(memory_format=torch.preserve_format)
        for place in rest:
            total += self.shifted(framed, place)
        return total


def window(node: Node, site: Site) -> Window:
    """Read the geometry of a pooling node."""
    outside = site.shape(node.output)[1:]
    top, left = node.ints("pads")[:2]
    bottom, right = overhang(node, site.shape(node.inputs[0])[1:], outside)
    pads = (left, right, top, bottom)
    return Window(pads, node.ints("kernel_shape"), node.ints("strides"), dilations(node), outside)


@transfer("AveragePool")
def average_pool(node: Node, site: Site) -> Transfer:
    """A sum over each window, divided by an exact count."""
    geometry = window(node, site)
    counts = divisors(node, site.shape(node.inputs[0])[1:], geometry.outside)
    divisor = torch.tensor(counts, dtype=site.dtype, device=site.device)

    def average(images: Tensor) -> Tensor:
        return geometry.total(images) / divisor

    terms = geometry.kernel[0] * geometry.kernel[1] + 1
    return Linear(average, average, None, terms, site.charges(node))
