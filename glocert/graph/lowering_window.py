"""Convolution and pooling as canonical nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from glocert.errors import ModelTooLarge, Offence
from glocert.graph import lowering_volume
from glocert.graph.ir import Attribute, Node
from glocert.graph.lowering_shape import reshape
from glocert.graph.pooling import divisors, real_positions
from glocert.graph.shapes import Shape, ShapeError, infer
from glocert.graph.sliding import Window
from glocert.graph.values import BATCH, Activation, Constant, Emitter, Unsupported

__all__ = [
    "Window",
    "average_pool",
    "convolution",
    "global_average_pool",
    "global_max_pool",
    "max_pool",
    "per_axis",
    "same_pads",
]


def same_pads(sizes: Shape, window: Window, *, lower: bool, crop: bool) -> Shape:
    """Return pads that make ``ceil(size / stride)`` windows; an odd one goes to the begin if ``lower``.

    Raises:
        Unsupported: a stride leaves numbers over and not ``crop``: runtimes disagree on which ones.
    """
    window.check()
    begins, ends = [], []
    for axis, size in enumerate(sizes):
        extent = (window.kernel[axis] - 1) * window.dilations[axis] + 1
        total = (-(-size // window.strides[axis]) - 1) * window.strides[axis] + extent - size
        if total < 0 and not crop:
            raise Unsupported(
                "auto_pad with a stride beyond the kernel is not defined", "Export explicit pads."
            )
        begin = max(0, total) - max(0, total) // 2 if lower else max(0, total) // 2
        begins.append(begin)
        ends.append(max(0, total) - begin)
    return (*begins, *ends)


def check_spatial(emitter: Emitter, x: Activation, window: Window) -> None:
    """Refuse a window that does not fit the axes of ``x``, or whose padding is huge."""
    window.check()
    if not emitter.batch.present:
        raise Unsupported("it needs a batch axis")
    if len(x.shape) != window.rank + 1:
        raise ShapeError(f"a kernel of {window.rank} axes does not slide over {list(x.shape)}")
    padded = math.prod(
        size + window.pads[axis] + window.pads[window.rank + axis] for axis, size in enumerate(x.shape[1:])
    )
    if padded * x.shape[0] > emitter.builder.limits.activation:
        raise ModelTooLarge(
            f"A tensor of the model is too large: {padded * x.shape[0]} elements, "
            f"more than {emitter.builder.limits.activation} (setting max_activation).",
            [Offence(emitter.name, "its padding is huge")],
        )


def _as_image(emitter: Emitter, x: Activation, window: Window) -> Activation:
    """Give a signal a height of one, so that everything has two spatial axes."""
    return x if window.rank == 2 else reshape(emitter, x, [BATCH, x.shape[0], 1, x.shape[1]])


def _restored(emitter: Emitter, y: Activation, window: Window) -> Activation:
    return y if window.rank == 2 else reshape(emitter, y, [BATCH, y.shape[0], y.shape[2]])


def convolution(
    emitter: Emitter, x: Activation, weight: Constant, bias: Constant | None, window: Window, group: int
) -> Activation:
    """Emit a convolution over one, two or three axes."""
    check_spatial(emitter, x, window)
    if weight.array.shape[2:] != window.kernel:
        raise ShapeError(f"kernel_shape {list(window.kernel)} is not that of {weight.name!r}")
    if window.rank == 3:
        return lowering_volume.convolution(emitter, x, weight, bias, window, group)
    x = _as_image(emitter, x, window)
    if window.rank == 1:
        weight = Constant(weight.array[:, :, None], weight.name)
    flat = window.in_two_dimensions()
    attributes: dict[str, Attribute] = {
        "strides": flat.strides,
        "pads": flat.pads,
        "dilations": flat.dilations,
        "group": group,
    }
    inputs = (x, weight) if bias is None else (x, weight, bias)
    return _restored(emitter, emitter.add("Conv", inputs, attributes), window)


def max_pool(emitter: Emitter, x: Activation, window: Window, *, ceil: bool = False) -> Activation:
    """Emit a maximum over windows."""
    check_spatial(emitter, x, window)
    if window.rank == 3:
        return lowering_volume.pooled(emitter, x, window, partial(max_pool, ceil=ceil))
    x = _as_image(emitter, x, window)
    flat = window.in_two_dimensions()
    attributes = {"kernel_shape": flat.kernel, "strides": flat.strides, "pads": flat.pads}
    attributes["dilations"] = flat.dilations
    y = emitter.add("MaxPool", (x,), attributes, ceil=ceil)
    if not real_positions(emitter.builder.nodes[-1], x.shape[1:], y.shape[1:]).all():
        raise Unsupported("one of its windows lies in the padding only")
    return _restored(emitter, y, window)


def average_pool(
    emitter: Emitter, x: Activation, window: Window, *, ceil: bool = False, include_pad: bool = False
) -> Activation:
    """Emit a mean over windows."""
    check_spatial(emitter, x, window)
    if window.rank == 3:
        # The divisors are products over the axes, so a mean of means is the mean.
        return lowering_volume.pooled(
            emitter, x, window, partial(average_pool, ceil=ceil, include_pad=include_pad)
        )
    x = _as_image(emitter, x, window)
    flat = window.in_two_dimensions()
    if any(dilation != 1 for dilation in flat.dilations):
        return _restored(emitter, _dilated_average(emitter, x, flat, ceil, include_pad), window)
    attributes: dict[str, Attribute] = {
        "kernel_shape": flat.kernel,
        "strides": flat.strides,
        "pads": flat.pads,
    }
    attributes["count_include_pad"] = int(include_pad)
    y = emitter.add("AveragePool", (x,), attributes, ceil=ceil)
    if not np.all(divisors(emitter.builder.nodes[-1], x.shape[1:], y.shape[1:])):
        raise Unsupported("one of its windows lies in the padding only")
    return _restored(emitter, y, window)


def _dilated_average(
    emitter: Emitter, x: Activation, flat: Window, ceil: bool, include_pad: bool
) -> Activation:
    """Emit sums over dilated windows as a convolution with ones, divided by the exact counts.

    Raises:
        Unsupported: a window hangs over the end, or lies in the padding only.
    """
    attributes: dict[str, Attribute] = {
        "kernel_shape": flat.kernel,
        "strides": flat.strides,
        "pads": flat.pads,
        "dilations": flat.dilations,
        "count_include_pad": int(include_pad),
    }
    y = infer("AveragePool", attributes, x.shape)
    if ceil and infer("AveragePool", attributes, x.shape, ceil=True) != y:
        raise Unsupported("a dilated average over windows that hang over the end is not supported")
    counts = divisors(Node("", "AveragePool", (), "", attributes), x.shape[1:], y[1:])
    if not np.all(counts):
        raise Unsupported("one of its windows lies in the padding only")
    ones = Constant(np.ones((x.shape[0], 1, *flat.kernel), np.float32), f"{emitter.name}.ones")
    geometry: dict[str, Attribute] = {"strides": flat.strides, "pads": flat.pads, "dilations": flat.dilations}
    sums = emitter.add("Conv", (x, ones), {**geometry, "group": x.shape[0]})
    return emitter.add("Div", (sums, Constant(counts.astype(np.float64), f"{emitter.name}.counts")))


def _everything(x: Activation) -> Window:
    """Return the one window that covers all spatial axes."""
    sizes = x.shape[1:]
    return Window(sizes, (1,) * len(sizes), (0,) * 2 * len(sizes), (1,) * len(sizes))


def global_average_pool(emitter: Emitter, x: Activation) -> Activation:
    """Emit a mean over all spatial axes, which stay with length one."""
    return average_pool(emitter, x, _everything(x))


def global_max_pool(emitter: Emitter, x: Activation) -> Activation:
    """Emit a maximum over all spatial axes, which stay with length one."""
    return max_pool(emitter, x, _everything(x))


def per_axis(values: Sequence[int], rank: int) -> Shape:
    """Repeat a single number for every axis."""
    return tuple(values) * rank if len(values) == 1 else tuple(values)
