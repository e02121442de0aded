"""Convolutions and pooling over one, two or three axes."""

from __future__ import annotations

import math

from glocert.graph import lowering_transposed, lowering_window
from glocert.graph.aten_operators.registry import Call, Withheld, operator
from glocert.graph.lowering_select import take
from glocert.graph.lowering_shape import concat
from glocert.graph.lowering_window import Window, per_axis
from glocert.graph.shapes import Shape
from glocert.graph.values import Activation, Unsupported, Value

_PLACES = Withheld("it reads the places of maxima, which jump")
_LARGEST_UNEVEN = 256


def _symmetric(pads: Shape) -> Shape:
    return (*pads, *pads)


def _kernel(call: Call) -> Shape:
    return tuple(call.constant("weight").array.shape[2:])


def _window(call: Call, padding: Shape) -> Window:
    kernel = _kernel(call)
    strides, dilations = (per_axis(call.lengths(key), len(kernel)) for key in ("stride", "dilation"))
    return Window(kernel, strides, padding, dilations)


@operator("aten::conv1d", "aten::conv2d", "aten::conv3d", "aten::_convolution_mode")
def convolution(call: Call) -> Value:
    """Emit a convolution; padding is numbers, ``valid`` or ``same``."""
    return _convolved(call)


def _convolved(call: Call) -> Value:
    kernel = _kernel(call)
    padding = call.argument("padding", [0])
    if isinstance(padding, str):
        pads = _named_padding(call, padding, kernel)
    else:
        pads = _symmetric(per_axis(call.lengths("padding"), len(kernel)))
    return lowering_window.convolution(
        call.emitter,
        call.activation(),
        call.constant("weight"),
        call.optional("bias"),
        _window(call, pads),
        call.integer("groups", 1),
    )


