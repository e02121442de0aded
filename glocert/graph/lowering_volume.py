"""Windows over three spatial axes, said exactly with windows over two."""

from __future__ import annotations

from typing import Protocol

from glocert.graph.ir import Attribute
from glocert.graph.lowering_select import take
from glocert.graph.lowering_shape import pad, reshape, transpose
from glocert.graph.shapes import Shape, ShapeError
from glocert.graph.sliding import Window
from glocert.graph.values import BATCH, Activation, Constant, Emitter


class Pool(Protocol):
    """A pooling over two axes."""

    def __call__(self, emitter: Emitter, x: Activation, window: Window) -> Activation:
        """Emit it."""


def pooled(emitter: Emitter, x: Activation, window: Window, pool: Pool) -> Activation:
    """Emit a pooling that may be taken over height and width first and over the depth afterwards."""
    channels, depth, height, width = x.shape
    planes = reshape(emitter, x, [BATCH, channels * depth, height, width])
    flat = pool(emitter, planes, window.along(1, 2))
    rows, columns = flat.shape[1:]
    stacked = reshape(emitter, flat, [BATCH, channels, depth, rows * columns])
    only_depth = window.along(0)
    deep = Window(
        (*only_depth.kernel, 1),
        (*only_depth.strides, 1),
        (only_depth.pads[0], 0, only_depth.pads[1], 0),
        (*only_depth.dilations, 1),
    )
    result = pool(emitter, stacked, deep)
    return reshape(emitter, result, [BATCH, channels, result.shape[1], rows, columns])


def convolution(
    emitter: Emitter, x: Activation, weight: Constant, bias: Constant | None, window: Window, group: int
) -> Activation:
    """Emit a convolution over three axes as one over two.

    The depths that one output depth sees become channels, and the output depths are stacked along the height,
    in blocks whose height is a multiple of the stride, so that a row of windows never shifts between blocks.
    Windows that straddle two blocks are computed as well and dropped.
    """
    outputs, per_group, taps = weight.array.shape[:3]
    if group < 1 or x.shape[0] != per_group * group:
        raise ShapeError(f"a weight of shape {list(weight.array.shape)} does not take {list(x.shape)}")
    depths, rows, columns = _windows(x.shape[1:], window)
    blocks = _blocks(emitter, x, window, depths)
    channels, _, _, height, wide = blocks.shape
    tall = reshape(emitter, blocks, [BATCH, channels * taps, depths * height, wide])
    kernel = weight.array.reshape(outputs, per_group * taps, *weight.array.shape[3:])
    attributes: dict[str, Attribute] = {
        "strides": window.strides[1:],
        "pads": (0, 0, 0, 0),
        "dilations": window.dilations[1:],
        "group": group,
    }
    parameters = [Constant(kernel, weight.name), *([] if bias is None else [bias])]
    y = emitter.add("Conv", (tall, *parameters), attributes)
    step = height // window.strides[1]
    kept = [depth * step + row for depth in range(depths) for row in range(rows)]
    return reshape(emitter, take(emitter, y, 1, kept), [BATCH, outputs, depths, rows, columns])


def _windows(sizes: Shape, window: Window) -> Shape:
    """Count the windows along every axis."""
    counts = []
    for axis, size in enumerate(sizes):
        extent = (window.kernel[axis] - 1) * window.dilations[axis] + 1
        room = size + window.pads[axis] + window.pads[3 + axis] - extent
        if room < 0:
            raise ShapeError(f"a window of {extent} is larger than the padded input of {extent + room}")
        counts.append(room // window.strides[axis] + 1)
    return tuple(counts)


def _blocks(emitter: Emitter, x: Activation, window: Window, depths: int) -> Activation:
    """Return the padded depths that each output depth sees: (channels, taps, depths, height, width)."""
    begins, ends = list(window.pads[:3]), list(window.pads[3:])
    ends[1] += -(x.shape[2] + begins[1] + ends[1]) % window.strides[1]
    framed = pad(emitter, x, [0, 0, *begins], [0, 0, *ends], 0.0)
    taps, (step, gap) = window.kernel[0], (window.strides[0], window.dilations[0])
    seen = take(emitter, framed, 1, [d * step + tap * gap for d in range(depths) for tap in range(taps)])
    channels, _, height, width = seen.shape
    split = reshape(emitter, seen, [BATCH, channels, depths, taps, height, width])
    return transpose(emitter, split, (0, 1, 3, 2, 4, 5))
