"""Per-sample shapes of the canonical operators: one function per operator, nothing is ever executed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import cast

import numpy as np

from glocert.graph.families import FUNCTIONS
from glocert.graph.ir import Attribute

Shape = tuple[int, ...]
Attributes = Mapping[str, Attribute]
Rule = Callable[..., Shape]


class ShapeError(ValueError):
    """The inputs of an operator do not fit together; the message names the shapes."""


_RULES: dict[str, Rule] = {}


def rule(*operators: str) -> Callable[[Rule], Rule]:
    """Register the shape function of ``operators``."""

    def register(function: Rule) -> Rule:
        _RULES.update(dict.fromkeys(operators, function))
        return function

    return register


def infer(operator: str, attributes: Attributes, *shapes: Shape, ceil: bool = False) -> Shape:
    """Return the per-sample shape that ``operator`` makes of inputs of ``shapes``.

    Args:
        operator: a canonical operator.
        attributes: its canonical attributes.
        shapes: per-sample shapes of activations and shapes of parameters, in the operator's order.
        ceil: count a pooling window that begins inside the input although it ends outside.

    Raises:
        ShapeError: the shapes do not fit.
    """
    if operator in {"MaxPool", "AveragePool"}:
        return _pool(attributes, *shapes, ceil=ceil)
    return _RULES[operator](attributes, *shapes)


def ints(attributes: Attributes, key: str) -> tuple[int, ...]:
    """Return a canonical attribute that is a list of integers."""
    return cast("tuple[int, ...]", attributes[key])


@rule("Relu", "LeakyRelu", "Clip", "LogSoftmax", *FUNCTIONS)
def _same(_attributes: Attributes, x: Shape) -> Shape:
    return x


@rule("Softmax")
def _softmax(attributes: Attributes, x: Shape) -> Shape:
    if not 0 <= cast("int", attributes["axis"]) < len(x):
        raise ShapeError(f"axis {attributes['axis']} is out of range for {list(x)}")
    return x


@rule("Gather")
def _gather(attributes: Attributes, x: Shape) -> Shape:
    axis, indices = cast("int", attributes["axis"]), ints(attributes, "indices")
    if not 0 <= axis < len(x):
        raise ShapeError(f"axis {axis} is out of range for {list(x)}")
    if not indices or min(indices) < 0 or max(indices) >= x[axis]:
        raise ShapeError(f"positions along axis {axis} are not all in 0..{x[axis] - 1}")
    return (*x[:axis], len(indices), *x[axis + 1 :])


@rule("ReduceSum")
def _reduce(attributes: Attributes, x: Shape) -> Shape:
    axes = ints(attributes, "axes")
    if not axes or list(axes) != sorted(set(axes)) or min(axes) < 0 or max(axes) >= len(x):
        raise ShapeError(f"axes {list(axes)} are not some of the axes of {list(x)}")
    return tuple(size for axis, size in enumerate(x) if axis not in axes)


@rule("Add", "Sub", "Mul", "Div")
def _broadcast(_attributes: Attributes, x: Shape, y: Shape) -> Shape:
    try:
        return np.broadcast_shapes(x, y)
    except ValueError:
        raise ShapeError(f"shapes {list(x)} and {list(y)} do not broadcast") from None


@rule("MatMul")
def _matmul(_attributes: Attributes, x: Shape, y: Shape) -> Shape:
    if not x or not y or x[-1] != y[-2 if len(y) > 1 else 0]:
        raise ShapeError(f"a matrix product of {list(x)} and {list(y)} is not defined")
    try:
        batch = np.broadcast_shapes(x[:-2], y[:-2])
    except ValueError:
        raise ShapeError(f"a matrix product of {list(x)} and {list(y)} is not defined") from None
    return (*batch, *x[-2:-1], *(y[-1:] if len(y) > 1 else ()))


@rule("Gemm")
def _gemm(_attributes: Attributes, x: Shape, w: Shape, b: Shape | None = None) -> Shape:
    if len(x) != 1 or len(w) != 2 or w[1] != x[0]:
        raise ShapeError(f"a dense layer of weight {list(w)} does not take an input of shape {list(x)}")
    if b is not None and b != w[:1]:
        raise ShapeError(f"a bias of shape {list(b)} does not fit {w[0]} outputs")
    return w[:1]


@rule("Conv")
def _conv(attributes: Attributes, x: Shape, w: Shape, b: Shape | None = None) -> Shape:
    group = cast("int", attributes["group"])
    if len(x) != 3 or len(w) != 4 or group < 1 or x[0] != w[1] * group or w[0] % group:
        raise ShapeError(f"a convolution of weight {list(w)} and group {group} does not take {list(x)}")
    if b is not None and b != w[:1]:
        raise ShapeError(f"a bias of shape {list(b)} does not fit {w[0]} channels")
    return (w[0], *_windows(attributes, x[1:], w[2:], ceil=False))


@rule("BatchNormalization")
def _normalise(_attributes: Attributes, x: Shape, *parameters: Shape) -> Shape:
    if not x or any(parameter != x[:1] for parameter in parameters):
        raise ShapeError(f"parameters of shapes {[list(p) for p in parameters]} do not fit {list(x)}")
    return x


def _pool(attributes: Attributes, x: Shape, *, ceil: bool) -> Shape:
    if len(x) != 3:
        raise ShapeError(f"pooling needs channels, height and width, not {list(x)}")
    return (x[0], *_windows(attributes, x[1:], ints(attributes, "kernel_shape"), ceil=ceil))


def _windows(attributes: Attributes, sizes: Shape, kernel: Shape, *, ceil: bool) -> Shape:
    """Count the windows along both axes."""
    strides, pads = ints(attributes, "strides"), ints(attributes, "pads")
    dilations = ints(attributes, "dilations") if "dilations" in attributes else (1, 1)
    if min((*kernel, *strides, *dilations)) < 1 or min(pads) < 0:
        raise ShapeError(
            f"kernel {kernel}, strides {strides}, dilations {dilations} or pads {pads} are impossible"
        )
    return tuple(
        _count(sizes[axis], (kernel[axis] - 1) * dilations[axis] + 1, strides[axis], pads[axis::2], ceil=ceil)
        for axis in range(2)
    )


def _count(size: int, extent: int, stride: int, pads: Shape, *, ceil: bool) -> int:
    begin, end = pads
    room = size + begin + end - extent
    if room < 0:
        raise ShapeError(f"a window of {extent} is larger than the padded input of {size + begin + end}")
    count = room // stride + 1
    # Source: PyTorch's pooling_output_shape; a window that begins in the end padding is dropped.
    if ceil and room % stride and count * stride < size + begin:
        count += 1
    return count


@rule("Reshape")
def _reshape(attributes: Attributes, x: Shape) -> Shape:
    shape = ints(attributes, "shape")
    if math.prod(shape) != math.prod(x) or min(shape, default=1) < 1:
        raise ShapeError(f"{list(x)} cannot be reshaped to {list(shape)}")
    return shape


@rule("Transpose")
def _transpose(attributes: Attributes, x: Shape) -> Shape:
    perm = ints(attributes, "perm")
    if sorted(perm) != list(range(len(x))):
        raise ShapeError(f"{list(perm)} is no permutation of the axes of {list(x)}")
    return tuple(x[axis] for axis in perm)


@rule("Concat")
def _concat(attributes: Attributes, *shapes: Shape) -> Shape:
    axis = cast("int", attributes["axis"])
    first = shapes[0]
    if not 0 <= axis < len(first):
        raise ShapeError(f"axis {axis} is out of range for {list(first)}")
    rests = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    if len(rests) > 1 or any(len(shape) != len(first) for shape in shapes):
        raise ShapeError(f"shapes {[list(shape) for shape in shapes]} do not join along axis {axis}")
    return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])


@rule("Pad")
def _pad(attributes: Attributes, x: Shape) -> Shape:
    pads = ints(attributes, "pads")
    if len(pads) != 2 * len(x) or min(pads, default=0) < 0:
        raise ShapeError(f"pads {list(pads)} do not fit {list(x)}")
    return tuple(size + pads[axis] + pads[len(x) + axis] for axis, size in enumerate(x))
