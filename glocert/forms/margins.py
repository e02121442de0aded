"""Margins of one class over the others on parts of a path, as lines in u with a proven error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.forms.form import Form
from glocert.forms.loops import margins as loops
from glocert.forms.path import Parts
from glocert.rounding import CHARGE, UP

Float64 = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Margins:
    """``| margin_j(u) - (centre_j + slope_j u) | <= error_j`` for u in [-1, 1], j every other class.

    Attributes:
        parts: the rows.
        centre: shape (rows, others), score differences less the required margin.
        slope: same shape.
        error: same shape; also covers evaluating the line at any ``parts.position``. Infinite on rows where
            a number is not finite.
        scale: shape (rows,), bound on the largest absolute score.
    """

    parts: Parts
    centre: Float64
    slope: Float64
    error: Float64
    scale: Float64

    @property
    def finite(self) -> Bools:
        """Rows about which anything is known, shape (rows,)."""
        return np.asarray(np.isfinite(self.error).all(1))

    @property
    def radius(self) -> Float64:
        """Largest error of a margin on each row."""
        return np.asarray(self.error.max(1))

    def rows(self, index: Sequence[int]) -> Margins:
        """Return some of the rows."""
        at = list(index)
        numbers = (part[at] for part in (self.centre, self.slope, self.error, self.scale))
        return Margins(self.parts.rows(at), *numbers)

    def replaced(self, rows: Sequence[int], better: Margins) -> Margins:
        """Return the same with other lines on some rows."""
        merged = [array.copy() for array in (self.centre, self.slope, self.error)]
        for whole, part in zip(merged, (better.centre, better.slope, better.error), strict=True):
            whole[list(rows)] = part
        return replace(self, centre=merged[0], slope=merged[1], error=merged[2])

    @property
    def doubt(self) -> Float64:
        """Largest error of a margin whose sign is open, on each row; of any where all are known."""
        with np.errstate(over="ignore"):
            unknown = np.abs(self.centre) <= np.abs(self.slope) + self.error
        some = unknown.any(1)
        return np.where(some, np.where(unknown, self.error, 0.0).max(1), self.radius)

    def line(self, t: Float64, sign: int) -> Float64:
        """Return proven bounds of the margins at parameters inside their rows.

        Args:
            t: shape (rows, n).
            sign: -1 for lower bounds, 1 for upper bounds.

        Returns:
            Shape (rows, n, others).
        """
        u = self.parts.position(t)[:, :, None]
        with np.errstate(invalid="ignore"):
            return np.asarray(
                self.centre[:, None] + self.slope[:, None] * u + sign * self.error[:, None], np.float64
            )


def margins(scores: Form, parts: Parts, label: int | Ints, margin: float | Float64 = 0.0) -> Margins:
    """Return the margins of ``label``: slopes are subtracted before anything is made absolute.

    Three roundings of each centre, one of each slope, and seven of evaluating the line (u is off by 3u) are
    of numbers no larger than the magnitudes of both scores and the required margin together.

    Args:
        scores: of all classes, one row each part.
        parts: the rows.
        label: class that should win, of all rows or shape (rows,).
        margin: by how much, likewise.
    """
    scores = scores.to(torch.float64)
    if scores.error.device.type == "cpu" and len(scores.lines()) == 2:
        return _in_one_pass(scores, parts, label, margin)
    rows, classes = scores.centre.shape
    own = torch.as_tensor(np.broadcast_to(label, (rows,)).copy(), device=scores.centre.device).unsqueeze(1)
    every = torch.arange(classes - 1, device=own.device).expand(rows, -1)
    others = every + (every >= own)
    required = torch.as_tensor(np.broadcast_to(margin, (rows,)).copy(), device=own.device).unsqueeze(1)
    lines, magnitude = scores.lines(), scores.magnitude()
    difference = _chosen(lines, own) - _chosen(lines, others)
    difference[0] -= required
    size = magnitude.gather(1, own) + magnitude.gather(1, others) + required.abs()
    error = scores.error.gather(1, own) + scores.error.gather(1, others)
    error = (error + size * (2 * CHARGE)) * (UP * UP)
    # What is not finite in a score is not finite in its magnitude, and so in the error.
    known = torch.isfinite(error).all(1, keepdim=True)
    error = torch.where(known, error, torch.inf)
    centre, slope = torch.where(known, difference, 0.0).cpu().numpy()
    scale = torch.nan_to_num(magnitude.amax(1), nan=torch.inf).cpu().numpy()
    return Margins(parts, centre, slope, error.cpu().numpy(), scale)


def _in_one_pass(scores: Form, parts: Parts, label: int | Ints, margin: float | Float64) -> Margins:
    """Do the same in a compiled loop."""
    rows, classes = scores.error.shape
    asked = np.empty(rows, np.int64), np.empty(rows)
    asked[0][:], asked[1][:] = label, margin
    lines, error = (np.ascontiguousarray(part.numpy()) for part in (scores.lines(), scores.error))
    made = np.empty((rows, classes - 1)), np.empty((rows, classes - 1)), np.empty((rows, classes - 1))
    loops.differences(lines, error, asked, (scores.lift(), 2 * CHARGE, UP * UP), made)
    magnitude = np.abs(lines).sum(0).max(1, initial=0.0) * scores.lift()
    return Margins(parts, *made, np.where(np.isnan(magnitude), np.inf, magnitude))


def _chosen(lines: Tensor, columns: Tensor) -> Tensor:
    """Return some columns of each row of centre and slope."""
    return lines.gather(2, columns.expand(len(lines), *columns.shape))
