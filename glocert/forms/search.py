"""Branch and bound over parts of a path: wide rows first, halves of what stays undecided next.

Every round evaluates as many pending rows as the budget's memory allows, together with a few points where a
violation is most likely. The bounds cut off what they prove, so only the neighbourhoods of crossings come
back. A part is given up when rounding, not its width, is what keeps it from being decided: when its error is
hardly larger than that of the point in its middle, and the point is undecided too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glocert.budget import Budget
from glocert.forms.decision import Decided, decide
from glocert.forms.form import Form
from glocert.forms.ledger import Ledger, Span
from glocert.forms.margins import Margins, margins
from glocert.forms.path import Parts, forms
from glocert.forms.program import Program
from glocert.paths.path import Loaded

Float64 = NDArray[np.float64]

_FIRST = 4
_ROWS = 128
_POINTS = 4
_NARROWEST = 2.0**-40
_RELATIVE = 1e-6
_DEEP = 2.0**-16
_FLOOR = 8.0
_SHRUNK = 0.75


class Row(NamedTuple):
    """A part of the path that is to be looked at, and the error of the row that it comes from."""

    start: float
    stop: float
    error: float


@dataclass(slots=True)
class Search:
    """The search on one path.

    Attributes:
        program: the network.
        path: the path on its device.
        label: class that should win.
        margin: by how much.
        budget: limits, checked between rounds.
        ledger: what is proven.
        pending: rows that are still to be looked at.
        points: parameters that are to be looked at in the next round.
        scale: largest absolute score met.
    """

    program: Program
    path: Loaded
    label: int
    margin: float
    budget: Budget
    ledger: Ledger = field(default_factory=Ledger)
    pending: list[Row] = field(default_factory=list)
    points: list[float] = field(default_factory=lambda: [0.0, 1.0])
    scale: float = 0.0

    def run(self, enough: Callable[[], bool], span: Span = (0.0, 1.0)) -> None:
        """Look at rows of a part of the path until ``enough``, nothing is left or a limit is met."""
        ends = np.linspace(*span, _FIRST + 1).tolist()
        self.pending = [Row(*pair, np.inf) for pair in pairwise(ends)]
        while self.pending and not self.exhausted and not enough():
            self._round()

    @property
    def exhausted(self) -> bool:
        """Whether a limit of the budget is met."""
        return self.budget.out_of_time or self.ledger.pieces >= self.budget.pieces

    def first_open(self) -> float:
        """Return the width of the pending row at which the proven prefix ends, 0 where there is none."""
        reach = max(self.ledger.reach, 0.0)
        return next((row.stop - row.start for row in self.pending if row.start == reach), 0.0)

    def _round(self) -> None:
        most = min(_ROWS, self.program.rows(self.budget.block_bytes))
        self.pending.sort(key=lambda row: (row.start - row.stop, row.start))
        rows, self.pending = self.pending[:most], self.pending[most:]
        starts = [*(row.start for row in rows), *self.points]
        stops = [*(row.stop for row in rows), *self.points]
        self.points = []
        known, found = self._evaluate(starts, stops)
        if not self.ledger.broken:
            self.points = _suspects(known, found)
        self._sort_out(known, found, rows)

    def _evaluate(self, starts: list[float], stops: list[float]) -> tuple[Margins, Decided]:
        known = self.margins(Parts.between(np.array(starts), np.array(stops)))
        found = decide(known)
        self.ledger.add(known, found)
        self.scale = max([self.scale, *known.scale[np.isfinite(known.scale)].tolist()])
        return known, found

    def margins(self, parts: Parts) -> Margins:
        """Return the margins on some rows."""
        return margins(self.scores(parts), parts, self.label, self.margin)

    def scores(self, parts: Parts) -> Form:
        """Return the scores on some rows."""
        return self.program.scores(forms(self.path, parts, self.program.device))

    def _sort_out(self, known: Margins, found: Decided, rows: list[Row]) -> None:
        """Give up, or put back, what is left of every row."""
        doubtful: list[tuple[float, float, int]] = []
        for start, stop, row in found.rest:
            if row >= len(rows):
                continue
            if _suspicious(known, start, stop, row, rows[row].error):
                doubtful.append((start, stop, row))
            else:
                self._put_back(known, start, stop, row)
        most = self.program.rows(self.budget.block_bytes)
        for first in range(0, len(doubtful), most):
            self._probe(known, doubtful[first : first + most])

    def _probe(self, known: Margins, rest: list[tuple[float, float, int]]) -> None:
        """Look at the middles of parts; give up those on which more width is not what is missing."""
        middles = [(start + stop) / 2 for start, stop, _ in rest]
        points, found = self._evaluate(middles, middles)
        undecided = {row for *_, row in found.rest}
        for at, (start, stop, row) in enumerate(rest):
            hopeless = at in undecided and _hopeless(known, row, points, at)
            if hopeless or known.parts.half[row] <= _NARROWEST:
                self.ledger.stuck.add(
                    self._reason(float(points.radius[at] if hopeless else known.radius[row]))
                )
            else:
                self._put_back(known, start, stop, row)

    def _reason(self, error: float) -> str:
        """Say why a part is given up whose margins are known up to ``error``."""
        if not np.isfinite(error):
            return "non-finite"
        return "tie" if error <= _RELATIVE * max(self.scale, 1e-300) else "numeric"

    def _put_back(self, known: Margins, start: float, stop: float, row: int) -> None:
        """Look at a part again: as it is where much was cut off, else in halves."""
        error, middle = float(known.radius[row]), (start + stop) / 2
        if stop - start <= 0.5 * float(known.parts.stop[row] - known.parts.start[row]):
            self.pending.append(Row(start, stop, error))
        else:
            self.pending += [Row(start, middle, error), Row(middle, stop, error)]


def _suspects(known: Margins, found: Decided) -> list[float]:
    """Return the ends of undecided rows at which the computed margin is lowest, and negative."""
    lows = []
    for start, stop, row in found.rest:
        if start < stop and np.isfinite(known.radius[row]):
            u = known.parts.position(np.array([[start, stop]] * len(known.centre)))[row]
            values = (known.centre[row] + known.slope[row] * u[:, None]).min(1)
            at = int(values.argmin())
            lows.append((float(values[at]), (start, stop)[at]))
    return [t for value, t in sorted(lows)[:_POINTS] if value < 0]


def _suspicious(known: Margins, start: float, stop: float, row: int, before: float) -> bool:
    """Whether rounding may be what keeps a part undecided, so that its middle is worth a look."""
    error, scale, width = float(known.radius[row]), float(known.scale[row]), stop - start
    if not np.isfinite(error):
        return width <= 2.0**-6
    return error <= _RELATIVE * scale or width <= _DEEP or (width <= 2.0**-6 and error > _SHRUNK * before)


def _hopeless(known: Margins, row: int, points: Margins, at: int) -> bool:
    """Whether halving a part would not help, seen from the undecided point in its middle."""
    floor = float(points.radius[at])
    return not np.isfinite(floor) or float(known.radius[row]) <= _FLOOR * floor
