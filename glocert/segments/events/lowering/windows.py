"""Operators that look at windows of an image: convolutions, averages, maxima."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from glocert.graph.ir import Node
from glocert.segments.events import edges
from glocert.segments.events.layers import Edge, Float64, Int64, Layer, frame
from glocert.segments.events.lowering.registry import MOST, Beyond, Draft, lowers
from glocert.segments.ops.registry import channels_last


class Windows(NamedTuple):
    """The windows of a node.

    Attributes:
        layer: the image, channels last.
        pixels: the pixel of the image at each place of each window, shape (windows, places); -1 in padding.
        channels: of the image.
    """

    layer: Layer
    pixels: Int64
    channels: int


def windows(node: Node, draft: Draft, kernel: tuple[int, ...]) -> Windows:
    """Return the windows of a convolution or a pooling."""
    name = node.inputs[0]
    channels, height, width = draft.shape(name)
    _, rows, columns = draft.shape(node.output)
    strides, pads, steps = node.ints("strides"), node.ints("pads"), _steps(node)
    y = _along(rows, strides[0], pads[0], kernel[0], steps[0])
    x = _along(columns, strides[1], pads[1], kernel[1], steps[1])
    pixels = y[:, None, :, None] * width + x[None, :, None, :]
    outside = ((y < 0) | (y >= height))[:, None, :, None] | ((x < 0) | (x >= width))[None, :, None, :]
    pixels = np.where(outside, -1, pixels).reshape(rows * columns, -1)
    return Windows(draft.in_order(name, channels_last(draft.shape(name))), pixels, channels)


def _along(count: int, stride: int, pad: int, taps: int, step: int) -> Int64:
    """Return the positions that each window has along an axis, shape (windows, taps)."""
    return np.arange(count)[:, None] * stride - pad + np.arange(taps)[None, :] * step


def _steps(node: Node) -> tuple[int, ...]:
    return node.ints("dilations") if "dilations" in node.attributes else (1, 1)


@lowers("Conv")
def convolution(node: Node, draft: Draft) -> None:
    """Convolution with a bias; grouped ones, and those whose columns are apart, product by product."""
    name, weight_name, *shift = node.inputs
    weight, shape = draft.parameter(weight_name), draft.shape(node.output)
    layer = Layer.empty(frame(shape))
    steps, pads, group = node.ints("dilations"), node.ints("pads"), int(node.number("group"))
    if group == 1 and steps[1] == 1:
        source = draft.in_order(name, channels_last(draft.shape(name)))
        places = (*node.ints("strides"), pads[0], pads[1], steps[0])
        layer.edges.append(edges.convolution(source, weight, places))
    else:
        seen = windows(node, draft, weight.shape[2:])
        if seen.pixels.size * weight.shape[0] * weight.shape[1] > MOST:
            raise Beyond(node.name)
        layer.edges.append(_apart(seen, layer, weight, group))
    if shift:
        layer.shifted(np.tile(draft.parameter(shift[0]), shape[1] * shape[2]))
    draft.put(node, layer, channels_last(shape))


def _apart(seen: Windows, layer: Layer, weight: Float64, group: int) -> Edge:
    """Return a convolution as single products."""
    results, own = weight.shape[:2]
    taps = weight.reshape(results, own, -1)
    window, place, result, channel = np.meshgrid(
        *(np.arange(n) for n in (*seen.pixels.shape, results, own)), indexing="ij"
    )
    pixel = seen.pixels[window, place]
    inside = pixel >= 0
    channels = channel + (result // (results // group)) * own
    sources = (pixel * seen.channels + channels)[inside]
    targets = (window * results + result)[inside]
    return edges.sparse(seen.layer, layer.shape, sources, targets, taps[result, channel, place][inside])


@lowers("AveragePool")
def average(node: Node, draft: Draft) -> None:
    """Mean over windows; the rounding of one over the count is covered by the charge of its products."""
    shape = draft.shape(node.output)
    layer = Layer.empty(frame(shape))
    seen = windows(node, draft, node.ints("kernel_shape"))
    window, place = np.nonzero(seen.pixels >= 0)
    counts = _counts(node, draft)[window]
    spots = seen.pixels[window, place][:, None] * seen.channels + np.arange(seen.channels)
    targets = window[:, None] * seen.channels + np.arange(seen.channels)
    weights = np.repeat(1.0 / counts, seen.channels)
    layer.edges.append(edges.sparse(seen.layer, layer.shape, spots.reshape(-1), targets.reshape(-1), weights))
    draft.put(node, layer, channels_last(shape))


def _counts(node: Node, draft: Draft) -> Float64:
    """Return the divisor of each window, see ``graph.ir``."""
    _, height, width = draft.shape(node.inputs[0])
    _, rows, columns = draft.shape(node.output)
    padded = bool(node.number("count_include_pad"))
    along = []
    for axis, (count, extent) in enumerate(((rows, height), (columns, width))):
        before, after = node.ints("pads")[axis], node.ints("pads")[axis + 2]
        places = _along(count, node.ints("strides")[axis], before, node.ints("kernel_shape")[axis], 1)
        low, high = (-before, extent + after) if padded else (0, extent)
        along.append(((places >= low) & (places < high)).sum(1))
    return np.asarray((along[0][:, None] * along[1][None, :]).reshape(-1), np.float64)
