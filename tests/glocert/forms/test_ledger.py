from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocert.forms.ledger import Ledger, gaps, joined
from glocert.spec import Verdict

SPANS = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda ends: tuple(sorted(ends))), max_size=8
)


def exact_length(spans) -> Fraction:
    ends = sorted({Fraction(end) for span in spans for end in span})
    return sum(
        (b - a for a, b in itertools.pairwise(ends) if any(s <= a and b <= e for s, e in spans)),
        Fraction(0),
    )


@given(SPANS)
def test_joined_intervals_cover_the_same(spans):
    found = joined(spans)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(found))
    assert exact_length(found) == exact_length(spans)
    assert exact_length([*found, *gaps(found)]) == 1
    assert all(start < stop for start, stop in gaps(found))


@given(SPANS)
def test_the_mass_encloses_the_exact_lengths(spans):
    ledger = Ledger(safe=joined(spans))
    assert ledger.mass().lower <= exact_length(spans)
    assert (ledger.mass().lower == 1.0) == ledger.complete == (joined(spans) == [(0.0, 1.0)])
    ledger = Ledger(violated=joined(spans))
    assert ledger.mass().upper >= 1 - exact_length(spans)
    assert ledger.mass().upper <= 1.0
    assert exact_length(spans) - (1 - Fraction(ledger.mass().upper)) < Fraction(1, 10**15)


@pytest.mark.parametrize(
    ("safe", "reach"),
    [([], -1.0), ([(0.1, 1.0)], -1.0), ([(0.0, 0.0), (0.5, 1.0)], 0.0), ([(0.0, 0.3), (0.3, 0.6)], 0.6)],
)
def test_the_proven_prefix(safe, reach):
    assert Ledger(safe=joined(safe)).reach == reach


@pytest.mark.parametrize(
    ("ledger", "pending", "verdict", "reason"),
    [
        (Ledger(safe=[(0.0, 1.0)]), False, Verdict.CERTIFIED, ""),
        (Ledger(safe=[(0.0, 0.5)], violated=[(0.7, 0.7)]), True, Verdict.FALSIFIED, ""),
        (Ledger(safe=[(0.0, 0.5)]), True, Verdict.UNDECIDED, "budget"),
        (Ledger(stuck={"tie", "numeric"}), False, Verdict.UNDECIDED, "numeric"),
        (Ledger(stuck={"tie"}), False, Verdict.UNDECIDED, "tie"),
        (Ledger(stuck={"tie", "non-finite"}), False, Verdict.UNDECIDED, "non-finite"),
    ],
)
def test_verdicts_and_reasons(ledger, pending, verdict, reason):
    report = ledger.report(pending)
    assert (report.verdict, report.reason, bool(report.next_step)) == (verdict, reason, bool(reason))
    assert report.family == "enclosure"
    assert np.isfinite([report.min_margin, report.radius]).all()
