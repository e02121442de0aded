"""Which class wins on each part of a path, as far as it is proven."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from glocert.forms.decision import Spans, proven
from glocert.forms.ledger import Span, gaps, joined, length
from glocert.forms.margins import margins
from glocert.forms.path import Parts
from glocert.forms.search import Search
from glocert.report import LabelInterval

_ROWS = 128
_NARROWEST = 2.0**-40
_SHARE = 2.0**-20

Labelled = tuple[float, float, int]


def partition(search: Search, gap: float) -> tuple[LabelInterval, ...]:
    """Return the label of every part of the path on which a winner is proven, in order.

    Where the label was proven to win it is known already. The rest is cut into halves until a winner is
    proven on all but ``gap``, or on all but parts too narrow to matter, or until the budget ends. What stays
    open is left out; neighbours of one label are joined.

    Args:
        search: finished, or ended by its budget.
        gap: length of the path that may stay open.
    """
    found: list[Labelled] = [(start, stop, search.label) for start, stop in search.ledger.safe]
    pending = gaps(search.ledger.safe)
    narrowest = max(_NARROWEST, gap * _SHARE)
    while length(pending) > gap and not search.exhausted:
        most = min(_ROWS, search.program.rows(search.budget.block_bytes))
        pending.sort(key=lambda span: (span[0] - span[1], span[0]))
        rows, pending = pending[:most], pending[most:]
        parts = Parts.between(*(np.array(ends) for ends in zip(*rows, strict=True)))
        won = _winners(search, parts)
        search.ledger.pieces += len(rows)
        found += won
        pending += _left(rows, won, narrowest)
    return _merged(found)


def _winners(search: Search, parts: Parts) -> list[Labelled]:
    """Return the parts of each row on which a class is proven to win."""
    scores = search.scores(parts)
    centre, slope = scores.centre.cpu().numpy(), scores.slopes[0].cpu().numpy()
    won: list[Labelled] = []
    for label in sorted({int(j) for u in (-1, 0, 1) for j in _leaders(centre + u * slope)}):
        spans: Spans = proven(margins(scores, parts, label))
        rows = np.flatnonzero(spans.held & (spans.start < spans.stop))
        won += [(float(spans.start[row]), float(spans.stop[row]), label) for row in rows]
    return won


def _leaders(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.asarray(np.nan_to_num(scores).argmax(1))


def _left(rows: list[Span], won: list[Labelled], narrowest: float) -> Iterable[Span]:
    """Return what is open in each row, in halves where little was won."""
    closed = joined((start, stop) for start, stop, _ in won)
    for start, stop in rows:
        inside = [span for span in closed if span[0] < stop and span[1] > start]
        ends = [start, *(end for a, b in inside for end in (max(a, start), min(b, stop))), stop]
        for a, b in zip(ends[::2], ends[1::2], strict=True):
            if b - a <= narrowest:
                continue
            if b - a > 0.5 * (stop - start):
                yield from ((a, (a + b) / 2), ((a + b) / 2, b))
            else:
                yield a, b


def _merged(found: list[Labelled]) -> tuple[LabelInterval, ...]:
    """Join neighbours of the same label and drop what has no length."""
    kept: list[Labelled] = []
    for start, stop, label in sorted(found):
        if kept and kept[-1][2] == label and start <= kept[-1][1]:
            kept[-1] = (kept[-1][0], max(stop, kept[-1][1]), label)
        elif start < stop:
            kept.append((start, stop, label))
    return tuple(LabelInterval(*part) for part in kept)
