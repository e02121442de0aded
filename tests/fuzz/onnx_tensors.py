"""Mutations of the stored tensors of an ONNX model."""

from __future__ import annotations

from random import Random

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

from tests.fuzz.raw import INTEGERS, NUMBERS


def mutate(model: ModelProto, draw: Random) -> None:
    """Change one initialiser, or add one."""
    tensor = draw.choice(model.graph.initializer)
    draw.choice((_declare, _retype, _resize, _poison, _integers, _field, _elsewhere, _again))(
        model, tensor, draw
    )


def _declare(model: ModelProto, tensor: TensorProto, draw: Random) -> None:
    """Change the declared shape, keeping the number of elements half of the time."""
    if draw.random() < 0.5:
        tensor.dims[:] = draw.sample(list(tensor.dims), len(tensor.dims))
    elif tensor.dims and draw.random() < 0.7:
        tensor.dims[draw.randrange(len(tensor.dims))] = draw.choice(INTEGERS)
    else:
        tensor.dims.append(draw.choice((0, 1, 2, -1)))


def _retype(model: ModelProto, tensor: TensorProto, draw: Random) -> None:
    """Declare another type, or convert to it."""
    kind = draw.choice((np.float64, np.float16, np.int64, np.int32, np.bool_, np.uint8))
    if draw.random() < 0.5:
        tensor.data_type = draw.choice((*range(24), 99))
    else:
        with np.errstate(all="ignore"):
            array = numpy_helper.to_array(tensor).astype(kind)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _resize(model: ModelProto, tensor: TensorProto, draw: Random) -> None:
    """Carry fewer or more bytes."""
    tensor.raw_data = (tensor.raw_data * 2)[: draw.randrange(2 * len(tensor.raw_data) + 1)]


def _poison(model: ModelProto, tensor: TensorProto, draw: Random) -> None:
    """Put numbers in that are hard to compute with."""
    array = numpy_helper.to_array(tensor).copy()
    with np.errstate(all="ignore"):
        if np.issubdtype(array.dtype, np.floating):
            array.ravel()[draw.randrange(array.size)] = draw.choice(NUMBERS)
        else:
            array.ravel()[draw.randrange(array.size)] = draw.choice(INTEGERS)
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _integers(model: ModelProto, tensor: TensorProto, draw: Random) -> None:
    """Replace it by a list of integers, as the lengths and axes of many operators are."""
    values = [draw.randrange(-3, 9) if draw.random() < 0.7 else draw.choice(INTEGERS) for _ in range(4)]
    array = np.array(values[: draw.randrange(5)], np.int64)
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _field(model: ModelProto, tensor: TensorProto, draw: Random) -> None:
    """Use the field of another type, or two at once."""
    numbers = [0.5] * draw.choice((0, 1, 7))
    draw.choice((tensor.float_data, tensor.double_data)).extend(numbers)
    if draw.random() < 0.5:
        tensor.ClearField("raw_data")


def _elsewhere(model: ModelProto, tensor: TensorProto, draw: Random) -> None:
    """Say that the numbers are in another file."""
    tensor.data_location = TensorProto.EXTERNAL
    if draw.random() < 0.7:
        tensor.external_data.add(key="location", value=draw.choice(("w.bin", "../w", "/etc/passwd", "")))
        tensor.external_data.add(key="length", value=str(draw.choice(INTEGERS)))


def _again(model: ModelProto, tensor: TensorProto, draw: Random) -> None:
    """Store it twice, or list it among the inputs."""
    if draw.random() < 0.5:
        model.graph.initializer.append(tensor)
    else:
        model.graph.input.add(name=tensor.name).type.tensor_type.elem_type = tensor.data_type
