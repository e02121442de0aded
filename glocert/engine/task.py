"""One question on its way to an answer: what is proven, what is left, and when to follow it exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from glocert.budget import Budget
from glocert.engine.cost import Cost
from glocert.engine.finish import finish
from glocert.engine.program import Program
from glocert.engine.question import Question
from glocert.engine.scout import Scout
from glocert.forms.ledger import Ledger, joined
from glocert.forms.rounds import Bounds
from glocert.forms.search import Row, Search
from glocert.forms.verdicts import enough
from glocert.forms.winners import partition
from glocert.paths.segment import Segment
from glocert.report import LabelInterval, SegmentReport
from glocert.spec import Analysis

_ROWS = 4, 128
"""fewest and most parts of a path in the first round"""
_A_ROW = 0.018
"""breakpoints of a part that bounds may well decide, for each nonlinear unit"""
_PATIENCE = 0.5
"""share of what bounding has cost so far that following the rest may cost"""
_HARDER = 4.0
"""how much more what is left may cost to bound than what is decided did, for its length"""
_UNKNOWN = 1e-6


@dataclass(slots=True)
class Task:
    """A question and the search for its answer.

    Attributes:
        question: what is asked.
        program: the network.
        cost: of the network.
        budget: limits.
        search: rows and what is proven.
        scouted: first look; ``None`` where the rest is never followed.
        spent: cost of bounding so far.
        seconds: its share of the time of all rounds.
        ended: whether a limit has ended it.
        tries: whether it began in float32.
    """

    question: Question
    program: Program
    cost: Cost
    budget: Budget
    search: Search
    scouted: Scout | None = None
    spent: float = 0.0
    seconds: float = 0.0
    ended: bool = False
    tries: bool = False

    def begin(self) -> None:
        """Go on from what is known, with rows as many as the path seems to need."""
        self.tries = self.search.single
        if self.question.known:
            self.search.ledger = Ledger.from_json(self.question.known)
            self.search.ledger.stuck.clear()
        self.search.ledger.law = self.question.law
        for span in self.search.ledger.open():
            rows = _ROWS[0]
            if self.scouted is not None and not self.scouted.calm:
                rows = int(self.scouted.breakpoints(*span) / max(_A_ROW * self.cost.units, 1.0))
            self.search.begin(span, self.question.path.joints, min(max(rows, _ROWS[0]), _ROWS[1]))
        if self.scouted is not None:
            self.search.seen = self.scouted.t, self.scouted.margins - self.question.margin
            at = self.scouted.telling()
            self.search.points = [Row(at, at, single=self.search.single)]

    def weigh_single(self) -> None:
        """Give float32 up where rounding exceeds the margin at most points of the first look."""
        if self.scouted is None or not self.search.single:
            return
        if float(np.median(np.abs(self.scouted.margins))) <= self.search.floor:
            self.search.give_up_single()

    def settle(self) -> None:
        """Tell the program whether float32 was of use."""
        if self.tries:
            self.program.tried += 1
            self.program.lost += not self.search.single

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.ended or not self.search.unsettled or self.enough()

    def enough(self) -> bool:
        """Whether everything that was asked for is known."""
        question = self.question
        if self.scouted is not None and question.analysis is Analysis.COMPLETE:
            return False
        return enough(self.search, question.analysis, question.gap)

    def take(self, most: int, together: int = 1) -> list[Row]:
        """Return what to look at next, in a round that so many paths share."""
        rows = self.search.take(most)
        self.spent += self.cost.bounding(len(rows), self.search.single, together)
        return rows

    def worth_following(self, together: int = 1) -> bool:
        """Whether what is left is followed for less than another round or two of bounding it would cost."""
        if self.scouted is None:
            return False
        rows = self.search.unsettled
        points = sum(self.scouted.breakpoints(row.start, row.stop) for row in rows)
        price = self.cost.following(points, len(self._spans(rows)))
        single = self.search.single and all(row.single for row in rows)
        if price <= self.cost.bounding(2 * len(rows), single, together):
            return True
        left = min(1.0, sum(row.width for row in rows))
        expected = self.spent * left / max(1.0 - left, _UNKNOWN)
        return price <= min(_PATIENCE * self.spent, _HARDER * expected)

    def state(self) -> dict[str, Any]:
        """What is proven so far: a question that knows it goes on from there."""
        return self.search.ledger.to_json()

    def follow(self, watch: Callable[[], None]) -> None:
        """Follow everything that is left, in order of t, until a limit is met.

        Args:
            watch: called after each block.
        """
        assert isinstance(self.question.path, Segment)
        spans, question = self._spans(self.search.unsettled), (self.question.label, self.question.margin)
        self.search.pending, self.search.points = [], []
        follower = self.program.curve, self.budget
        for at, span in enumerate(spans):
            rest = span
            began = self.budget.clock()
            for left in finish(follower, self.question.path, question, self.search.ledger, span):
                rest, now = left, self.budget.clock()
                self.seconds, began = self.seconds + now - began, now
                watch()
                if self.exhausted() or self.enough():
                    break
            if self.exhausted() or self.enough():
                open_spans = [rest, *spans[at + 1 :]]
                self.search.pending = [Row(*part) for part in open_spans if part[0] < part[1]]
                self.ended = True
                return

    def exhausted(self) -> bool:
        """Whether a limit is met."""
        late = self.budget.out_of_time or self.seconds >= self.question.seconds
        return late or self.search.ledger.pieces >= self.budget.pieces

    def report(self) -> SegmentReport:
        """Return the answer."""
        parts: tuple[LabelInterval, ...] = ()
        if self.question.partition:
            bounds = Bounds(self.program.double, None, self.budget.block_bytes)
            parts = partition(bounds, self.search, self.question.gap, self.exhausted)
        found = self.search.ledger.report(bool(self.search.unsettled), parts)
        found = replace(found, family="exact" if self.scouted is not None else "enclosure")
        return self.program.forms.execution.explained(found)

    @staticmethod
    def _spans(rows: list[Row]) -> list[tuple[float, float]]:
        return joined((row.start, row.stop) for row in rows)
