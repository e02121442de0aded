from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from app.jobs.summary import summarise
from tests.app.serving import row

shares = st.floats(0, 1).flatmap(lambda lower: st.tuples(st.just(lower), st.floats(lower, 1)))


@given(st.lists(shares, min_size=1, max_size=30))
def test_the_mean_mass_encloses_the_exact_mean_tightly(masses: list[tuple[float, float]]) -> None:
    rows = [row(i, robust_mass={"lower": low, "upper": high}) for i, (low, high) in enumerate(masses)]
    found = summarise([*rows, row(99, "skipped")], None, "real")["robust_mass"]
    lower = sum(Fraction(low) for low, _ in masses) / len(masses)
    upper = sum(Fraction(high) for _, high in masses) / len(masses)
    assert Fraction(found["lower"]) <= lower <= Fraction(found["lower"]) + Fraction(1, 10**15)
    assert Fraction(found["upper"]) - Fraction(1, 10**15) <= upper <= Fraction(found["upper"])


def test_an_answer_without_a_mass_counts_as_knowing_nothing() -> None:
    rows = [row(0), {"index": 1, "verdict": "undecided", "seconds": 0.1}]
    assert summarise(rows, None, "real")["robust_mass"] == {"lower": 0.5, "upper": 1.0, "law": "uniform"}


def test_a_job_of_skipped_inputs_has_no_mass() -> None:
    summary = summarise([row(0, "skipped")], 0.0, "real")
    assert (summary["robust_mass"], summary["certified_rate"], summary["skipped"]) == (None, 0.0, 1)
