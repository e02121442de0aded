"""Parts of a path as forms of the network's input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from glocert.forms.form import Form
from glocert.paths.path import Loaded
from glocert.rounding import UP

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Intervals of t as ``t = middle + half u``, u in [-1, 1].

    Attributes:
        start: shape (rows,), within [0, 1].
        stop: same shape, not below ``start``; equal for points.
        middle: same shape, within [start, stop].
        half: same shape, so large that [start, stop] lies in [middle - half, middle + half].
    """

    start: Float64
    stop: Float64
    middle: Float64
    half: Float64

    @classmethod
    def between(cls, start: Float64, stop: Float64) -> Parts:
        """Return the parts with these ends; a difference of float64 numbers is off by at most u of itself."""
        middle = (start + stop) / 2
        return cls(start, stop, middle, np.maximum(middle - start, stop - middle) * UP)

    @classmethod
    def joined(cls, parts: Sequence[Parts]) -> Parts:
        """Return the rows of several one after the other."""
        names = ("start", "stop", "middle", "half")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def rows(self, index: Sequence[int]) -> Parts:
        """Return some of the rows."""
        at = list(index)
        return Parts(self.start[at], self.stop[at], self.middle[at], self.half[at])

    def position(self, t: Float64) -> Float64:
        """Return u of parameters of each row, shape (rows, n), off by at most 3u of itself; 0 at points."""
        half = np.where(self.half > 0, self.half, 1.0)
        return np.asarray((t - self.middle[:, None]) / half[:, None])


def forms(path: Loaded, parts: Parts, device: torch.device) -> Form:
    """Return the parts of a path of one parameter, one row each."""
    middle, half = (
        torch.tensor(array, dtype=torch.float64, device=device).unsqueeze(1)
        for array in (parts.middle, parts.half)
    )
    found = path.enclose(middle, half)
    return Form.of(found.lines, found.error)
