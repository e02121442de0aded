"""Products of adjoints with what they meet, each added up over an activation.

On the CPU compiled loops add in float64; elsewhere ``in_one_sum`` numbers are added in the type of the
arguments and the sums in float64.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glocert.forms.backward.registry import in_double, in_one_sum
from glocert.forms.form import Form
from glocert.forms.loops import backward as loops


def products(
    adjoint: Tensor, shift: Tensor | None, charge: Tensor, place: Tensor
) -> tuple[Tensor | None, Tensor]:
    """Return ``<a, shift>`` and ``<|a|, charge>``, float64, shape (adjoints, functionals).

    Args:
        adjoint: a, shape (adjoints, functionals, *shape).
        shift: shape (rows or 1, *shape), where axes may have length 1, or None.
        charge: shape (rows, *shape), likewise, or (rows, 0) where nothing is charged.
        place: the row of each adjoint, int64.
    """
    if not in_double(adjoint):
        known = None
        if shift is not None:
            known = _product(adjoint, shift if len(shift) == 1 else shift[place])
        return known, _product(adjoint.abs(), charge[place])
    rows, functionals = adjoint.shape[:2]
    flat, order = as_it_lies(adjoint)
    sums, sizes = adjoint.new_empty(2, rows, functionals, dtype=torch.float64)
    charges = in_order(charge, adjoint, order) if charge.numel() else charge
    shifts = adjoint.new_empty(0, 0) if shift is None else in_order(shift, adjoint, order)
    loops.collect(flat.numpy(), shifts.numpy(), charges.numpy(), place.numpy(), sums.numpy(), sizes.numpy())
    return (None if shift is None else sums), sizes


def substituted(adjoint: Tensor, x: Form, share: float, place: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``<a, line>`` of centre and slopes, and ``<|a|, error>``, what rounding costs included.

    Args:
        adjoint: a, shape (adjoints, functionals, *shape).
        x: shape (rows, *shape).
        share: of the absolute products that their sum may be off by.
        place: the row of each adjoint, int64.

    Returns:
        float64, shapes (1 + k, adjoints, functionals) and (adjoints, functionals).
    """
    own = x.rounding
    if not in_double(adjoint):
        x = x.rows(place)
        size = x.magnitude() * (share * own.up) + x.error
        found = torch.stack([_product(adjoint, line) for line in x.lines()])
        return found, _product(adjoint.abs(), size * own.up + own.tiny)
    lines, (flat, order) = x.lines(), as_it_lies(adjoint)
    found = adjoint.new_empty(len(lines), *adjoint.shape[:2], dtype=torch.float64)
    sizes = adjoint.new_empty(adjoint.shape[:2], dtype=torch.float64)
    values = torch.stack([in_order(line, adjoint, order) for line in lines])
    form = values.numpy(), in_order(x.error, adjoint, order).numpy()
    loops.substitute(flat.numpy(), form, place.numpy(), share, own.tiny, found.numpy(), sizes.numpy())
    return found, sizes


def as_it_lies(adjoint: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """Return (adjoints, functionals, n) as the numbers lie in memory, and the order of the axes there."""
    strides = adjoint.stride()[2:]
    order = tuple(sorted(range(len(strides)), key=lambda axis: (-strides[axis], axis)))
    flat = adjoint.permute(0, 1, *(axis + 2 for axis in order)).reshape(*adjoint.shape[:2], -1)
    return flat.contiguous(), order


def restored(flat: Tensor, adjoint: Tensor, order: tuple[int, ...]) -> Tensor:
    """Return what ``as_it_lies`` made of such an adjoint in its shape again."""
    unfolded = flat.view(*adjoint.shape[:2], *(adjoint.shape[axis + 2] for axis in order))
    return unfolded.permute(0, 1, *(order.index(axis) + 2 for axis in range(len(order))))


def in_order(values: Tensor, adjoint: Tensor, order: tuple[int, ...]) -> Tensor:
    """Return values, shape (rows or 1, *shape), in an order of axes: all of them, or one for each channel."""
    shape = adjoint.shape[2:]
    channels = len(shape) > 1 and order[-1] == 0
    if channels and values.shape[1:] == (shape[0], *(1,) * (len(shape) - 1)):
        return values.flatten(1).contiguous()
    full = values.expand(len(values), *shape)
    return full.permute(0, *(axis + 1 for axis in order)).reshape(len(values), -1).contiguous()


def _product(adjoint: Tensor, values: Tensor) -> Tensor:
    """Sum ``adjoint * values``, shapes (rows, functionals, *shape) and (rows or 1, *shape), as they lie."""
    values = values.expand(len(adjoint), *adjoint.shape[2:])
    if adjoint.ndim == 2:
        return (adjoint * values.unsqueeze(1)).double()
    strides = adjoint.stride()[2:]
    order = sorted(range(len(strides)), key=lambda axis: -strides[axis])
    flat = adjoint.permute(0, 1, *(axis + 2 for axis in order)).flatten(2)
    vector = values.permute(0, *(axis + 1 for axis in order)).flatten(1)
    count = in_one_sum(vector, vector.shape[1])
    if count == flat.shape[2]:
        return torch.bmm(flat, vector.unsqueeze(2)).squeeze(2).double()
    parts = (flat * vector.unsqueeze(1)).view(*flat.shape[:2], -1, count)
    return parts.sum(3).double().sum(2)
