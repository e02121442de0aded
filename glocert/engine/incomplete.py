"""Incomplete answers: every part of a path is bounded once, and nothing is refined.

What is proven is proven, as anywhere. What is not stays open: bounds that are too wide say nothing about the
network. Three methods, each at least as tight as the one before:

- ``interval``: ranges only;
- ``zonotope``: forms, intersected with intervals at every activation;
- ``crown``: the same, and every margin by a backward pass through the lines found there.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

from glocert.budget import Budget
from glocert.engine.question import Question
from glocert.forms.backward import Reversal, open_margins, tightened
from glocert.forms.backward.ranged import Ranged, intersected, intervals
from glocert.forms.decision import Decided, decide
from glocert.forms.form import Form
from glocert.forms.ledger import Ledger
from glocert.forms.margins import Margins, margins
from glocert.forms.path import Parts, forms
from glocert.forms.program import Program
from glocert.report import SegmentReport
from glocert.spec import Method, Verdict

_KEPT = 3
"""How many copies of all activations a pass keeps: of forms, ranges and lines."""

_SAME = 1e-9
"""relative difference of two bounds that only rounding makes"""

NEXT_STEPS = {
    "incomplete": "the bounds are too wide to decide, which says nothing about the network; ask for more "
    "parts, a tighter method, or the complete analysis",
    "non-finite": "the network's scores cannot be bounded on this path; check its weights and preprocessing",
    "budget": "give the input more seconds, or ask for fewer parts",
}


def bounded(reversal: Reversal, question: Question, budget: Budget) -> SegmentReport:
    """Bound every part of a question's path once.

    Args:
        reversal: of the network.
        question: fits it; ``method`` and ``parts`` say what is done.
        budget: time and memory; parts that are not looked at stay open.

    Returns:
        ``certified`` or ``undecided``; never ``falsified``, as bounds alone refute little.
    """
    ends = np.linspace(0.0, 1.0, question.parts + 1)
    program = reversal.program
    path = question.path.loaded(program.device)
    ledger, late = Ledger(law=question.law), False
    lowest, stop = (np.inf, 0.0), budget.clock() + question.seconds
    most = rows(program, budget.block_bytes)
    for first in range(0, question.parts, most):
        if budget.out_of_time or budget.clock() >= stop:
            late = True
            break
        block = ends[first : first + most + 1]
        parts = Parts.between(block[:-1], block[1:])
        known = _margins(reversal, question, parts, forms(path, parts, program.device))
        ledger.add(known, _safe(decide(known)))
        lowest = min(lowest, _lowest(known))
    return _report(ledger, question.method, lowest, late)


def rows(program: Program, memory: int) -> int:
    """Return how many parts fit into so many bytes when all activations are kept, at least one."""
    numbers = sum(int(np.prod(shape)) for shape in program.graph.shapes.values())
    return max(1, min(program.rows(memory), memory // (8 * 3 * _KEPT * numbers)))


def _margins(reversal: Reversal, question: Question, parts: Parts, x: Form) -> Margins:
    """Return the margins on some parts, by the question's method."""
    if question.method is Method.INTERVAL:
        return _by_range(question, parts, intervals(reversal, x))
    found = intersected(reversal, x)
    assert found.tape is not None
    known = margins(found.tape.scores, parts, question.label, question.margin)
    if question.method is Method.CROWN:
        every = open_margins(known, known.centre.shape[1])
        known = tightened(reversal, found.tape, known, (question.label, question.margin), every)
    return _higher(known, _by_range(question, parts, found))


def _by_range(question: Question, parts: Parts, found: Ranged) -> Margins:
    return margins(found.output.form(1), parts, question.label, question.margin)


def _higher(one: Margins, other: Margins) -> Margins:
    """Take for every margin the line whose lowest bound on the row is higher, the first where both are."""
    lows = [known.centre - np.abs(known.slope) - known.error for known in (one, other)]
    with np.errstate(invalid="ignore"):
        better = lows[1] > lows[0] + _SAME * np.abs(lows[0])
    chosen = (
        np.where(better, second, first) for first, second in zip(_lines(one), _lines(other), strict=True)
    )
    centre, slope, error = chosen
    return replace(one, centre=centre, slope=slope, error=error, scale=np.minimum(one.scale, other.scale))


def _lines(known: Margins) -> tuple[np.ndarray, ...]:
    return known.centre, known.slope, known.error


def _safe(found: Decided) -> Decided:
    """Keep what is proven safe."""
    return Decided(found.safe, [], found.rest)


def _lowest(known: Margins) -> tuple[float, float]:
    """Return the lowest lower bound of a margin, and the middle of its row."""
    lows = (known.centre - np.abs(known.slope) - known.error).min(1)
    at = int(lows.argmin())
    return float(lows[at]), float(known.parts.middle[at])


def _report(ledger: Ledger, method: Method, lowest: tuple[float, float], late: bool) -> SegmentReport:
    report = ledger.report(pending=True)
    known = bool(np.isfinite(lowest[0]))
    value, where = lowest if known else (-sys.float_info.max, lowest[1])
    report = replace(report, method=method.value, min_margin=value, min_margin_at=where)
    if report.verdict is Verdict.CERTIFIED:
        return report
    reason = "budget" if late else "incomplete" if known else "non-finite"
    return replace(report, reason=reason, next_step=NEXT_STEPS[reason])
