"""Looking closer at what a run leaves open: on a short part of the path an error is smaller.

An error of the event loop is charged for as long as a run lasts. What it leaves open are stretches around
crossings, of the order of the error. Followed by themselves, with a few events each, they are decided but for
what the arithmetic of a single point leaves open.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from glocert.budget import Budget
from glocert.laws import Span
from glocert.paths.segment import Segment
from glocert.segments.decision import Decided, decide
from glocert.segments.pieces import Run
from glocert.segments.program import Program
from glocert.segments.runs import runs

ENOUGH = 1e-6
"""of the path: less may stay open"""
_MANY = 8
"""of so many pieces one may be followed again: where more are open, it is not an error but a tie"""

Found = tuple[Run, Decided]


def decided(
    program: Program, segment: Segment, budget: Budget, span: Span, question: tuple[int, float]
) -> Iterator[Found]:
    """Follow a part of a segment; yield runs and what they prove, in order of t.

    Args:
        program: the network.
        segment: the path.
        budget: limits; the rest of the part is missing where its deadline passes.
        span: the part, start below stop.
        question: class that should win, and by how much.
    """
    for part in runs(program, segment, budget, span):
        found = decide(part, *question)
        places = _open(part, found) if program.events is not None else []
        if not places:
            yield part, found
            continue
        for run in _closer(program, segment, budget, part, places):
            yield run, decide(run, *question)


def _open(part: Run, found: Decided) -> list[tuple[int, int]]:
    """Return the pieces to follow again by their first and last vertex, in order; none where it is no use."""
    left = left_open(found)
    places: list[tuple[int, int]] = []
    for start, stop in left:
        first = max(int(part.t.searchsorted(start, side="right")) - 1, 0)
        last = min(int(part.t.searchsorted(stop, side="left")), len(part.t) - 1)
        if places and first <= places[-1][1]:
            places[-1] = places[-1][0], max(last, places[-1][1])
        elif first < last:
            places.append((first, last))
    pieces = sum(last - first for first, last in places)
    return places if pieces * _MANY <= len(part.t) - 1 else []


def left_open(found: Decided) -> list[Span]:
    """Return the parts of a run about which it says nothing; none where they are not worth another look."""
    if not found.finite or sum(stop - start for start, stop in found.maybe) <= ENOUGH:
        return []
    left = _without(found.maybe, found.safe)
    return left if sum(stop - start for start, stop in left) > ENOUGH else []


def _without(spans: list[Span], taken: list[Span]) -> list[Span]:
    """Return what is left of intervals without others; both in order, none of them overlapping."""
    left, rest = [], list(taken)
    for start, stop in spans:
        reached = start
        while rest and rest[0][1] <= start:
            rest.pop(0)
        for first, last in rest:
            if first >= stop:
                break
            if first > reached:
                left.append((reached, first))
            reached = max(reached, last)
        if reached < stop:
            left.append((reached, stop))
    return left


def _closer(
    program: Program, segment: Segment, budget: Budget, part: Run, places: list[tuple[int, int]]
) -> Iterator[Run]:
    """Yield a run in parts, those at ``places`` followed again: to their ends, for they are short."""
    done, whole = 0, replace(budget, deadline=math.inf)
    for first, last in places:
        if done < first:
            yield _cut(part, done, first)
        yield from runs(program, segment, whole, (float(part.t[first]), float(part.t[last])))
        done = last
    if done < len(part.t) - 1:
        yield _cut(part, done, len(part.t) - 1)


def _cut(part: Run, first: int, last: int) -> Run:
    return Run(part.t[first : last + 1], part.scores[first : last + 1], part.radius)
