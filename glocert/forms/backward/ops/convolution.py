"""Convolution backwards: products with the transposed weights, added up where windows overlap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glocert.forms.backward.ops.affine import Affine
from glocert.forms.backward.registry import Reverse, reverse
from glocert.forms.loops import backward as loops
from glocert.forms.ops.convolution import Windows, windows_of
from glocert.forms.ops.registry import Site
from glocert.graph.ir import Node

_SCRATCH = 2**18
_THIN = 2
"""A convolution with so many times fewer maps than channels is the smaller one backwards."""


@dataclass(frozen=True, slots=True)
class Transposed:
    """The transpose of a convolution.

    Attributes:
        windows: the geometry.
        weights: shape (groups, maps per group, terms), terms being (height, width, channel).
        inside: channels, height, width of the image.
    """

    windows: Windows
    weights: Tensor
    inside: tuple[int, ...]

    def __call__(self, adjoint: Tensor) -> Tensor:
        """Map adjoints of shape (n, maps, out height, out width) in blocks of a bounded buffer."""
        last = adjoint.permute(0, 2, 3, 1)
        channels, height, width = self.inside
        out = adjoint.new_empty(len(adjoint), height, width, channels)
        places = last.shape[1] * last.shape[2]
        rows = max(1, _SCRATCH // (places * self.weights.shape[2] * self.windows.groups))
        for start in range(0, len(adjoint), rows):
            out[start : start + rows] = self._block(last[start : start + rows])
        return out.permute(0, 3, 1, 2)

    def _block(self, last: Tensor) -> Tensor:
        count, groups = len(last), self.windows.groups
        flat = last.reshape(-1, groups, self.weights.shape[1])
        if groups == 1:
            columns = flat[:, 0] @ self.weights[0]
        else:
            columns = torch.bmm(flat.transpose(0, 1), self.weights).transpose(0, 1)
        (kh, kw), (high, wide) = self.windows.kernel, self.windows.outside
        columns = columns.reshape(count, high, wide, groups, kh, kw, -1)
        if columns.device.type == "cpu":
            return self._in_one_pass(columns)
        return self._overlaid(columns)

    def _in_one_pass(self, columns: Tensor) -> Tensor:
        """Do the same as ``_overlaid`` in one pass over memory."""
        (top, left, *_), windows = self.windows.pads, self.windows
        out = columns.new_empty(len(columns), *self.inside[1:], columns.shape[3], columns.shape[-1])
        numbers = columns.flatten(4, 5).contiguous().numpy()
        kernel, strides, dilations = (
            _pair(part) for part in (windows.kernel, windows.strides, windows.dilations)
        )
        loops.overlay(numbers, (top, left), kernel, strides, dilations, out.numpy())
        return out.flatten(3)

    def _overlaid(self, columns: Tensor) -> Tensor:
        """Add up the columns, (n, out height, out width, groups, kernel height, kernel width, channel)."""
        (top, left, bottom, right), (channels, height, width) = self.windows.pads, self.inside
        count, high, wide, groups, kh, kw, _ = columns.shape
        (sh, sw), (dh, dw) = self.windows.strides, self.windows.dilations
        framed = columns.new_zeros(
            count, height + top + bottom, width + left + right, groups, channels // groups
        )
        for down in range(kh):
            for right_by in range(kw):
                first, second = down * dh, right_by * dw
                view = framed[
                    :, first : first + (high - 1) * sh + 1 : sh, second : second + (wide - 1) * sw + 1 : sw
                ]
                view += columns[:, :, :, :, down, right_by]
        cut = framed[:, top : top + height, left : left + width]
        return cut.reshape(count, height, width, channels)


def _turned(windows: Windows, kernel: Tensor, inside: tuple[int, ...]) -> Callable[[Tensor], Tensor] | None:
    """Return the transpose as a convolution with the kernel turned round, where that copies less.

    A window of the adjoint has ``maps`` numbers for each place of the kernel, what is sent back has
    ``channels``. Sums have the same products.
    """
    maps, channels, height, width = kernel.shape
    (top, left, *_), (down, right) = windows.pads, windows.dilations
    above, before = (height - 1) * down - top, (width - 1) * right - left
    below = inside[1] - windows.outside[0] + top
    after = inside[2] - windows.outside[1] + left
    pads = (above, before, below, after)
    single = windows.groups == 1 and windows.strides == (1, 1) and height * width > 1
    if not single or maps * _THIN > channels or min(pads) < 0:
        return None
    turned = replace(windows, pads=pads, outside=inside[1:])
    weights = kernel.flip(2, 3).permute(2, 3, 0, 1).reshape(1, -1, channels).contiguous()
    return lambda adjoint: turned.convolve(adjoint, weights)


def _pair(numbers: tuple[int, ...]) -> tuple[int, int]:
    first, second = numbers
    return first, second


@reverse("Conv")
def conv(node: Node, site: Site) -> Reverse:
    """Two-dimensional convolution with strides, pads, dilations and groups."""
    kernel = site.parameter(node.inputs[1])
    windows = windows_of(node, site)
    groups, (maps, depth, height, width) = windows.groups, kernel.shape
    weights = kernel.view(groups, maps // groups, depth, height, width).permute(0, 1, 3, 4, 2)
    weights = weights.reshape(groups, maps // groups, -1).contiguous()
    inside, outside = site.shape(node.inputs[0]), site.shape(node.output)
    own = site.rounding
    sums = site.size(kernel).sum((2, 3)) * own.grow(height * width)
    table = _by_channel(sums, groups)

    def by_channel(peak: Tensor) -> Tensor:
        """Bound every window by the largest number of each channel."""
        return (peak @ table) * own.grow(len(table))

    bias = site.parameter(node.inputs[2]).reshape(-1, 1, 1) if len(node.inputs) > 2 else None
    terms = (maps // groups) * height * width
    back = _turned(windows, kernel, inside) or Transposed(windows, weights, inside)
    charges = site.charges(node)
    return Affine(
        back,
        lambda x: by_channel(x.amax((2, 3)))[:, :, None, None],
        bias,
        terms,
        outside,
        charges,
        by_channel,
    )


def _by_channel(sums: Tensor, groups: int) -> Tensor:
    """Return the sums, shape (maps, channels per group), as a matrix (channels, maps) with zeros."""
    maps, depth = sums.shape
    table = sums.new_zeros(groups * depth, maps)
    per = maps // groups
    for group in range(groups):
        chosen = slice(group * per, (group + 1) * per)
        table[group * depth : (group + 1) * depth, chosen] = sums[chosen].t()
    return table
