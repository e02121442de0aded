"""Which class wins on each part of a path, as far as it is proven.

Where the label was proven to win, nothing is left to do. On a stretch where it was not, the class that leads
in the middle takes its place in the same search, and again on what that class is proven to lose. What no
search can decide, a tie for instance, is left out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from glocert.forms.ledger import Ledger, Span, gaps
from glocert.forms.path import Parts
from glocert.forms.search import Search
from glocert.report import LabelInterval

_NARROWEST = 2.0**-20

Labelled = tuple[float, float, int]


def partition(search: Search, gap: float) -> tuple[LabelInterval, ...]:
    """Return the label of every part of the path on which a winner is proven, in order.

    Args:
        search: finished, or ended by its budget; the rows evaluated here are added to its own.
        gap: share of every stretch that may stay open.
    """
    found: list[Labelled] = [(start, stop, search.label) for start, stop in search.ledger.safe]
    open_spans = gaps(search.ledger.safe)
    while open_spans and not search.exhausted:
        span = open_spans.pop()
        if span[1] - span[0] <= gap * _NARROWEST:
            continue
        label = _leader(search, span)
        inner = replace(search, label=label, margin=0.0, ledger=Ledger(search.ledger.pieces), points=[])
        _settle(inner, span, gap)
        search.ledger.pieces = inner.ledger.pieces
        found += [(start, stop, label) for start, stop in inner.ledger.safe]
        open_spans += [lost for lost in inner.ledger.violated if lost != span]
    return _merged(found)


def _leader(search: Search, span: Span) -> int:
    """Return the class of the highest computed score in the middle of a stretch."""
    middle = np.array([(span[0] + span[1]) / 2])
    scores = search.scores(Parts.between(middle, middle)).centre[0]
    search.ledger.pieces += 1
    return int(scores.nan_to_num().argmax())


def _settle(search: Search, span: Span, gap: float) -> None:
    """Decide where the search's label wins and loses on a stretch, all but a share of ``gap``."""

    def enough() -> bool:
        return sum(row.stop - row.start for row in search.pending) <= gap * (span[1] - span[0])

    search.run(enough, span)


def _merged(found: list[Labelled]) -> tuple[LabelInterval, ...]:
    """Join neighbours of the same label and drop what has no length."""
    kept: list[Labelled] = []
    for start, stop, label in sorted(found):
        if kept and kept[-1][2] == label and start <= kept[-1][1]:
            kept[-1] = (kept[-1][0], max(stop, kept[-1][1]), label)
        elif start < stop:
            kept.append((start, stop, label))
    return tuple(LabelInterval(*part) for part in kept)
