"""Following what bounds have left open exactly: the curve domain on parts of a path."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glocert import segments
from glocert.budget import Budget
from glocert.forms.ledger import Ledger, Span
from glocert.paths.segment import Segment
from glocert.segments.curve import Run
from glocert.segments.curve import run as scores_of
from glocert.segments.decision import Margins, Spans, margins, possible, proven
from glocert.segments.walk import blocks

_RELATIVE = 1e-6


def finish(
    follower: tuple[segments.Program, Budget],
    segment: Segment,
    question: tuple[int, float],
    ledger: Ledger,
    span: Span,
) -> Iterator[Span]:
    """Follow a part of a segment and write down what that proves; yield what is left of it, block by block.

    The caller may stop between two blocks: the last part that was yielded is then still open.

    Args:
        follower: the network, and what following it may use.
        segment: the path.
        question: class that should win, and by how much.
        ledger: takes what is proven.
        span: the part, start below stop.
    """
    program, budget = follower
    for block in blocks(program, segment, budget, span):
        part = scores_of(program, block)
        _enter(ledger, part, margins(part, *question))
        yield float(part.t[-1]), span[1]


def _enter(ledger: Ledger, part: Run, known: Margins) -> None:
    """Write down what one run of pieces proves."""
    ledger.pieces += len(known.t) - 1
    if not known.finite:
        ledger.stuck.add("non-finite")
        return
    ledger.enter(_joined(proven(known)), _joined(_refuted(known)))
    lower, upper = known.values - known.error, known.values + known.error
    smallest = known.values.min(axis=1)
    at = int(smallest.argmin())
    ledger.lowest = min(ledger.lowest, (float(smallest[at]), float(known.t[at])))
    ledger.radius = max(ledger.radius, float(known.error.max()))
    wrong = (upper < 0).any(axis=1)
    ledger.witnesses += zip(smallest[wrong].tolist(), known.t[wrong].tolist(), strict=True)
    if not (lower > 0).all():
        scale = max(float(np.abs(part.scores).max()), 1e-300)
        ledger.stuck.add("tie" if float(known.error.max()) <= _RELATIVE * scale else "numeric")


def _refuted(known: Margins) -> Spans:
    """Return where a violation is proven: what ``possible`` leaves of every piece, at its start and stop.

    The ends of ``possible`` are moved outwards, so at each of them one margin is proven to be negative.
    """
    maybe, left, right = possible(known), known.t[:-1], known.t[1:]
    empty = maybe.stop <= maybe.start
    start = np.concatenate([left, np.where(empty, right, maybe.stop)])
    stop = np.concatenate([np.where(empty, right, maybe.start), right])
    order = np.argsort(start, kind="stable")
    return Spans(start[order], stop[order])


def _joined(spans: Spans) -> list[Span]:
    """Return the intervals that have a length, those that touch joined; they come in order of t."""
    there = spans.stop > spans.start
    start, stop = spans.start[there], spans.stop[there]
    apart = start[1:] > stop[:-1]
    first, last = start[np.append(True, apart)[: len(start)]], stop[np.append(apart, True)[: len(stop)]]
    return list(zip(first.tolist(), last.tolist(), strict=True))
