"""Convolutions and pooling."""

from __future__ import annotations

from glocert.graph import lowering_window
from glocert.graph.aten_operators.registry import Call, operator
from glocert.graph.lowering_window import Window, per_axis
from glocert.graph.shapes import Shape
from glocert.graph.values import Activation, Unsupported, Value


def _symmetric(pads: Shape) -> Shape:
    return (*pads, *pads)


def _convolved(call: Call, padding: Shape, group: int) -> Value:
    weight = call.constant(1)
    kernel = weight.array.shape[2:]
    rank = len(kernel)
    strides, dilations = per_axis(call.integers(3, (1,)), rank), per_axis(call.integers(5, (1,)), rank)
    window = Window(kernel, strides, padding, dilations)
    return lowering_window.convolution(
        call.emitter, call.activation(), weight, call.optional(2), window, group
    )


@operator("aten::conv2d", "aten::conv1d", "aten::_convolution_mode")
def convolution(call: Call) -> Value:
    """Emit a convolution; padding is numbers, ``valid`` or ``same``."""
    kernel = call.constant(1).array.shape[2:]
    padding = call.argument(4, [0])
    if isinstance(padding, str):
        pads = _named_padding(call, padding, kernel)
    else:
        pads = _symmetric(per_axis(call.integers(4, (0,)), len(kernel)))
    return _convolved(call, pads, call.integer(6, 1))


def _named_padding(call: Call, padding: str, kernel: Shape) -> Shape:
    if padding == "valid":
        return (0,) * 2 * len(kernel)
    if padding != "same":
        raise Unsupported(f"padding {padding!r} is not supported")
    dilations = per_axis(call.integers(5, (1,)), len(kernel))
    totals = [dilation * (size - 1) for dilation, size in zip(dilations, kernel, strict=True)]
    return (*(total // 2 for total in totals), *(total - total // 2 for total in totals))


@operator("aten::_convolution")
def any_convolution(call: Call) -> Value:
    """Emit the general form that traces hold."""
    if call.flag(6, False):
        raise Unsupported("a transposed convolution is not supported")
    rank = len(call.constant(1).array.shape[2:])
    return _convolved(call, _symmetric(per_axis(call.integers(4, (0,)), rank)), call.integer(8, 1))


def _pool_window(call: Call, rank: int, dilation_at: int | None) -> Window:
    kernel = per_axis(call.integers(1), rank)
    strides = per_axis(call.integers(2), rank) if call.argument(2) else kernel
    pads = per_axis(call.integers(3, (0,)), rank)
    dilations = per_axis(call.integers(dilation_at, (1,)), rank) if dilation_at is not None else (1,) * rank
    return Window(kernel, strides, _symmetric(pads), dilations)


@operator("aten::max_pool2d", "aten::max_pool1d")
def max_pool(call: Call) -> Value:
    """Emit a maximum over windows."""
    window = _pool_window(call, 2 if call.kind.endswith("2d") else 1, 4)
    return lowering_window.max_pool(call.emitter, call.activation(), window, ceil=call.flag(5, False))


@operator("aten::avg_pool2d", "aten::avg_pool1d")
def average_pool(call: Call) -> Value:
    """Emit a mean over windows."""
    if call.argument(6) is not None:
        raise Unsupported("divisor_override is not supported")
    window = _pool_window(call, 2 if call.kind.endswith("2d") else 1, None)
    ceil, include_pad = call.flag(4, False), call.flag(5, True)
    return lowering_window.average_pool(
        call.emitter, call.activation(), window, ceil=ceil, include_pad=include_pad
    )


@operator("aten::adaptive_avg_pool2d", "aten::adaptive_avg_pool1d")
def adaptive_average_pool(call: Call) -> Value:
    """Emit a mean over windows that tile the input evenly."""
    x = call.activation()
    rank = 2 if call.kind.endswith("2d") else 1
    sizes, wanted = x.shape[1:], per_axis(_lengths(call, x), rank)
    if len(sizes) != rank or any(size % count for size, count in zip(sizes, wanted, strict=True)):
        raise Unsupported(f"an input of {list(sizes)} does not divide into {list(wanted)} even windows")
    steps = tuple(size // count for size, count in zip(sizes, wanted, strict=True))
    return lowering_window.average_pool(
        call.emitter, x, Window(steps, steps, (0,) * 2 * rank, (1,) * rank), include_pad=True
    )


def _lengths(call: Call, x: Activation) -> Shape:
    """Read the output size, in which None keeps a length."""
    wanted = call.argument(1)
    entries = wanted if isinstance(wanted, list) else [wanted]
    kept = [x.shape[-len(entries) :][axis] if entry is None else entry for axis, entry in enumerate(entries)]
    if any(not isinstance(entry, int) or entry < 1 for entry in kept):
        raise Unsupported("its output size is not known")
    return tuple(kept)
