"""The verdict about one segment and one label."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field

import torch

from glocert.budget import Budget
from glocert.graph.ir import Graph
from glocert.laws import UNIFORM, Law, Span
from glocert.paths.question import check_question
from glocert.paths.segment import Segment
from glocert.report import WHOLE, Interval, SegmentReport
from glocert.segments.closer import decided
from glocert.segments.decision import Decided, decide
from glocert.segments.partition import Change, label_changes, merge
from glocert.segments.pieces import Run
from glocert.segments.program import Program, prepare
from glocert.spec import Analysis, Verdict

_WITNESSES = 16
_NEXT_STEPS = {
    "budget": "give the input more seconds, or ask for a shorter path",
    "tie": "the two best scores are equal up to rounding; ask for a path that ends before that point",
    "numeric": "the weights make rounding errors too large to decide; ask for a shorter path",
    "non-finite": "the network's scores overflow on this path; check its weights and preprocessing",
}


@torch.inference_mode()
def certify(
    graph: Graph | Program,
    segment: Segment,
    label: int,
    *,
    analysis: Analysis = Analysis.COMPLETE,
    margin: float = 0.0,
    gap: float = 0.001,
    partition: bool = False,
    budget: Budget | None = None,
    device: str = "cpu",
    law: Law = UNIFORM,
) -> SegmentReport:
    """Decide whether ``label`` beats every other class by more than ``margin`` on the whole segment.

    The answer is a theorem about the graph with its stored parameters, in the arithmetic that the program was
    made for: ``certified`` and ``falsified`` are proven, rounding included; ties and numbers that are not
    finite are never certified.

    Args:
        graph: the network, or a program made of it by ``prepare`` (worth it for more than one segment).
        segment: the path, float64 arrays of the network's input shape.
        label: class that should win, 0 <= label < classes.
        analysis: ``quantitative`` may stop once a violation is proven and U - L is at most ``gap``.
        margin: by how much the label's score must exceed every other, >= 0.
        gap: see ``analysis``.
        partition: whether the report lists the winning class of every part of the path.
        budget: time, pieces and memory; what is decided before they end counts, the rest is undecided.
        device: torch device, where ``graph`` is not a program.
        law: of t, for the robust mass.

    Raises:
        UnsupportedOperators: names every node that the engine cannot follow.
        InvalidSpec: the segment, label or margin does not fit the network.
    """
    program = graph if isinstance(graph, Program) else prepare(graph, device)
    budget = budget or Budget()
    check_question(program.graph, segment, label, margin)
    tally = Tally(label, margin, partition, law)
    for part, found in decided(program, segment, budget, (0.0, 1.0), (label, margin)):
        tally.add(part, found)
        if tally.pieces >= budget.pieces or (analysis is Analysis.QUANTITATIVE and tally.settled(gap)):
            break
    return program.execution.explained(tally.report())


@dataclass(slots=True)
class Tally:
    """Everything decided so far, collected in order of t.

    Attributes:
        label: class that should win.
        margin: by how much.
        partition: whether label changes are collected.
        law: of t, for the mass.
        done: the path has been looked at on [0, done].
        pieces: pieces looked at.
        reach: the property is proven on [0, reach]; -1 where not even at 0.
        unbroken: whether the property is proven on all of [0, done].
        broken: whether a violation is proven.
        finite: whether every number was finite.
        lowest: smallest computed margin and its t.
        worst: smallest computed margin that is proven to be negative, and its t.
        radius: largest error of a margin.
        scale: largest absolute score.
    """

    label: int
    margin: float
    partition: bool
    law: Law = UNIFORM
    done: float = 0.0
    pieces: int = 0
    reach: float = -1.0
    unbroken: bool = True
    broken: bool = False
    finite: bool = True
    lowest: tuple[float, float] = (math.inf, 0.0)
    worst: tuple[float, float] = (math.inf, 0.0)
    radius: float = 0.0
    scale: float = 0.0
    _safe: list[Span] = field(default_factory=list)
    _maybe: list[Span] = field(default_factory=list)
    _changes: list[Change] = field(default_factory=list)

    def add(self, part: Run, found: Decided | None = None) -> None:
        """Take the next run of pieces, and what it says where that is known."""
        found = found or decide(part, self.label, self.margin)
        self.take(found, len(part.t) - 1)
        if self.partition and found.finite:
            self._changes.extend(label_changes(part))

    def take(self, found: Decided, pieces: int) -> None:
        """Take what the next run of so many pieces says."""
        self.done = found.span[1]
        self.pieces += pieces
        _append(self._maybe, found.maybe)
        if not found.finite:
            self.finite = self.unbroken = False
            return
        _append(self._safe, found.safe)
        self.scale, self.radius = max(self.scale, found.scale), max(self.radius, found.radius)
        self.lowest, self.worst = min(self.lowest, found.lowest), min(self.worst, found.worst())
        self.broken = math.isfinite(self.worst[0])
        if self.unbroken:
            self.unbroken, self.reach = found.everywhere, max(self.reach, found.reach)

    def settled(self, gap: float) -> bool:
        """Whether a violation is proven and the robust mass is known to within ``gap``."""
        if not self.broken:
            return False
        mass = self.mass()
        return mass.upper - mass.lower <= gap

    def mass(self) -> Interval:
        """Return proven bounds on the probability that the property holds; uniform: its share of [0, 1].

        A piece of ``_maybe`` without length is empty, not a point: its ends were moved outwards before.
        """
        if self.unbroken and self.done == 1.0:
            return WHOLE
        rest = [(self.done, 1.0)] if self.done < 1.0 else []
        maybe = [*self._maybe]
        _append(maybe, rest)
        return Interval(self.law.measure(self._safe).lower, self.law.measure(maybe).upper)

    def report(self) -> SegmentReport:
        """Return the answer."""
        verdict, reason = self._verdict()
        lowest, where = self.lowest if math.isfinite(self.lowest[0]) else (0.0, 0.0)
        return SegmentReport(
            verdict=verdict,
            robust_mass=self.mass(),
            certified_to=self.reach,
            min_margin=lowest,
            min_margin_at=where,
            radius=self.radius if self.finite else sys.float_info.max,
            witnesses=self._witnesses() if verdict is Verdict.FALSIFIED else (),
            partition=merge(self._changes, self.done) if self.partition else (),
            pieces=self.pieces,
            reason=reason,
            next_step=_NEXT_STEPS.get(reason, ""),
        )

    def _verdict(self) -> tuple[Verdict, str]:
        if self.broken:
            return Verdict.FALSIFIED, ""
        if self.unbroken and self.done == 1.0:
            return Verdict.CERTIFIED, ""
        if not self.finite:
            return Verdict.UNDECIDED, "non-finite"
        if self.done < 1.0:
            return Verdict.UNDECIDED, "budget"
        return Verdict.UNDECIDED, "tie" if self.radius <= 1e-6 * max(self.scale, 1e-300) else "numeric"

    def _witnesses(self) -> tuple[float, ...]:
        """Return t of proven violations: at the lowest margin, amid the widest refuted stretches."""
        ends = [0.0, *(end for span in self._maybe for end in span), self.done]
        stretches = sorted(zip(ends[::2], ends[1::2], strict=True), key=lambda span: span[0] - span[1])
        middles = [(start + stop) / 2 for start, stop in stretches[: _WITNESSES - 1] if start < stop]
        return tuple(dict.fromkeys([self.worst[1], *middles]))


def _append(spans: list[Span], following: list[Span]) -> None:
    """Add intervals in order of t, the first joined with the last one before where they touch."""
    if spans and following and following[0][0] <= spans[-1][1]:
        spans[-1] = spans[-1][0], following[0][1]
        following = following[1:]
    spans.extend(following)
