"""Which part of each row is decided, and what is left.

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

from glocert.forms.loops import margins as loops
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
    return _spans(known)[0]


def refuted(known: Margins) -> tuple[Spans, Spans]:
    """Return where one margin is proven to be negative: at the start and at the stop of each row.

    Where it is negative on the whole row, both are the whole row.
    """
    return _spans(known)[1:]


def _spans(known: Margins) -> tuple[Spans, Spans, Spans]:
    parts, rows = known.parts, len(known.centre)
    found = np.empty((3, 3, rows))
    centre, slope, error = map(np.ascontiguousarray, (known.centre, known.slope, known.error))
    places = parts.start, parts.stop, parts.middle, parts.half
    loops.decided((centre, slope, error), places, _INWARDS, CHARGE, found)
    safe, head, tail = (Spans(start, stop, held > 0) for start, stop, held in found)
    return safe, head, tail


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
    safe, head, tail = _spans(known)
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
