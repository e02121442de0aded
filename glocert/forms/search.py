"""Branch and bound over parts of one path: wide rows first, halves of what stays undecided next.

A search says which rows it wants looked at, and is told what was proven of them; ``rounds`` evaluates the
rows of many searches at once. Bounds cut off what they prove, so only the neighbourhoods of crossings come
back. A part is given up when rounding, not its width, is what keeps it from being decided: when its error is
hardly larger than that of the point in its middle, and the point is undecided too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glocert.forms.decision import Decided
from glocert.forms.ledger import Ledger, Span
from glocert.forms.margins import Margins
from glocert.paths.path import Loaded

_FIRST = 4
_PARTS = 4
_MANY = 8
"""most parts of a row whose margin was seen"""
_POWER = 3.5
"""of the width, with which an error shrinks that is far larger than the margin"""
_POINTS = 4
_LONELY = 3
"""rows that are not worth a batch in float32 beside one in float64"""
_NARROWEST = 2.0**-40
_RELATIVE = 1e-6
_DEEP = 2.0**-16
_FLOOR = 8.0
_SHRUNK = 0.75


class Row(NamedTuple):
    """A part of the path, or a point of it, that is to be looked at.

    Attributes:
        start: where it begins.
        stop: where it ends; a point where equal.
        error: of the row that it comes from.
        single: whether float32 bounds are worth a try.
        doubt: the part in whose middle this point lies, when rounding may be what keeps it undecided.
    """

    start: float
    stop: float
    error: float = np.inf
    single: bool = False
    doubt: Row | None = None

    @property
    def width(self) -> float:
        """Its length."""
        return self.stop - self.start


@dataclass(slots=True)
class Search:
    """The search on one path.

    Attributes:
        path: the path on its device.
        label: class that should win.
        margin: by how much.
        single: whether rows are first bounded in float32.
        ledger: what is proven.
        pending: rows that are still to be looked at.
        points: points that are to be looked at in the next round.
        scale: largest absolute score met.
        floor: largest error of a point's lowest margin in float32 so far: what rounding alone makes of it.
        seen: points of the path in order and the margins there, computed but not proven; None where nobody
            has looked.
    """

    path: Loaded
    label: int
    margin: float
    single: bool = False
    ledger: Ledger = field(default_factory=Ledger)
    pending: list[Row] = field(default_factory=list)
    points: list[Row] = field(default_factory=list)
    scale: float = 0.0
    floor: float = 0.0
    seen: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    def begin(self, span: Span = (0.0, 1.0), joints: Sequence[float] = (), rows: int = _FIRST) -> None:
        """Start on a part of the path with so many rows at least; none of them reaches over a joint."""
        inner = [joint for joint in joints if span[0] < joint < span[1]]
        corners = [span[0], *inner, span[1]]
        count = max(1, rows // (len(corners) - 1))
        ends = [end for pair in pairwise(corners) for end in np.linspace(*pair, count + 1).tolist()[:-1]]
        self.pending += [Row(*pair, single=self.single) for pair in pairwise([*ends, span[1]])]
        self.points += [Row(end, end, single=self.single) for end in span]

    def take(self, most: int) -> list[Row]:
        """Return what to look at next, at least one row: the widest rows, then all points that are wanted."""
        self.pending.sort(key=lambda row: (-row.width, row.start))
        rows, self.pending = self.pending[:most], self.pending[most:]
        points, self.points = self.points, []
        taken = rows + points
        singles = sum(row.single for row in taken)
        if 0 < singles < len(taken) and singles <= _LONELY:
            taken = [row._replace(single=False) for row in taken]
        return taken

    def expected(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """Return about how large the margin is on each row; NaN where it may change its sign or is unknown.

        Nothing is proven about it: only how rows are cut and bounded depends on it.
        """
        if self.seen is None:
            return np.full(len(rows), np.nan)
        first, last = (np.interp([row[end] for row in rows], *self.seen) for end in (0, 1))
        with np.errstate(over="ignore", invalid="ignore"):
            return np.where(np.sign(first) * np.sign(last) > 0, np.abs(first + last) / 2, np.nan)

    @property
    def unsettled(self) -> list[Row]:
        """Parts of the path that are neither decided nor given up."""
        return self.pending + [
            point.doubt.doubt for point in self.points if point.doubt and point.doubt.doubt
        ]

    def first_open(self) -> float:
        """Return the width of the unsettled part at which the proven prefix ends, 0 where there is none."""
        reach = max(self.ledger.reach, 0.0)
        return next((row.width for row in self.unsettled if row.start == reach), 0.0)

    def learn(self, rows: Sequence[Row], known: Margins, found: Decided) -> None:
        """Take what was proven of rows, and put back or give up what is left of them.

        Args:
            rows: as ``take`` returned them, or some of them.
            known: their margins, in the same order.
            found: what that decides.
        """
        self.ledger.add(known, found)
        finite = known.scale[np.isfinite(known.scale)]
        self.scale = max([self.scale, *finite.tolist()])
        points = [at for at, row in enumerate(rows) if row.single and row.start == row.stop]
        if points:
            seen = known.rows(points)
            self.floor = max(self.floor, float(_lowest(seen)[1].max()))
            if not _told(seen):
                self.give_up_single()
        if not self.ledger.broken:
            self.points += [Row(t, t, single=self.single) for t in _suspects(known, found)]
        doubt, open_rows = known.doubt, {at for *_, at in found.rest}
        for start, stop, at in found.rest:
            self._left(rows[at], Row(start, stop, float(doubt[at])), known, at)
        for at, row in enumerate(rows):
            if row.doubt is not None and row.doubt.doubt is not None and at not in open_rows:
                self.pending += self._cut(row.doubt, row.doubt.doubt, known, at)

    def give_up_single(self) -> None:
        """Go on in float64: what float32 loses exceeds the margins."""
        self.single = False
        self.pending = [row._replace(single=False) for row in self.pending]

    def _left(self, row: Row, left: Row, known: Margins, at: int) -> None:
        """Decide what becomes of a part that stays undecided."""
        if row.doubt is not None:
            self._answered(row.doubt, known, at)
        elif row.start < row.stop:
            if row.single and not self.single:
                self.pending.append(left)  # its error was float32's, so it says nothing about its width
            elif row.single and (self._rounded(row, left) or self._blurred(known, at)):
                self.pending += self._cut(row, left._replace(error=np.inf), known, at)
            elif not row.single and _suspicious(known, left, at, row.error):
                middle = (left.start + left.stop) / 2
                doubt = Row(row.start, row.stop, left.error, doubt=left)
                self.points.append(Row(middle, middle, doubt=doubt))
            else:
                self.pending += self._cut(row, left._replace(single=row.single), known, at)
        elif row.single:
            self.points.append(Row(row.start, row.stop))

    def _cut(self, row: Row, left: Row, known: Margins, at: int) -> list[Row]:
        """Return what to look at next of an undecided row: parts of what is left, or that if much was cut."""
        if left.width <= 0.5 * row.width:
            return [left]
        lowest = int(known.centre[at].argmin())
        error, centre = float(known.error[at, lowest]), float(known.centre[at, lowest])
        count = _parts(error, centre, float(self.expected([left])[0]))
        ends = [*np.linspace(left.start, left.stop, count + 1).tolist()[:-1], left.stop]
        return [left._replace(start=start, stop=stop) for start, stop in pairwise(ends)]

    def _blurred(self, known: Margins, at: int) -> bool:
        """Whether the lowest margin of a row is so small that float32 hardly tells its sign anywhere."""
        return bool(np.abs(known.centre[at]).min() <= self.floor)

    def _rounded(self, row: Row, left: Row) -> bool:
        """Whether float32 is what keeps a part undecided: it goes on in float64."""
        stuck = left.error > _SHRUNK * row.error and row.width <= 2.0**-4
        return not np.isfinite(left.error) or stuck or left.width < row.width / 8

    def _answered(self, doubt: Row, known: Margins, at: int) -> None:
        """Look at a doubtful part again, or give it up: its middle, a point, is undecided."""
        part, error = doubt.doubt, doubt.error
        assert part is not None
        point = float(known.doubt[at])
        hopeless = not np.isfinite(point) or error <= _FLOOR * point
        if hopeless or doubt.width / 2 <= _NARROWEST:
            self.ledger.stuck.add(self._reason(point if hopeless else error))
        else:
            self.pending += self._cut(doubt, part, known, at)

    def _reason(self, error: float) -> str:
        """Say why a part is given up whose margins are known up to ``error``."""
        if not np.isfinite(error):
            return "non-finite"
        return "tie" if error <= _RELATIVE * max(self.scale, 1e-300) else "numeric"


def _lowest(points: Margins) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lowest margin of each point and its error."""
    every, lowest = np.arange(len(points.centre)), points.centre.argmin(1)
    return points.centre[every, lowest], points.error[every, lowest]


