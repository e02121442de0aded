"""Following what bounds have left open exactly: the curve domain on parts of a path."""

from __future__ import annotations

from collections.abc import Iterator

from glocert import segments
from glocert.budget import Budget
from glocert.forms.ledger import Ledger, Span
from glocert.paths.segment import Segment
from glocert.segments.closer import decided
from glocert.segments.decision import Decided

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
    for part, found in decided(program, segment, budget, span, question):
        ledger.pieces += len(part.t) - 1
        _enter(ledger, found)
        yield found.span[1], span[1]


def _enter(ledger: Ledger, found: Decided) -> None:
    """Write down what one run of pieces proves."""
    if not found.finite:
        ledger.stuck.add("non-finite")
        return
    ledger.enter(found.safe, found.violated())
    ledger.lowest = min(ledger.lowest, found.lowest)
    ledger.radius = max(ledger.radius, found.radius)
    ledger.witnesses += found.wrong
    if not found.everywhere:
        ledger.stuck.add("tie" if found.radius <= _RELATIVE * max(found.scale, 1e-300) else "numeric")
