"""Convolution in float64: windows copied side by side, then one matrix product. Never Winograd, never FFT.

Images lie in memory as (height, width, channel), so that a window is a few runs of adjacent numbers and the
result of the product is the next image without another copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from glocert.graph.ir import Node
from glocert.rounding import dot, grow
from glocert.segments.knots import Knots
from glocert.segments.ops.dense import product
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

_SCRATCH = 2**18


@dataclass(frozen=True, slots=True)
class Windows:
    """Where the windows of a convolution lie.

    Attributes:
        image: (height, width, channels) of the input.
        pads: top, left, bottom, right.
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

    @property
    def padded(self) -> Shape:
        """(height, width, channels) with the padding."""
        top, left, bottom, right = self.pads
        height, width, channels = self.image
        return height + top + bottom, width + left + right, channels

    @property
    def plain(self) -> bool:
        """Whether every window is one pixel and every pixel a window, so that there is nothing to copy."""
        return (*self.kernel, *self.strides) == (1, 1, 1, 1) and not any(self.pads)

    def frame(self, images: Tensor) -> Tensor:
        """Return (rows, height * width * channels) with zeros around every image."""
        if not any(self.pads):
            return images
        top, left, _, _ = self.pads
        height, width, channels = self.image
        framed = images.new_zeros(len(images), *self.padded)
        framed[:, top : top + height, left : left + width] = images.view(-1, height, width, channels)
        return framed.view(len(images), -1)

    def view(self, framed: Tensor, group: int, channels: int) -> Tensor:
        """Return (rows, out height, out width, kernel height, kernel width, channels) without copying."""
        _, width, depth = self.padded
        row, column = width * depth, depth
        strides = (
            framed.stride(0),
            self.strides[0] * row,
            self.strides[1] * column,
            self.dilations[0] * row,
            self.dilations[1] * column,
            1,
        )
        shape = (len(framed), *self.outside, *self.kernel, channels)
        return framed.as_strided(shape, strides, framed.storage_offset() + group * channels)


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution as matrix products, one per group.

    The bound is that of ``Dense``: a window has as many terms as a column of the matrix.

    Attributes:
        windows: the geometry.
        weights: per group, shape (kernel height * kernel width * channels, maps), rows in the order of a
            window.
        magnitudes: their absolute values.
        bias: shape (maps of all groups,), or None.
        charges: what roundings cost.
    """

    windows: Windows
    weights: tuple[Tensor, ...]
    magnitudes: tuple[Tensor, ...]
    bias: Tensor | None
    charges: Charges

    def __call__(self, *inputs: Knots) -> Knots:
        """Convolve every vertex; the radius takes one more image with the absolute weights."""
        (x,) = inputs
        terms = len(self.weights[0])
        spread = self.charges.spread(x, dot(terms))
        radius = self.apply(spread.unsqueeze(0), self.magnitudes, None).squeeze(0)
        if self.bias is not None:
            share = dot(terms) + self.charges.executed
            radius.view(-1, len(self.bias)).add_(self.bias.abs(), alpha=share)
        radius = self.charges.closed(radius.mul_(grow(terms)))
        return Knots(self.apply(x.values, self.weights, self.bias), radius)

    def apply(self, images: Tensor, weights: tuple[Tensor, ...], bias: Tensor | None) -> Tensor:
        """Convolve images of shape (rows, height * width * channels) in blocks of a bounded buffer."""
        terms, maps = weights[0].shape
        places = self.windows.outside[0] * self.windows.outside[1]
        images = images.contiguous()
        out = images.new_empty(len(images), places, maps * len(weights))
        rows = max(1, _SCRATCH // (places * terms))
        for start in range(0, len(images), rows):
            framed = self.windows.frame(images[start : start + rows])
            self._fill(framed, out[start : start + rows], weights, bias)
        return out.view(len(images), -1)

    def _fill(self, framed: Tensor, out: Tensor, weights: tuple[Tensor, ...], bias: Tensor | None) -> None:
        terms, maps = weights[0].shape
        channels = terms // (self.windows.kernel[0] * self.windows.kernel[1])
        for group, weight in enumerate(weights):
            columns = slice(group * maps, (group + 1) * maps)
            shift = None if bias is None else bias[columns]
            windows = (
                framed
                if self.windows.plain and len(weights) == 1
                else self.windows.view(framed, group, channels)
            )
            out[:, :, columns] = product(windows.reshape(-1, terms), weight, shift).view(len(out), -1, maps)


@transfer("Conv")
def conv(node: Node, site: Site) -> tuple[Affine, Order]:
    """Two-dimensional convolution with strides, pads, dilations and groups."""
    name, weight_name, *rest = node.inputs
    kernel = site.parameter(weight_name)
    channels, height, width = site.shape(name)
    shape, groups = site.shape(node.output), int(node.number("group"))
    windows = Windows(
        (height, width, channels),
        node.ints("pads"),
        kernel.shape[2:],
        node.ints("strides"),
        node.ints("dilations"),
        shape[1:],
    )
    matrices = [part.transpose(0, 2, 3, 1).reshape(len(part), -1) for part in np.split(kernel, groups)]
    # Stored map by map: BLAS multiplies many windows with few maps half as fast again that way.
    weights = tuple(site.tensor(matrix).t() for matrix in matrices)
    bias = site.tensor(np.broadcast_to(site.parameter(rest[0]), shape[:1])) if rest else None
    sizes = tuple(site.size(weight) for weight in weights)
    convolution = Convolution(windows, weights, sizes, bias, site.charges(node))
    index = site.gather(name, channels_last(site.shape(name)))
    return gathered(index, convolution), channels_last(shape)
