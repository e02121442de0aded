"""Transposed convolutions as ordinary ones.

Outputs at positions of the same remainder (phase) modulo the stride see the same entries of the kernel, so
each phase is an ordinary convolution of the input. One convolution computes all phases as channels; they are
then interleaved and cut. Weights are only moved, and zeros added where a phase has fewer entries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocert.errors import ModelTooLarge, Offence
from glocert.graph.lowering_select import take
from glocert.graph.lowering_shape import reshape, transpose
from glocert.graph.lowering_window import convolution
from glocert.graph.shapes import Shape, ShapeError
from glocert.graph.sliding import Window
from glocert.graph.values import BATCH, Activation, Constant, Emitter, Unsupported


@dataclass(frozen=True, slots=True)
class _Axis:
    """One spatial axis.

    Attributes:
        stride: number of phases.
        phases: which phase each entry of the kernel belongs to.
        delays: by how many inputs each entry of the kernel looks back.
        reach: the largest delay.
        before: zeros in front of the input.
        after: zeros behind it.
        start: first interleaved position that is kept.
        length: how many are kept.
    """

    stride: int
    phases: tuple[int, ...]
    delays: tuple[int, ...]
    reach: int
    before: int
    after: int
    start: int
    length: int


def output_lengths(sizes: Shape, window: Window, extra: Shape) -> Shape:
    """Return the spatial shape of the output, ``extra`` entries added at the ends."""
    rank = window.rank
    return tuple(
        (size - 1) * window.strides[axis]
        + (window.kernel[axis] - 1) * window.dilations[axis]
        + 1
        + extra[axis]
        - window.pads[axis]
        - window.pads[rank + axis]
        for axis, size in enumerate(sizes)
    )


def transposed_convolution(
    emitter: Emitter,
    x: Activation,
    weight: Constant,
    bias: Constant | None,
    window: Window,
    group: int,
    extra: Sequence[int] = (),
) -> Activation:
    """Emit a transposed convolution over one, two or three axes.

    Args:
        emitter: appends the nodes.
        x: shape (channels, *sizes).
        weight: shape (channels, outputs / group, *kernel).
        bias: shape (outputs,), or None.
        window: its pads are cut off the output; a negative one adds positions.
        group: channels and outputs are split into so many groups.
        extra: positions that are added at the ends (``output_padding``), none where empty.

    Raises:
        Unsupported: without a batch axis, or nothing is left of the output.
        ShapeError: weights or lists do not fit.
    """
    _check(emitter, x, weight, window, group)
    if bias is not None and bias.array.shape != (weight.array.shape[1] * group,):
        raise ShapeError(f"a bias of shape {list(bias.array.shape)} does not fit {weight.name!r}")
    lengths = output_lengths(x.shape[1:], window, tuple(extra) or (0,) * window.rank)
    if min(lengths) < 1:
        raise Unsupported(f"its output would have the shape {list(lengths)}")
    axes = [
        _axis(size, length, window, axis)
        for axis, (size, length) in enumerate(zip(x.shape[1:], lengths, strict=True))
    ]
    strides = [axis.stride for axis in axes]
    outputs = weight.array.shape[1] * group
    _check_room(emitter, axes, weight, x)
    kernel = Constant(_phased(weight, axes, group), f"{weight.name}.phases")
    offsets = bias and Constant(np.repeat(bias.array, math.prod(strides)), f"{bias.name}.phases")
    pads = (*(axis.before for axis in axes), *(axis.after for axis in axes))
    ones = (1,) * window.rank
    phases = convolution(emitter, x, kernel, offsets, Window(kernel.array.shape[2:], ones, pads, ones), group)
    y = _interleaved(emitter, phases, outputs, strides)
    for place, axis in enumerate(axes):
        y = take(emitter, y, place + 1, range(axis.start, axis.start + axis.length))
    return y


def _check(emitter: Emitter, x: Activation, weight: Constant, window: Window, group: int) -> None:
    if not emitter.batch.present:
        raise Unsupported("it needs a batch axis")
    if not len(window.strides) == len(window.dilations) == window.rank == len(window.pads) // 2:
        raise ShapeError("kernel_shape, strides, dilations and pads have different lengths")
    if window.rank not in (1, 2, 3) or len(x.shape) != window.rank + 1:
        raise ShapeError(f"a kernel of {window.rank} axes does not slide over {list(x.shape)}")
    if min((*window.kernel, *window.strides, *window.dilations)) < 1:
        raise ShapeError("a kernel size, stride or dilation is below 1")
    if weight.array.shape[0] != x.shape[0] or weight.array.shape[2:] != window.kernel:
        raise ShapeError(f"a weight of shape {list(weight.array.shape)} does not take {list(x.shape)}")
    if group < 1 or x.shape[0] % group:
        raise ShapeError(f"{x.shape[0]} channels do not make {group} groups")


def _axis(size: int, length: int, window: Window, axis: int) -> _Axis:
    """Settle one axis; position ``s q + r`` of the full output sees ``x[q - delay]`` in phase ``r``."""
    stride, cut = window.strides[axis], window.pads[axis]
    reaches = [tap * window.dilations[axis] for tap in range(window.kernel[axis])]
    delays = tuple(reach // stride for reach in reaches)
    first, last = cut // stride, (cut + length - 1) // stride
    before = max(0, max(delays) - first)
    return _Axis(
        stride=stride,
        phases=tuple(reach % stride for reach in reaches),
        delays=delays,
        reach=max(delays),
        before=before,
        after=max(0, last - (size - 1)),
        start=cut - stride * (max(delays) - before),
        length=length,
    )


def _check_room(emitter: Emitter, axes: Sequence[_Axis], weight: Constant, x: Activation) -> None:
    """Refuse huge strides and paddings before memory is asked for them."""
    limits = emitter.builder.limits
    numbers = math.prod(axis.stride * (axis.reach + 1) for axis in axes) * math.prod(weight.array.shape[:2])
    spread = math.prod(
        axis.stride * (axis.before + size + axis.after) for axis, size in zip(axes, x.shape[1:], strict=True)
    )
    if numbers > limits.parameters or spread * max(weight.array.shape[1], 1) > limits.activation:
        raise ModelTooLarge(
            f"A tensor of the model is too large: more than {limits.parameters} (setting max_parameters) "
            f"or {limits.activation} elements (setting max_activation).",
            [Offence(emitter.name, "its output is huge")],
        )


def _phased(weight: Constant, axes: Sequence[_Axis], group: int) -> NDArray[Any]:
    """Sort the kernel by phases: (outputs * phases, channels / group, *taps)."""
    channels, outputs = weight.array.shape[:2]
    per_group, rank = channels // group, len(axes)
    source = weight.array.reshape(group, per_group, outputs, -1).transpose(3, 0, 2, 1)
    strides, taps = [axis.stride for axis in axes], [axis.reach + 1 for axis in axes]
    result = np.zeros((*strides, *taps, group, outputs, per_group), weight.array.dtype)
    for entry, place in enumerate(product(*(range(len(axis.phases)) for axis in axes))):
        phase = [axis.phases[k] for axis, k in zip(axes, place, strict=True)]
        tap = [axis.reach - axis.delays[k] for axis, k in zip(axes, place, strict=True)]
        result[(*phase, *tap)] = source[entry]
    order = (2 * rank, 2 * rank + 1, *range(rank), 2 * rank + 2, *range(rank, 2 * rank))
    return result.transpose(order).reshape(group * outputs * math.prod(strides), per_group, *taps)


def _interleaved(emitter: Emitter, x: Activation, outputs: int, strides: Sequence[int]) -> Activation:
    """Put the phases, which are channels, between each other: a pixel shuffle over any number of axes."""
    if math.prod(strides) == 1:
        return x
    rank, sizes = len(strides), x.shape[1:]
    split = reshape(emitter, x, [BATCH, outputs, *strides, *sizes])
    order = [0, 1, *(entry for axis in range(rank) for entry in (2 + rank + axis, 2 + axis))]
    turned = transpose(emitter, split, order)
    return reshape(
        emitter,
        turned,
        [BATCH, outputs, *(size * stride for size, stride in zip(sizes, strides, strict=True))],
    )