def _told(points: Margins) -> bool:
    """Whether the sign of the lowest margin is known at one of some points."""
    centre, error = _lowest(points)
    return bool((error <= np.abs(centre)).any())


def _parts(error: float, centre: float, expected: float) -> int:
    """Return into how many parts to cut a row whose lowest margin has an error and a centre.

    An error shrinks with the square of the width, at least. One that is far larger than the margin shrinks
    faster, but the centre of such bounds is far from the margin as well: then what was seen of it counts.
    """
    ratio = error / abs(centre) if centre != 0 and np.isfinite(error) else 1.0
    count = min(max(np.ceil(np.sqrt(ratio)), 2), _PARTS)
    if np.isfinite(error) and np.isfinite(expected):
        count = max(count, min(np.rint((error / expected) ** (1 / _POWER)), _MANY))
    return int(count)


def _suspects(known: Margins, found: Decided) -> list[float]:
    """Return the ends of undecided rows at which the computed margin is lowest, and negative."""
    lows = []
    for start, stop, row in found.rest:
        if start < stop and np.isfinite(known.radius[row]):
            u = known.parts.rows([row]).position(np.array([[start, stop]]))[0]
            values = (known.centre[row] + known.slope[row] * u[:, None]).min(1)
            at = int(values.argmin())
            lows.append((float(values[at]), (start, stop)[at]))
    return [t for value, t in sorted(lows)[:_POINTS] if value < 0]


def _suspicious(known: Margins, left: Row, at: int, before: float) -> bool:
    """Whether rounding may be what keeps a part undecided, so that its middle is worth a look."""
    error, scale = left.error, float(known.scale[at])
    narrow = left.width <= 2.0**-6
    if not np.isfinite(error):
        return narrow
    return error <= _RELATIVE * scale or left.width <= _DEEP or (narrow and error > _SHRUNK * before)
