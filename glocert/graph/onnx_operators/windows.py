"""Conv, MaxPool, AveragePool, GlobalAveragePool."""

from __future__ import annotations

from glocert.graph import lowering_window
from glocert.graph.lowering_window import Window, same_pads
from glocert.graph.onnx_operators.registry import Call, operator
from glocert.graph.shapes import Shape
from glocert.graph.values import Unsupported, Value


def _window(call: Call, kernel: Shape, sizes: Shape) -> tuple[Window, bool]:
    """Read how a kernel slides over ``sizes``, and whether the number of windows is rounded up."""
    ones = (1,) * len(kernel)
    strides, dilations = call.ints("strides", ones), call.ints("dilations", ones)
    pads, mode = call.ints("pads", (0,) * 2 * len(kernel)), call.text("auto_pad", "NOTSET")
    ceil = bool(call.integer("ceil_mode", 0))
    if mode in {"", "NOTSET"}:
        return Window(kernel, strides, pads, dilations), ceil
    if mode not in {"SAME_UPPER", "SAME_LOWER", "VALID"}:
        raise Unsupported(f"auto_pad {mode!r} is not supported")
    none = Window(kernel, strides, (0,) * 2 * len(kernel), dilations)
    if mode == "VALID" or len(sizes) != len(kernel):
        return none, False
    pads = same_pads(sizes, none, lower=mode == "SAME_LOWER", crop=call.node.op_type == "Conv")
    return Window(kernel, strides, pads, dilations), False


@operator("Conv")
def convolution(call: Call) -> Value:
    """Emit a convolution with constant weights."""
    x, weight = call.activation(), call.constant(1)
    bias = call.constant(2) if call.optional(2) is not None else None
    window, _ = _window(call, call.ints("kernel_shape", weight.array.shape[2:]), x.shape[1:])
    return lowering_window.convolution(call.emitter, x, weight, bias, window, call.integer("group", 1))


@operator("MaxPool")
def max_pool(call: Call) -> Value:
    """Emit a maximum over windows; where the maxima lie cannot be asked for."""
    x = call.activation()
    call.attribute("storage_order")
    window, ceil = _window(call, call.ints("kernel_shape"), x.shape[1:])
    return lowering_window.max_pool(call.emitter, x, window, ceil=ceil)


@operator("AveragePool")
def average_pool(call: Call) -> Value:
    """Emit a mean over windows."""
    x = call.activation()
    include_pad = bool(call.integer("count_include_pad", 0))
    window, ceil = _window(call, call.ints("kernel_shape"), x.shape[1:])
    return lowering_window.average_pool(call.emitter, x, window, ceil=ceil, include_pad=include_pad)


@operator("GlobalAveragePool")
def global_average_pool(call: Call) -> Value:
    """Emit a mean over every spatial axis."""
    return lowering_window.global_average_pool(call.emitter, call.activation())
