"""Convolution: windows copied side by side, then matrix products. Never Winograd, never FFT.

Results lie in memory as (height, width, channel) under their own shape, so that a window is a few runs of
adjacent numbers and the next convolution copies nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.faithful import check_convolutions
from glocert.forms.ops.affine import Linear, Map, Shape
from glocert.forms.ops.registry import Site, Transfer, transfer
from glocert.graph.ir import Node
from glocert.rounding import SINGLE

_SCRATCH = 2**18
_TRIED = 3
"""images with which a library's convolution is tried"""
_THIN = 4
"""A convolution with so many times fewer maps than channels copies more than it multiplies."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Where the windows of a convolution lie.

    Attributes:
        pads: top, left, bottom, right.
        kernel: height, width.
        strides: vertical, horizontal.
        dilations: vertical, horizontal.
        outside: height, width of the output.
        groups: channels are split into so many groups.
    """

    pads: Shape
    kernel: Shape
    strides: Shape
    dilations: Shape
    outside: Shape
    groups: int

    def frame(self, images: Tensor) -> Tensor:
        """Return (n, height, width, channels) with zeros around every image, contiguous."""
        top, left, bottom, right = self.pads
        if not any(self.pads):
            return images.contiguous()
        return torch.nn.functional.pad(images, (0, 0, left, right, top, bottom)).contiguous()

    def columns(self, framed: Tensor) -> Tensor:
        """Return (groups, n * out height * out width, terms) of images (n, height, width, channels)."""
        count, height, width, depth = framed.shape
        channels = depth // self.groups
        if self.groups == 1 and (*self.kernel, *self.strides) == (1, 1, 1, 1):
            return framed.view(1, count * height * width, depth)
        row = width * depth
        strides = (
            channels,
            height * row,
            self.strides[0] * row,
            self.strides[1] * depth,
            self.dilations[0] * row,
            self.dilations[1] * depth,
            1,
        )
        shape = (self.groups, count, *self.outside, *self.kernel, channels)
        view = framed.as_strided(shape, strides, framed.storage_offset())
        return view.reshape(self.groups, count * self.outside[0] * self.outside[1], -1)

    def shifted(self, planes: Tensor, out: Tensor) -> None:
        """Add what pixels contribute to the windows that see them; strides are one.

        Args:
            planes: shape (n, kernel height, kernel width, maps, height, width).
            out: at least n images, shape (maps, out height, out width) each; added to.
        """
        (top, left, *_), (down, right) = self.pads, self.dilations
        for i in range(self.kernel[0]):
            for j in range(self.kernel[1]):
                (to, of), (into, along) = (
                    _overlap(size, outside, move)
                    for size, outside, move in zip(
                        planes.shape[4:], self.outside, (i * down - top, j * right - left), strict=True
                    )
                )
                out[: len(planes), :, to, into] += planes[:, i, j, :, of, along]

    def convolve(self, images: Tensor, weights: Tensor) -> Tensor:
        """Convolve images of shape (n, channels, height, width) in blocks of a bounded buffer.

        Args:
            images: in any memory format.
            weights: shape (groups, terms, maps per group).
        """
        _, terms, maps = weights.shape
        places = self.outside[0] * self.outside[1]
        last = images.permute(0, 2, 3, 1)
        out = images.new_empty(len(images), *self.outside, self.groups * maps)
        rows = max(1, _SCRATCH // (places * terms * self.groups))
        for start in range(0, len(images), rows):
            block = self.columns(self.frame(last[start : start + rows]))
            target = out[start : start + rows].view(-1, self.groups * maps)
            if self.groups == 1:
                torch.mm(block[0], weights[0], out=target)
            else:
                target.view(-1, self.groups, maps).copy_(torch.bmm(block, weights).transpose(0, 1))
        return out.permute(0, 3, 1, 2)


def _overlap(size: int, outside: int, move: int) -> tuple[slice, slice]:
    """Return the places of an output that read a pixel of the image ``move`` further, and these pixels."""
    start, stop = max(0, -move), max(0, -move, min(outside, size - move))
    return slice(start, stop), slice(start + move, stop + move)


def windows_of(node: Node, site: Site) -> Windows:
    """Read the geometry of a convolution."""
    return Windows(
        node.ints("pads"),
        site.shape(node.inputs[1])[2:],
        node.ints("strides"),
        node.ints("dilations"),
        site.shape(node.output)[1:],
        int(node.number("group")),
    )


@transfer("Conv")
def conv(node: Node, site: Site) -> Transfer:
    """Two-dimensional convolution with strides, pads, dilations and groups."""
    kernel = site.parameter(node.inputs[1])
    maps, channels, height, width = kernel.shape
    windows = windows_of(node, site)
    groups = windows.groups
    terms = channels * height * width
    weights = kernel.view(groups, maps // groups, channels, height, width).permute(0, 3, 4, 2, 1)
    # Stored map by map: BLAS multiplies many windows with few maps half as fast again that way.
    weights = weights.reshape(groups, terms, maps // groups).mT.contiguous().mT
    sizes = site.size(weights)
    plain = (lambda x: windows.convolve(x, weights)), (lambda x: windows.convolve(x, sizes))
    through, magnitude = plain
    thin = _thin(kernel, site.size(kernel), windows)
    direct = None if thin else _direct(kernel, site.size(kernel), windows)
    if thin is not None:
        through, magnitude = thin
    elif direct is not None and _agree(direct, plain, site.shape(node.inputs[0]), terms):
        through, magnitude = direct
    bias = site.parameter(node.inputs[2]).reshape(-1, 1, 1) if len(node.inputs) > 2 else None
    return Linear(through, magnitude, bias, terms, site.charges(node))


def check_library(dtype: torch.dtype, device: torch.device) -> None:
    """Convolve something in the library that would be asked, if one would be.

    Raises:
        UnfaithfulArithmetic: it does not add up products of this type.
    """
    if _by_library(dtype, device):
        check_convolutions(
            dtype, lambda x, kernel: torch.mkldnn_convolution(x, kernel, None, (0, 0), (1, 1), (1, 1), 1)
        )


def _by_library(dtype: torch.dtype, device: torch.device) -> bool:
    there = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return dtype == torch.float32 and device.type == "cpu" and bool(there)


def _misread(kernel: Tensor, windows: Windows) -> bool:
    """Whether oneDNN may read memory that is not the image's: from one channel to an output of width one.

    Version 3.12 with AVX-512 does so where the horizontal stride alone is longer than one. What it returns
    depends on what lies there, so that a trial may not show it.
    """
    return kernel.shape[1] == 1 and windows.outside[1] == 1


def _direct(kernel: Tensor, sizes: Tensor, windows: Windows) -> tuple[Map, Map] | None:
    """Return the products with a kernel and with its sizes as oneDNN does them, if it does.

    ``torch.conv2d`` would choose among libraries, NNPACK's Winograd among them; this function has no choice:
    PyTorch asks oneDNN for the algorithm ``convolution_direct``, a sum of products in some order.
    """
    if not _by_library(kernel.dtype, kernel.device) or _misread(kernel, windows):
        return None

    top, left, bottom, right = windows.pads
    even = (top, left) == (bottom, right)

    def convolve(images: Tensor, weights: Tensor) -> Tensor:
        pads = (top, left) if even else (0, 0)
        if images.shape[1] == 1:  # in either memory format; the result is to have channels last
            images = images.as_strided(images.shape, (images.stride(0), 1, *images.stride()[2:]))
        if not even:
            images = windows.frame(images.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return torch.mkldnn_convolution(
            images, weights, None, pads, windows.strides, windows.dilations, windows.groups
        )

    kernels = [part.contiguous(memory_format=torch.channels_last) for part in (kernel, sizes)]
    return (lambda x: convolve(x, kernels[0])), (lambda x: convolve(x, kernels[1]))


def _agree(direct: tuple[Map, Map], plain: tuple[Map, Map], shape: Shape, terms: int) -> bool:
    """Whether the library's convolution has the plain one's results, up to the rounding of both.

    A library has code of its own for many geometries and processors, and not all of it is right, see
    ``_misread``. What is known is left out; this looks for what is not.
    """
    images = torch.randn(_TRIED, *shape, generator=torch.Generator().manual_seed(0))
    for found, right, sizes in zip(direct, plain, (plain[1], plain[1]), strict=True):
        allowed = 2 * SINGLE.dot(terms) * sizes(images.abs()) + SINGLE.tiny
        if not ((found(images) - right(images)).abs() <= allowed).all():
            return False
    return True


def _thin(kernel: Tensor, sizes: Tensor, windows: Windows) -> tuple[Map, Map] | None:
    """Return the products with a kernel and with its sizes where there are far fewer maps than channels.

    Every pixel is multiplied with every place of the kernel, and what comes out is added up, shifted: windows
    of all channels would be copied for a few products each. A sum has the same products in another order.
    """
    maps, channels = kernel.shape[:2]
    plain = windows.groups == 1 and windows.strides == (1, 1) and kernel.device.type == "cpu"
    if not plain or maps * _THIN > channels:
        return None

    def convolve(images: Tensor, taps: Tensor) -> Tensor:
        out = images.new_zeros(len(images), maps, *windows.outside)
        rows = max(1, _SCRATCH // (len(taps) * images[0, 0].numel()))
        for start in range(0, len(images), rows):
            block = images[start : start + rows]
            planes = torch.matmul(taps, block.flatten(2))
            windows.shifted(planes.view(len(block), *windows.kernel, maps, *images.shape[2:]), out[start:])
        return out.contiguous(memory_format=torch.channels_last)

    taps = [part.permute(2, 3, 0, 1).reshape(-1, channels).contiguous() for part in (kernel, sizes)]
    return (lambda x: convolve(x, taps[0])), (lambda x: convolve(x, taps[1]))
