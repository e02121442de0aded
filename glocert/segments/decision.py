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

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glocert.laws import Span
from glocert.segments.loops import decision as loops
from glocert.segments.pieces import Run

Float64 = NDArray[np.float64]


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


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """What a run of pieces says about one label.

    Attributes:
        span: the run's part of the path.
        safe: parts on which the property is proven, in order, no two touching.
        maybe: parts on which no violation is proven.
        wrong: where a margin is proven to be negative: the smallest computed one of a vertex, and its t.
        finite: whether every number of the run is; otherwise nothing that follows is known.
        lowest: smallest computed margin and its t.
        reach: the property is proven from the first vertex to here; -1 where not even there.
        everywhere: whether it is proven at every vertex.
        radius: largest error of a margin.
        scale: largest absolute score.
    """

    span: Span
    safe: list[Span]
    maybe: list[Span]
    wrong: list[tuple[float, float]]
    finite: bool
    lowest: tuple[float, float] = (math.inf, 0.0)
    reach: float = -1.0
    everywhere: bool = False
    radius: float = 0.0
    scale: float = 0.0

    def worst(self) -> tuple[float, float]:
        """Return the smallest margin that is proven to be negative, and its t; infinite where none is."""
        return min(self.wrong, default=(math.inf, 0.0))

    def violated(self) -> list[Span]:
        """Return the parts with a length on which a violation is proven: what ``maybe`` leaves of the run.

        Ends of ``maybe`` were moved outwards, so at each of them one margin is proven to be negative.
        """
        ends = [self.span[0], *(end for part in self.maybe for end in part), self.span[1]]
        return [(start, stop) for start, stop in zip(ends[::2], ends[1::2], strict=True) if start < stop]


def decide(run: Run, label: int, margin: float) -> Decided:
    """Return what a run proves, in one pass."""
    safe, maybe, (t, lowest), found = loops.decided(run.t, run.scores, run.radius, label, float(margin))
    wrong = pairs((lowest, t))
    span = float(run.t[0]), float(run.t[-1])
    if not len(found):
        return Decided(span, [], pairs(maybe), wrong, False)
    best, where, reach, everywhere, radius, scale = found.tolist()
    facts = (best, where), reach, bool(everywhere), radius, scale
    return Decided(span, pairs(safe), pairs(maybe), wrong, True, *facts)


def margins(run: Run, label: int, margin: float) -> Margins:
    """Return the margins of ``label``; the rounding of a difference is charged relative to both scores."""
    return Margins(run.t, *loops.compared(run.scores, run.radius, label, float(margin)))


def proven(known: Margins) -> Spans:
    """Return where every margin is proven to be positive: nowhere on a run that is not finite."""
    if not known.finite:
        return Spans(known.t[:-1], known.t[:-1])
    return Spans(*loops.spans(known.t, known.values, known.error, -1.0))


def possible(known: Margins) -> Spans:
    """Return where no margin is proven to be negative."""
    if not known.finite:
        return Spans(known.t[:-1], known.t[1:])
    return Spans(*loops.spans(known.t, known.values, known.error, 1.0))


def pairs(ends: tuple[Float64, Float64]) -> list[Span]:
    """Return two lines of numbers as pairs."""
    start, stop = ends
    return list(zip(start.tolist(), stop.tolist(), strict=True))
