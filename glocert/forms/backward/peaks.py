"""How large activations may be: what the roundings of a backward pass are relative to."""

from __future__ import annotations

import torch
from torch import Tensor

from glocert.forms.form import Form
from glocert.forms.loops import backward as loops
from glocert.forms.loops.views import by_rows, side_by_side
from glocert.rounding import DOUBLE


def peak(x: Form, index: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return bounds on absolute values, shape (wanted, *shape), and on their sum over each row.

    Args:
        x: shape (rows, *shape).
        index: rows that are wanted, int64.

    Returns:
        The sum is float64, shape (wanted,), or None where no compiled loop goes through x.
    """
    found = by_rows(x)
    if found is None:
        return x.rows(index).peak(), None
    lines, error = found
    shape = (len(index), *x.error.shape[1:])
    out = torch.empty_strided(shape, x.error.stride(), dtype=x.error.dtype)
    sums = torch.empty(len(index), dtype=torch.float64)
    flat = out.as_strided((len(index), error.shape[1]), (error.shape[1], 1)).numpy()
    loops.peaks(lines, error, _own(x), index.numpy(), flat, sums.numpy())
    return out, lifted(sums, error.shape[1])


def channel_peaks(x: Form, index: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return the largest bound of each channel, shape (wanted, channels), and the sum over each row.

    None where no compiled loop goes through x.
    """
    found, channels = by_rows(x), x.error.shape[1]
    if found is None:
        return None
    beside = side_by_side(x.error)
    if beside == 0:
        return None
    lines, error = found
    out = torch.empty(len(index), channels, dtype=x.error.dtype)
    sums = torch.empty(len(index), dtype=torch.float64)
    loops.channel_peaks(lines, error, _own(x), index.numpy(), beside, out.numpy(), sums.numpy())
    return out, lifted(sums, error.shape[1])


def lifted(sums: Tensor, terms: int) -> Tensor:
    """Return computed sums of so many non-negative numbers, not below the exact ones."""
    return sums * (DOUBLE.grow(terms) * DOUBLE.up)


def _own(x: Form) -> tuple[float, float, float]:
    return x.lift(), x.rounding.up, x.rounding.tiny
