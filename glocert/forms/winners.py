"""Which class wins on each part of a path, as far as it is proven.

Where the label was proven to win, nothing is left to do. On a stretch where it was not, the class that leads
in the middle takes its place in the same search, and again on what that class is proven to lose. What no
search can decide, a tie for instance, is left out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from glocert.forms.ledger import Span, gaps
from glocert.forms.path import Parts, forms
from glocert.forms.rounds import Bounds, run
from glocert.forms.search import Search
from glocert.report import LabelInterval

_NARROWEST = 2.0**-20

Labelled = tuple[float, float, int]


def partition(
    bounds: Bounds, search: Search, gap: float, exhausted: Callable[[], bool]
) -> tuple[LabelInterval, ...]:
    """Return the label of every part of the path on which a winner is proven, in order.

    Args:
        bounds: how rows are bounded.
        search: finished, or ended by its budget; the rows evaluated here are added to its own.
        gap: share of every stretch that may stay open.
        exhausted: whether a limit is met; it sees the pieces of ``search``.
    """
    found: list[Labelled] = [(start, stop, search.label) for start, stop in search.ledger.safe]
    open_spans = gaps(search.ledger.safe)
    while open_spans and not exhausted():
        span = open_spans.pop()
        if span[1] - span[0] <= gap * _NARROWEST:
            continue
        label = _leader(bounds, search, span)
        inner = Search(search.path, label, 0.0, search.single)
        _settle(bounds, search, inner, span, gap, exhausted)
        found += [(start, stop, label) for start, stop in inner.ledger.safe]
        open_spans += [lost for lost in inner.ledger.violated if lost != span]
    return _merged(found)


def _leader(bounds: Bounds, search: Search, span: Span) -> int:
    """Return the class of the highest computed score in the middle of a stretch."""
    middle = np.array([(span[0] + span[1]) / 2])
    form = forms(search.path, Parts.between(middle, middle), bounds.device)
    search.ledger.pieces += 1
    return int(bounds.double.record(form).scores.centre[0].nan_to_num().argmax())


def _settle(
    bounds: Bounds, search: Search, inner: Search, span: Span, gap: float, exhausted: Callable[[], bool]
) -> None:
    """Decide where the inner search's label wins and loses on a stretch, all but a share of ``gap``."""
    before = search.ledger.pieces

    def enough() -> bool:
        search.ledger.pieces = before + inner.ledger.pieces
        return exhausted() or sum(row.width for row in inner.unsettled) <= gap * (span[1] - span[0])

    inner.begin(span)
    inner.points = []
    run(bounds, inner, enough)
    search.ledger.pieces = before + inner.ledger.pieces


def _merged(found: list[Labelled]) -> tuple[LabelInterval, ...]:
    """Join neighbours of the same label and drop what has no length."""
    kept: list[Labelled] = []
    for start, stop, label in sorted(found):
        if kept and kept[-1][2] == label and start <= kept[-1][1]:
            kept[-1] = (kept[-1][0], max(stop, kept[-1][1]), label)
        elif start < stop:
            kept.append((start, stop, label))
    return tuple(LabelInterval(*part) for part in kept)
