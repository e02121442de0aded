"""Everything that is proven about one path so far, and the report that it makes."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glocert.forms.decision import Decided
from glocert.forms.margins import Margins
from glocert.laws import UNIFORM, Law
from glocert.laws import Span as Span
from glocert.report import Interval, LabelInterval, SegmentReport
from glocert.spec import Verdict

WHOLE = [(0.0, 1.0)]
_WITNESSES = 16
_NEXT_STEPS = {
    "budget": "give the input more seconds, or ask for a shorter path",
    "tie": "the two best scores are equal up to rounding; ask for a path that ends before that point",
    "numeric": "the weights make rounding errors too large to decide; ask for a shorter path",
    "non-finite": "the network's scores cannot be bounded on this path; check its weights and preprocessing",
}


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return closed intervals in order, those that touch or overlap joined."""
    found: list[Span] = []
    for start, stop in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], stop))
        else:
            found.append((start, stop))
    return found


def gaps(spans: list[Span]) -> list[Span]:
    """Return what joined intervals leave of [0, 1]; only parts that have a length."""
    starts, stops = [0.0, *(stop for _, stop in spans)], [*(start for start, _ in spans), 1.0]
    return [(start, stop) for start, stop in zip(starts, stops, strict=True) if start < stop]


@dataclass(slots=True)
class Ledger:
    """What is decided, collected in any order.

    Attributes:
        pieces: rows evaluated.
        safe: closed intervals on which the property is proven.
        violated: closed intervals on which a violation is proven.
        witnesses: (computed margin, t) at the middle of each of those.
        stuck: reasons of what was given up.
        lowest: smallest computed margin of a decided row, and its t.
        radius: largest error of a margin of a decided row.
        law: of t, for the mass.
    """

    pieces: int = 0
    safe: list[Span] = field(default_factory=list)
    violated: list[Span] = field(default_factory=list)
    witnesses: list[tuple[float, float]] = field(default_factory=list)
    stuck: set[str] = field(default_factory=set)
    lowest: tuple[float, float] = (math.inf, 0.0)
    radius: float = 0.0
    law: Law = UNIFORM

    def add(self, known: Margins, found: Decided) -> None:
        """Take what a batch of rows has proven."""
        self.pieces += len(known.centre)
        self.safe = joined([*self.safe, *((start, stop) for start, stop, _ in found.safe)])
        self.violated = joined([*self.violated, *((start, stop) for start, stop, _ in found.violated)])
        self.witnesses += [_middle(known, span) for span in found.violated]
        decided = sorted({row for *_, row in (*found.safe, *found.violated)})
        if not decided:
            return
        smallest = known.centre[decided].min(1)
        at = int(smallest.argmin())
        self.lowest = min(self.lowest, (float(smallest[at]), float(known.parts.middle[decided][at])))
        self.radius = max(self.radius, float(known.radius[decided].max()))

    def enter(self, safe: Iterable[Span], violated: Iterable[Span]) -> None:
        """Take intervals that somebody else has proven."""
        self.safe = joined([*self.safe, *safe])
        self.violated = joined([*self.violated, *violated])

    @property
    def broken(self) -> bool:
        """Whether a violation is proven."""
        return bool(self.violated)

    @property
    def complete(self) -> bool:
        """Whether the property is proven on the whole path."""
        return self.safe == WHOLE

    @property
    def reach(self) -> float:
        """The property is proven on [0, reach]; -1 where not even at 0."""
        return self.safe[0][1] if self.safe and self.safe[0][0] == 0.0 else -1.0

    def mass(self) -> Interval:
        """Return proven bounds on the probability that the property holds; uniform: its share of [0, 1]."""
        return Interval(self.law.measure(self.safe).lower, self.law.outside(self.violated).upper)

    def to_json(self) -> dict[str, Any]:
        """Return everything, so that another process can go on from it; floats keep every bit."""
        return {
            "pieces": self.pieces,
            "safe": self.safe,
            "violated": self.violated,
            "witnesses": sorted(self.witnesses)[:_WITNESSES],
            "stuck": sorted(self.stuck),
            "lowest": self.lowest if math.isfinite(self.lowest[0]) else None,
            "radius": self.radius if math.isfinite(self.radius) else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Ledger:
        """Read what ``to_json`` wrote."""
        safe, violated, witnesses = (
            [(float(first), float(second)) for first, second in data[name]]
            for name in ("safe", "violated", "witnesses")
        )
        lowest = data["lowest"]
        return cls(
            pieces=int(data["pieces"]),
            safe=joined(safe),
            violated=joined(violated),
            witnesses=witnesses,
            stuck=set(data["stuck"]),
            lowest=(math.inf, 0.0) if lowest is None else (float(lowest[0]), float(lowest[1])),
            radius=math.inf if data["radius"] is None else float(data["radius"]),
        )

    def open(self) -> list[Span]:
        """Return the parts of [0, 1] that are neither proven nor refuted; only those that have a length."""
        return gaps(joined([*self.safe, *self.violated]))

    def report(self, pending: bool, partition: tuple[LabelInterval, ...] = ()) -> SegmentReport:
        """Return the answer.

        Args:
            pending: whether a limit ended the search.
            partition: labels along the path.
        """
        verdict, reason = self._verdict(pending)
        lowest, where = self.lowest if math.isfinite(self.lowest[0]) else (0.0, 0.0)
        return SegmentReport(
            verdict=verdict,
            robust_mass=self.mass(),
            certified_to=self.reach,
            min_margin=lowest,
            min_margin_at=where,
            radius=self.radius if "non-finite" not in self.stuck else sys.float_info.max,
            witnesses=self._best() if verdict is Verdict.FALSIFIED else (),
            partition=partition,
            pieces=self.pieces,
            reason=reason,
            next_step=_NEXT_STEPS.get(reason, ""),
            family="enclosure",
        )

    def _verdict(self, pending: bool) -> tuple[Verdict, str]:
        if self.broken:
            return Verdict.FALSIFIED, ""
        if self.complete:
            return Verdict.CERTIFIED, ""
        if pending:
            return Verdict.UNDECIDED, "budget"
        reasons = [reason for reason in ("non-finite", "numeric", "tie") if reason in self.stuck]
        return Verdict.UNDECIDED, reasons[0]

    def _best(self) -> tuple[float, ...]:
        return tuple(dict.fromkeys(t for _, t in sorted(self.witnesses)))[:_WITNESSES]


def _middle(known: Margins, span: tuple[float, float, int]) -> tuple[float, float]:
    """Return the smallest computed margin in the middle of an interval of a row, and t."""
    start, stop, row = span
    t = (start + stop) / 2
    half = float(known.parts.half[row])
    u = (t - float(known.parts.middle[row])) / half if half else 0.0
    return float(np.min(known.centre[row] + known.slope[row] * u)), t