def _named_padding(call: Call, padding: str, kernel: Shape) -> Shape:
    if padding == "valid":
        return (0,) * 2 * len(kernel)
    if padding != "same":
        raise Unsupported(f"padding {padding!r} is not supported")
    dilations = per_axis(call.integers("dilation", (1,)), len(kernel))
    totals = [dilation * (size - 1) for dilation, size in zip(dilations, kernel, strict=True)]
    return (*(total // 2 for total in totals), *(total - total // 2 for total in totals))


@operator("aten::_convolution", "aten::convolution")
def any_convolution(call: Call) -> Value:
    """Emit the general form that traces hold."""
    return _transposed(call) if call.flag("transposed", False) else _convolved(call)


@operator("aten::conv_transpose1d", "aten::conv_transpose2d", "aten::conv_transpose3d")
def transposed_convolution(call: Call) -> Value:
    """Emit a transposed convolution."""
    return _transposed(call)


def _transposed(call: Call) -> Value:
    rank = len(_kernel(call))
    pads = _symmetric(per_axis(call.lengths("padding"), rank))
    return lowering_transposed.transposed_convolution(
        call.emitter,
        call.activation(),
        call.constant("weight"),
        call.optional("bias"),
        _window(call, pads),
        call.integer("groups", 1),
        per_axis(call.lengths("output_padding"), rank),
    )


def _rank(kind: str) -> int:
    """Read the number of axes in an operator's name, such as max_pool2d or avg_pool3d_with_indices."""
    return next(int(letter) for letter in kind if letter.isdigit())


def _pool_window(call: Call, rank: int) -> Window:
    kernel = per_axis(call.lengths("kernel_size"), rank)
    strides = per_axis(call.lengths("stride"), rank) if call.argument("stride") else kernel
    pads = per_axis(call.integers("padding", (0,)), rank)
    dilations = per_axis(call.integers("dilation", (1,)), rank)
    return Window(kernel, strides, _symmetric(pads), dilations)


@operator("aten::max_pool1d", "aten::max_pool2d", "aten::max_pool3d")
def max_pool(call: Call) -> Value:
    """Emit a maximum over windows."""
    window = _pool_window(call, _rank(call.kind))
    return lowering_window.max_pool(
        call.emitter, call.activation(), window, ceil=call.flag("ceil_mode", False)
    )


@operator("aten::max_pool2d_with_indices", "aten::max_pool3d_with_indices", "aten::max_pool1d_with_indices")
def max_pool_with_places(call: Call) -> tuple[Value | Withheld, ...]:
    """Emit a maximum over windows; where it lies is no output of the network."""
    return max_pool(call), _PLACES


@operator("aten::avg_pool1d", "aten::avg_pool2d", "aten::avg_pool3d")
def average_pool(call: Call) -> Value:
    """Emit a mean over windows."""
    if call.argument("divisor_override") is not None:
        raise Unsupported("divisor_override is not supported")
    window = _pool_window(call, _rank(call.kind))
    ceil, include_pad = call.flag("ceil_mode", False), call.flag("count_include_pad", True)
    return lowering_window.average_pool(
        call.emitter, call.activation(), window, ceil=ceil, include_pad=include_pad
    )


@operator("aten::adaptive_avg_pool1d", "aten::adaptive_avg_pool2d", "aten::adaptive_avg_pool3d")
@operator("aten::_adaptive_avg_pool2d", "aten::_adaptive_avg_pool3d")
def adaptive_average_pool(call: Call) -> Value:
    """Emit a mean over windows that cover the input as evenly as possible."""
    return _adaptive(call, largest=False)


@operator("aten::adaptive_max_pool1d", "aten::adaptive_max_pool2d", "aten::adaptive_max_pool3d")
def adaptive_max_pool(call: Call) -> tuple[Value | Withheld, ...]:
    """Emit a maximum over windows that cover the input as evenly as possible."""
    return _adaptive(call, largest=True), _PLACES


def _adaptive(call: Call, *, largest: bool) -> Activation:
    x, rank = call.activation(), _rank(call.kind)
    sizes, wanted = x.shape[1:], per_axis(_lengths(call, x), rank)
    if len(sizes) != rank or len(wanted) != rank:
        raise Unsupported(f"its output size {list(wanted)} does not fit an input of {list(sizes)}")
    if all(size % count == 0 for size, count in zip(sizes, wanted, strict=True)):
        steps = tuple(size // count for size, count in zip(sizes, wanted, strict=True))
        return _pooled(call, x, Window(steps, steps, (0,) * 2 * rank, (1,) * rank), largest)
    return _uneven(call, x, wanted, largest)


def _pooled(call: Call, x: Activation, window: Window, largest: bool) -> Activation:
    if largest:
        return lowering_window.max_pool(call.emitter, x, window)
    return lowering_window.average_pool(call.emitter, x, window, include_pad=True)


def _uneven(call: Call, x: Activation, wanted: Shape, largest: bool) -> Activation:
    """Pool one axis after the other, every window by itself; a mean of means of equal windows is the mean."""
    if math.prod(wanted) > _LARGEST_UNEVEN or len(wanted) > 2:
        raise Unsupported(f"an input of {list(x.shape[1:])} does not divide into {list(wanted)} even windows")
    for axis, count in enumerate(wanted):
        size, parts = x.shape[axis + 1], []
        for position in range(count):
            start, stop = position * size // count, -(-(position + 1) * size // count)
            part = take(call.emitter, x, axis + 1, range(start, stop))
            kernel = tuple(stop - start if other == axis else 1 for other in range(len(wanted)))
            ones = (1,) * len(wanted)
            parts.append(_pooled(call, part, Window(kernel, ones, (0,) * 2 * len(wanted), ones), largest))
        x = concat(call.emitter, parts, axis + 1 + call.emitter.offset)
    return x


def _lengths(call: Call, x: Activation) -> Shape:
    """Read the output size, in which None keeps a length."""
    wanted = call.argument("output_size")
    entries = wanted if isinstance(wanted, list | tuple) else [wanted]
    kept = [x.shape[-len(entries) :][axis] if entry is None else entry for axis, entry in enumerate(entries)]
    if any(not isinstance(entry, int) or entry < 1 for entry in kept):
        raise Unsupported("its output size is not known")
    return tuple(kept)
