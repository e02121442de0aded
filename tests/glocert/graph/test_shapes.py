"""Shapes without execution, against torch on random sizes, and what does not fit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glocert.graph.ir import Attribute
from glocert.graph.shapes import Shape, ShapeError, infer

sizes = st.tuples(st.integers(1, 7), st.integers(1, 7))
small = st.tuples(st.integers(1, 4), st.integers(1, 4))


@given(sizes, small, small, small, st.booleans(), st.data())
def test_pooling_makes_as_many_windows_as_torch(
    size: Shape, kernel: Shape, strides: Shape, dilations: Shape, ceil: bool, data: st.DataObject
) -> None:
    pads = tuple(data.draw(st.integers(0, length // 2)) for length in kernel)
    attributes: dict[str, Attribute] = {"kernel_shape": kernel, "strides": strides, "dilations": dilations}
    attributes["pads"] = (*pads, *pads)
    extents = [(length - 1) * step + 1 for length, step in zip(kernel, dilations, strict=True)]
    if any(length + 2 * pad < extent for length, pad, extent in zip(size, pads, extents, strict=True)):
        with pytest.raises(ShapeError, match="larger than the padded input"):
            infer("MaxPool", attributes, (1, *size), ceil=ceil)
        return
    expected = torch.nn.functional.max_pool2d(torch.zeros(1, *size), kernel, strides, pads, dilations, ceil)
    assert infer("MaxPool", attributes, (1, *size), ceil=ceil) == tuple(expected.shape)


@given(sizes, small, small, small, small)
def test_convolution_makes_as_many_windows_as_torch(
    size: Shape, kernel: Shape, strides: Shape, dilations: Shape, pads: Shape
) -> None:
    attributes: dict[str, Attribute] = {"strides": strides, "dilations": dilations, "group": 2}
    attributes["pads"] = (*pads, *pads)
    weight = torch.zeros(4, 1, *kernel)
    try:
        expected = torch.nn.functional.conv2d(
            torch.zeros(1, 2, *size), weight, None, strides, pads, dilations, 2
        )
    except RuntimeError:
        with pytest.raises(ShapeError):
            infer("Conv", attributes, (2, *size), (4, 1, *kernel))
        return
    assert infer("Conv", attributes, (2, *size), (4, 1, *kernel), (4,)) == tuple(expected.shape[1:])


@pytest.mark.parametrize(
    ("operator", "attributes", "shapes"),
    [
        ("Add", {}, [(2,), (3,)]),
        ("MatMul", {}, [(2, 3), (2, 3)]),
        ("MatMul", {}, [(), (3,)]),
        ("MatMul", {}, [(2, 4, 3), (3, 3, 2)]),
        ("Gemm", {}, [(3,), (3, 2)]),
        ("Gemm", {}, [(2, 3), (4, 3)]),
        ("Gemm", {}, [(3,), (2, 3), (3,)]),
        ("BatchNormalization", {"epsilon": 0.1}, [(2, 3), (2,), (2,), (3,), (2,)]),
        ("BatchNormalization", {"epsilon": 0.1}, [()]),
        ("Reshape", {"shape": (2, 2)}, [(3,)]),
        ("Reshape", {"shape": (-1, -3)}, [(3,)]),
        ("Transpose", {"perm": (0, 0)}, [(2, 2)]),
        ("Transpose", {"perm": (0,)}, [(2, 2)]),
        ("Concat", {"axis": 0}, [(2, 3), (2, 4)]),
        ("Concat", {"axis": 2}, [(2, 3), (2, 3)]),
        ("Concat", {"axis": 0}, [(2, 3), (3,)]),
        ("Pad", {"pads": (1, 1, 1)}, [(2,)]),
        ("Pad", {"pads": (-1, 0)}, [(2,)]),
    ],
)
def test_what_does_not_fit_is_an_error(
    operator: str, attributes: dict[str, Attribute], shapes: list[Shape]
) -> None:
    with pytest.raises(ShapeError):
        infer(operator, attributes, *shapes)
