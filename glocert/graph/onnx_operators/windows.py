"""Conv, ConvTranspose and pooling."""

from __future__ import annotations

from glocert.graph import lowering_transposed, lowering_window
from glocert.graph.lowering_window import Window, same_pads
from glocert.graph.onnx_operators.registry import Call, operator
from glocert.graph.shapes import Shape, ShapeError
from glocert.graph.values import Constant, Unsupported, Value


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


def _bias(call: Call) -> Constant | None:
    return call.constant(2) if call.optional(2) is not None else None


@operator("Conv")
def convolution(call: Call) -> Value:
    """Emit a convolution with constant weights."""
    x, weight = call.activation(), call.constant(1)
    window, _ = _window(call, call.ints("kernel_shape", weight.array.shape[2:]), x.shape[1:])
    return lowering_window.convolution(call.emitter, x, weight, _bias(call), window, call.integer("group", 1))


@operator("ConvTranspose")
def transposed_convolution(call: Call) -> Value:
    """Emit a transposed convolution with constant weights."""
    x, weight = call.activation(), call.constant(1)
    kernel = call.ints("kernel_shape", weight.array.shape[2:])
    ones = (1,) * len(kernel)
    strides, dilations = call.ints("strides", ones), call.ints("dilations", ones)
    extra = call.ints("output_padding", (0,) * len(kernel))
    if not len(kernel) == len(strides) == len(dilations) == len(extra) == len(x.shape) - 1:
        raise ShapeError("kernel_shape, strides, dilations and output_padding have different lengths")
    none = Window(kernel, strides, (0,) * 2 * len(kernel), dilations)
    pads = _cut(call, x.shape[1:], none, extra)
    window = Window(kernel, strides, pads, dilations)
    return lowering_transposed.transposed_convolution(
        call.emitter, x, weight, _bias(call), window, call.integer("group", 1), extra
    )


def _cut(call: Call, sizes: Shape, window: Window, extra: Shape) -> Shape:
    """Return what is cut off a transposed convolution, from pads, ``auto_pad`` or the shape it shall have."""
    pads, mode = call.ints("pads", (0,) * 2 * window.rank), call.text("auto_pad", "NOTSET")
    wanted = call.ints("output_shape")[-window.rank :]
    if mode not in {"", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"}:
        raise Unsupported(f"auto_pad {mode!r} is not supported")
    if not wanted and mode.startswith("SAME"):
        wanted = tuple(size * stride for size, stride in zip(sizes, window.strides, strict=True))
    if not wanted:
        return pads if mode in {"", "NOTSET"} else (0,) * 2 * window.rank
    whole = lowering_transposed.output_lengths(sizes, window, extra)
    totals = [length - target for length, target in zip(whole, wanted, strict=True)]
    if min(totals) < 0:
        raise Unsupported(f"its output_shape {list(wanted)} is larger than {list(whole)}")
    smaller = [total // 2 for total in totals]
    larger = [total - total // 2 for total in totals]
    return (*smaller, *larger) if mode == "SAME_UPPER" else (*larger, *smaller)


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


@operator("GlobalMaxPool")
def global_max_pool(call: Call) -> Value:
    """Emit a maximum over every spatial axis."""
    return lowering_window.global_max_pool(call.emitter, call.activation())
