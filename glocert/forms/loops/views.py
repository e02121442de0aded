"""Tensors as the flat arrays that compiled loops go through: nothing is copied."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.forms.form import Form

Array = NDArray[Any]


class Flat(NamedTuple):
    """A form's numbers as they lie in memory.

    Attributes:
        lines: shape (1 + k, numbers).
        error: shape (numbers,), in the same order.
    """

    lines: Array
    error: Array


def flat(lines: Tensor, error: Tensor) -> Flat | None:
    """Return the numbers of a form; None where they are not on the CPU, of one type, dense, in one order."""
    if error.device.type != "cpu" or lines.dtype != error.dtype:
        return None
    if not _same_order(lines.shape, lines.stride(), error.stride()):
        return None
    count = error.numel()
    return Flat(lines.as_strided((len(lines), count), (count, 1)).numpy(), array(error))


def by_rows(x: Form) -> Flat | None:
    """Return the numbers of a form as shapes (1 + k, rows, numbers) and (rows, numbers), or None."""
    seen = flat(x.lines(), x.error)
    if seen is None:
        return None
    rows = len(x.error)
    return Flat(seen.lines.reshape(len(seen.lines), rows, -1), seen.error.reshape(rows, -1))


def array(dense: Tensor) -> Array:
    """Return the numbers of a dense CPU tensor as they lie in memory."""
    found: Array = dense.as_strided((dense.numel(),), (1,)).numpy()
    return found


def like(lines: Tensor, error: Tensor) -> tuple[Form, Flat]:
    """Return a new form in the memory order of another one, to be filled through its flat numbers."""
    made = torch.empty_strided(lines.shape, lines.stride(), dtype=lines.dtype)
    bound = torch.empty_strided(error.shape, error.stride(), dtype=error.dtype)
    count = error.numel()
    return Form.of(made, bound), Flat(made.as_strided((len(made), count), (count, 1)).numpy(), array(bound))


def inner(tensor: Tensor) -> int:
    """Return how many numbers of axis 1 lie side by side: all where it is innermost in memory, else 0."""
    return _inner(tensor.shape, tensor.stride())


def side_by_side(tensor: Tensor) -> int:
    """Return how many numbers of a channel, axis 1, lie side by side: 1, or all; 0 in any other order."""
    if tensor.ndim < 2:
        return 0
    if inner(tensor) == tensor.shape[1]:
        return 1
    return tensor[0, 0].numel() if tensor.is_contiguous() else 0


@lru_cache(maxsize=4096)
def _same_order(shape: tuple[int, ...], lines: tuple[int, ...], error: tuple[int, ...]) -> bool:
    """Whether lines of a shape (1 + k, *rest) repeat the layout of ``rest``, which is dense."""
    rest = shape[1:]
    count = math.prod(rest)
    if count == 0 or (shape[0] > 1 and lines[0] != count):
        return False
    return _dense(rest, error) and _agree(rest, lines[1:], error)


def _agree(shape: tuple[int, ...], one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return all(size == 1 or a == b for size, a, b in zip(shape, one, other, strict=True))


def _dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the numbers fill their memory without holes, the rows outermost."""
    axes = sorted((step, size) for size, step in zip(shape, strides, strict=True) if size > 1)
    expected = 1
    for step, size in axes:
        if step != expected:
            return False
        expected *= size
    return shape[0] == 1 or strides[0] == expected // shape[0]


@lru_cache(maxsize=4096)
def _inner(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    if not _dense(shape, strides):
        return 0
    behind = [step for size, step in zip(shape[2:], strides[2:], strict=True) if size > 1]
    return shape[1] if shape[1] == 1 or strides[1] == 1 or not behind else 0
