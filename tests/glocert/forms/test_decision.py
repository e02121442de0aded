from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.forms import decision
from glocert.forms.decision import decide
from glocert.forms.form import Form
from glocert.forms.margins import Margins, margins
from glocert.forms.path import Parts
from tests.glocert.forms.exactness import model, outside, parameters, random_form
from tests.glocert.segments.rational import exactly


def known(centre, slope, error, start=0.0, stop=1.0) -> Margins:
    """One row."""
    parts = Parts.between(np.array([start]), np.array([stop]))
    lines = [np.array([numbers], dtype=np.float64) for numbers in (centre, slope, error)]
    return Margins(parts, *lines, np.array([1.0]))


def random_row(rng: np.random.Generator, tiny: bool) -> Margins:
    others = int(rng.integers(1, 4))
    start, stop = sorted(rng.random(2) ** (4 if tiny else 1))
    centre, slope = rng.standard_normal((2, others)) * 10.0 ** rng.integers(-3, 3, (2, others))
    error = np.abs(rng.standard_normal(others)) * 10.0 ** rng.integers(-12, 1)
    return known(centre, slope, error, start, stop)


def assert_decided(row: Margins) -> None:
    """Evaluate all bounds exactly at the ends of what is decided, and see that nothing is lost."""
    found = decide(row)
    middle, half = Fraction(row.parts.middle[0]), Fraction(row.parts.half[0])
    numbers = [exactly(part[0]) for part in (row.centre, row.slope, row.error)]

    def bounds(t: float, sign: int) -> list[Fraction]:
        u = (Fraction(t) - middle) / half
        return [c + s * u + sign * e for c, s, e in zip(*numbers, strict=True)]

    for left, right, _ in found.safe:
        assert all(bound > 0 for t in (left, right) for bound in bounds(t, -1))
    for left, right, _ in found.violated:
        assert any(max(ends) < 0 for ends in zip(bounds(left, 1), bounds(right, 1), strict=True))
    spans = sorted([*found.safe, *found.violated, *found.rest])
    assert (spans[0][0], spans[-1][1]) == (row.parts.start[0], row.parts.stop[0])
    assert all(before[1] == after[0] for before, after in pairwise(spans))


@settings(max_examples=150)
@given(st.integers(0, 10**9), st.booleans())
def test_what_is_decided_holds_at_every_exact_parameter(seed, tiny):
    assert_decided(random_row(np.random.default_rng(seed), tiny))


@pytest.mark.parametrize("seed", range(60))
def test_crossings_in_the_wrong_place_are_not_believed(seed, monkeypatch):
    monkeypatch.setattr(decision, "_INWARDS", -0.2)
    assert_decided(random_row(np.random.default_rng(seed), tiny=False))


def test_a_crossing_is_cut_off_on_both_sides():
    found = decide(known([0.0], [-1.0], [0.01]))
    assert found.safe[0][:2] == pytest.approx((0.0, 0.495))
    assert found.violated[0][:2] == pytest.approx((0.505, 1.0))
    assert found.rest[0][:2] == pytest.approx((0.495, 0.505))


def test_the_safe_part_may_lie_in_the_middle():
    found = decide(known([0.5, 0.5], [1.0, -1.0], [0.0, 0.0]))
    assert [span[:2] for span in found.safe] == [pytest.approx((0.25, 0.75))]
    assert [span[:2] for span in found.violated] == [
        pytest.approx((0.0, 0.25)),
        pytest.approx((0.75, 1.0)),
    ]


def test_one_class_that_wins_everywhere_refutes_the_whole_row_once():
    found = decide(known([1.0, -1.0], [0.0, 0.5], [0.1, 0.1]))
    assert (found.safe, found.violated, found.rest) == ([], [(0.0, 1.0, 0)], [])


def test_no_class_may_take_over_from_another():
    """At the start the first class wins, at the stop the second; in between neither is proven to."""
    found = decide(known([0.0, 0.0], [1.0, -1.0], [0.1, 0.1]))
    assert [span[:2] for span in found.violated] == [
        pytest.approx((0.0, 0.45)),
        pytest.approx((0.55, 1.0)),
    ]


@pytest.mark.parametrize(
    ("centre", "kind"), [(0.2, "safe"), (-0.2, "violated"), (0.1, "rest"), (-0.1, "rest")]
)
def test_points(centre, kind):
    found = decide(known([centre], [0.0], [0.1], 0.3, 0.3))
    assert getattr(found, kind)[0] == (0.3, 0.3, 0)
    assert sum(bool(getattr(found, name)) for name in ("safe", "violated", "rest")) == 1


@pytest.mark.parametrize("error", [np.inf, np.nan])
def test_nothing_is_decided_about_what_is_not_finite(error):
    for centre in (-1.0, 1.0):
        assert decide(known([centre, 5.0], [0.5, 0.0], [error, 0.0])).rest == [(0.0, 1.0, 0)]


def test_equality_is_neither_proven_nor_refuted():
    assert decide(known([0.0], [0.0], [0.0])).rest == [(0.0, 1.0, 0)]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_margins_hold_for_every_member(seed, margin):
    rng = np.random.default_rng(seed)
    scores = random_form(rng, (4,))
    parts = Parts.between(np.zeros(3), np.ones(3))
    row = margins(scores, parts, 2, margin)
    lines = Form.of(torch.from_numpy(np.stack([row.centre, row.slope])), torch.from_numpy(row.error))
    for _ in range(8):
        u = parameters(rng, 1)
        signs = exactly(rng.choice([-1, 1], scores.error.shape).astype(object))
        exact = model(scores, u) + signs * exactly(scores.error.numpy())
        assert outside(lines, exact[:, 2, None] - exact[:, [0, 1, 3]] - Fraction(margin), u) <= 1.0


def test_slopes_of_scores_are_subtracted():
    lines = torch.tensor([[[1.0, 0.0]], [[7.0, 7.0]]], dtype=torch.float64)
    row = margins(Form.of(lines, torch.zeros(1, 2, dtype=torch.float64)), Parts.between(*np.eye(2)[:, :1]), 0)
    assert row.slope.item() == 0.0
    assert row.error.item() < 1e-12
