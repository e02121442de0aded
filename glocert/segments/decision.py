"""Where on a run of pieces the property is proven, and where it may hold. NumPy only.

On a run, the margin of the label over class j is known up to an error e_j: the radii of both scores and the
rounding of the two subtractions. The property is proven where every computed margin exceeds its error, and
refuted where one is below minus its error. Both sides are compared as straight lines between vertices, so on
one piece the proven set is an interval, and so is the set that is not refuted. Their ends are crossings s = p
/ (p - q) of lines whose end values p and q carry one rounding each: s is off by a factor of 1 + 4u, and t0 +
s (t1 - t0) by less than 9 u, as t is at most 1. Ends are moved by 16 u, inwards for the first set, outwards
for the second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glocert.rounding import CHARGE, UP
from glocert.segments.curve import Run

Float64 = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Margins:
    """Margins of one label over every other class on a run.

    Attributes:
        t: shape (vertices,).
        values: shape (vertices, others), computed score differences less the required margin.
        error: shape (others,), proven bound on their errors; infinite where a number of the run is not
            finite.
    """

    t: Float64
    values: Float64
    error: Float64

    @property
    def finite(self) -> bool:
        """Whether anything is known at all."""
        return bool(np.isfinite(self.error).all())


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """One interval per piece, possibly empty.

    Attributes:
        start: shape (pieces,).
        stop: shape (pieces,); not above ``start`` where the interval is empty.
    """

    start: Float64
    stop: Float64


def margins(run: Run, label: int, margin: float) -> Margins:
    """Return the margins of ``label``; the rounding of a difference is charged relative to both scores."""
    with np.errstate(invalid="ignore", over="ignore"):
        others = np.delete(run.scores, label, axis=1)
        values = run.scores[:, label, None] - others - margin
        peak = np.abs(run.scores).max(axis=0)
        rounding = (peak[label] + np.delete(peak, label) + abs(margin)) * CHARGE
        error = (run.radius[label] + np.delete(run.radius, label) + rounding) * UP
    known = np.isfinite(error).all() and np.isfinite(values).all()
    return Margins(run.t, values, error if known else np.full_like(error, np.inf))


def proven(known: Margins) -> Spans:
    """Return where every margin is proven to be positive: nowhere on a run that is not finite."""
    if not known.finite:
        return Spans(known.t[:-1], known.t[:-1])
    lower = known.values - known.error
    return _spans(known.t, lower, lower > 0, -CHARGE)


def possible(known: Margins) -> Spans:
    """Return where no margin is proven to be negative."""
    if not known.finite:
        return Spans(known.t[:-1], known.t[1:])
    upper = known.values + known.error
    return _spans(known.t, upper, upper >= 0, CHARGE)


def refuted(known: Margins) -> Bools:
    """Return at which vertices a margin is proven to be negative."""
    if not known.finite:
        return np.zeros(len(known.t), dtype=np.bool_)
    return np.asarray((known.values + known.error < 0).any(axis=1))


def _spans(t: Float64, lines: Float64, above: Bools, shift: float) -> Spans:
    """Return the part of each piece where every line is above zero, its ends moved outwards by ``shift``."""
    before, after = above[:-1], above[1:]
    left, right = t[:-1, None], t[1:, None]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        crossing = left + lines[:-1] / (lines[:-1] - lines[1:]) * (right - left)
    start = np.where(before, left, np.clip(crossing - shift, left, right)).max(axis=1)
    stop = np.where(after, right, np.clip(crossing + shift, left, right)).min(axis=1)
    never = (~before & ~after).any(axis=1)
    return Spans(start, np.where(never, start, stop))
