"""Which part of each row is decided, and what is left. NumPy only.

On a row every lower and upper bound of a margin is a line in u. All lower bounds are positive on an interval,
possibly empty; one of the upper bounds is negative on an interval at the row's start, at its stop, or on all
of it. Crossings are found by division and moved inwards a little, and then nothing is believed of them: the
bounds are evaluated again at the float64 parameters that are going to be reported, and an end that does not
hold there is given up. Lines that hold at both ends of an interval hold on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glocert.forms.margins import Margins
from glocert.forms.path import Parts
from glocert.rounding import CHARGE

Float64 = NDArray[np.float64]
Bools = NDArray[np.bool_]
Part = tuple[float, float, int]

_INWARDS = 2.0**-40


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """One interval per row; it is empty where ``stop`` is not above ``start``, or equal where not ``held``.

    Attributes:
        start: shape (rows,).
        stop: shape (rows,).
        held: whether the row has one, shape (rows,); a single point counts.
    """

    start: Float64
    stop: Float64
    held: Bools


def proven(known: Margins) -> Spans:
    """Return where all margins are proven to be positive."""
    level = known.centre - known.error
    with np.errstate(divide="ignore", invalid="ignore"):
        root = -level / known.slope
    rising, falling = known.slope > 0, known.slope < 0
    first = np.where(rising, root, -np.inf).max(1) + _INWARDS
    last = np.where(falling, root, np.inf).min(1) - _INWARDS
    never = (~rising & ~falling & ~(level > 0)).any(1) | ~known.finite
    return _checked(known, first, last, never, -1)


def refuted(known: Margins) -> tuple[Spans, Spans]:
    """Return where one margin is proven to be negative: at the start and at the stop of each row.

    Where it is negative on the whole row, both are the whole row.
    """
    level = known.centre + known.error
    with np.errstate(divide="ignore", invalid="ignore"):
        root = -level / known.slope
    everywhere = (known.slope == 0) & (level < 0)
    last = np.where(known.slope > 0, root, np.where(everywhere, np.inf, -np.inf))
    first = np.where(known.slope < 0, root, np.where(everywhere, -np.inf, np.inf))
    never = ~known.finite
    ends = np.full(len(level), np.inf)
    head = _checked(known, -ends, last.max(1) - _INWARDS, never, 1, last.argmax(1))
    tail = _checked(known, first.min(1) + _INWARDS, ends, never, 1, first.argmin(1))
    return head, tail


def _checked(
    known: Margins,
    first: Float64,
    last: Float64,
    never: Bools,
    sign: int,
    other: NDArray[np.intp] | None = None,
) -> Spans:
    """Turn intervals of u into intervals of t whose ends have been evaluated.

    Args:
        known: the lines.
        first: start in u, below -1 for the row's start.
        last: stop in u, above 1 for the row's stop.
        never: rows without an interval.
        sign: -1: all lower bounds must be positive; 1: the upper bound of one class must be negative.
        other: that class, shape (rows,).
    """
    parts = known.parts
    with np.errstate(invalid="ignore"):
        start = np.where(first <= -1, parts.start, parts.middle + first * parts.half + CHARGE)
        stop = np.where(last >= 1, parts.stop, parts.middle + last * parts.half - CHARGE)
    held = ~never & (start >= parts.start) & (stop <= parts.stop) & (start <= stop)
    start, stop = np.where(held, start, parts.start), np.where(held, stop, parts.start)
    bounds = known.line(np.stack([start, stop], 1), sign)
    if other is None:
        held &= (bounds > 0).all((1, 2))
    else:
        held &= (bounds[np.arange(len(bounds)), :, other] < 0).all(1)
    return Spans(start, stop, held)


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """What is proven on a batch of rows.

    Attributes:
        safe: (start, stop, row) of closed intervals.
        violated: likewise.
        rest: (start, stop, row) of what is left of each row.
    """

    safe: list[Part]
    violated: list[Part]
    rest: list[Part]

    def rows(self, first: int, last: int) -> Decided:
        """Return what is proven on the rows from ``first`` to before ``last``, counted anew."""
        return Decided(*(
            [(start, stop, row - first) for start, stop, row in spans if first <= row < last]
            for spans in (self.safe, self.violated, self.rest)
        ))  # fmt: skip

    def replaced(self, rows: Sequence[int], better: Decided) -> Decided:
        """Return the same with some rows as ``better`` has them, in its own counting."""
        old = set(rows)

        def merged(mine: list[Part], new: list[Part]) -> list[Part]:
            kept = [span for span in mine if span[2] not in old]
            return kept + [(start, stop, rows[at]) for start, stop, at in new]

        return Decided(
            merged(self.safe, better.safe),
            merged(self.violated, better.violated),
            merged(self.rest, better.rest),
        )


def decide(known: Margins) -> Decided:
    """Cut every row into what is proven, what is refuted and what is left."""
    safe, (head, tail) = proven(known), refuted(known)
    found = Decided([], [], [])
    for row in range(len(known.centre)):
        _row(found, row, known.parts, safe, head, tail)
    return found


def _row(found: Decided, row: int, parts: Parts, safe: Spans, head: Spans, tail: Spans) -> None:
    start, stop = float(parts.start[row]), float(parts.stop[row])
    pieces = [
        (float(spans.start[row]), float(spans.stop[row]), kind)
        for spans, kind in ((head, found.violated), (safe, found.safe), (tail, found.violated))
        if spans.held[row]
    ]
    reached = start
    for left, right, kind in pieces:
        if right < reached or (right == reached and reached > start):
            continue
        left = max(left, reached)
        if left > reached:
            found.rest.append((reached, left, row))
        kind.append((left, right, row))
        reached = right
    if reached < stop or not pieces:
        found.rest.append((reached, stop, row))
