from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocert.segments.decision import decide, margins, possible, proven
from glocert.segments.pieces import Run

SCORES = st.one_of(st.integers(-2, 2).map(float), st.floats(-3, 3), st.floats(-1e-12, 1e-12))


@given(st.integers(1, 4), st.integers(1, 3), st.floats(0, 0.5), st.floats(0, 1), st.data())
def test_spans_are_rounded_to_the_safe_side(pieces, others, radius, margin, data):
    t = np.unique([0.0, *data.draw(st.lists(st.floats(0.01, 0.99), min_size=pieces, max_size=pieces)), 1.0])
    row = st.lists(SCORES, min_size=others + 1, max_size=others + 1)
    scores = np.array(data.draw(st.lists(row, min_size=len(t), max_size=len(t))))
    radii = np.array(
        data.draw(st.lists(st.sampled_from([0.0, radius]), min_size=others + 1, max_size=others + 1))
    )
    run = Run(t, scores, radii)
    known = margins(run, 0, margin)
    inner, outer = proven(known), possible(known)
    for k in range(len(t) - 1):
        safe = _exactly(t[k : k + 2], scores[k : k + 2], radii, margin, -1)
        maybe = _exactly(t[k : k + 2], scores[k : k + 2], radii, margin, 1)
        if inner.stop[k] > inner.start[k]:
            assert safe[0] <= Fraction(inner.start[k])
            assert Fraction(inner.stop[k]) <= safe[1]
        if maybe[1] > maybe[0]:
            assert Fraction(outer.start[k]) <= maybe[0]
            assert maybe[1] <= Fraction(outer.stop[k])
    _assert_joined(decide(run, 0, margin), inner, outer)
    _assert_true_of_vertices(decide(run, 0, margin), run, margin)


def _assert_joined(found, inner, outer) -> None:
    """The same parts without those that are empty, and no two touching."""
    for parts, spans in ((found.safe, inner), (found.maybe, outer)):
        assert all(before[1] < after[0] for before, after in pairwise(parts))
        assert all(start < stop for start, stop in parts)
        there = [(a, b) for a, b in zip(spans.start.tolist(), spans.stop.tolist(), strict=True) if a < b]
        assert all(any(a <= start and stop <= b for a, b in parts) for start, stop in there)
        assert {end for part in parts for end in part} <= {end for part in there for end in part}
        assert sum(b - a for a, b in parts) == pytest.approx(sum(b - a for a, b in there), abs=1e-12)
    ends = sorted([*(end for part in (*found.maybe, *found.violated()) for end in part), *found.span])
    assert ends[::2] == ends[1::2]


def _assert_true_of_vertices(found, run, margin) -> None:
    """In exact arithmetic, within the rounding of a few differences."""
    slack = Fraction(1e-14)
    lows = [
        min(Fraction(s[0]) - Fraction(s[j]) - Fraction(margin) for j in range(1, len(s))) for s in run.scores
    ]
    low, at = found.lowest
    assert abs(min(lows) - Fraction(low)) <= slack
    assert abs(lows[run.t.tolist().index(at)] - min(lows)) <= slack
    wrong = {t: margin for margin, t in found.wrong}
    for t, vertex, least in zip(run.t.tolist(), run.scores, lows, strict=True):
        bounds = _bounds(run, vertex, margin)
        if any(value + radius < -slack for value, radius in bounds):
            assert abs(Fraction(wrong[t]) - least) <= slack
        assert t not in wrong or any(value + radius < 0 for value, radius in bounds)
    holding = [all(v > r for v, r in _bounds(run, vertex, margin)) for vertex in run.scores]
    assert found.everywhere <= all(holding)
    assert found.reach <= (run.t[holding.index(False)] if False in holding else run.t[-1])
    assert found.reach < 0 or holding[0]
    assert found.everywhere <= (found.reach == run.t[-1])
    assert Fraction(found.radius) >= max(r for _, r in _bounds(run, run.scores[0], margin))
    assert found.scale == np.abs(run.scores).max()
    assert found.worst()[0] == min(wrong.values(), default=np.inf)


def _bounds(run, vertex, margin) -> list[tuple[Fraction, Fraction]]:
    return [_error(run, vertex, j, margin) for j in range(1, len(vertex))]


def _error(run, vertex, j, margin) -> tuple[Fraction, Fraction]:
    """Return an exact margin and the radius of both scores."""
    value = Fraction(vertex[0]) - Fraction(vertex[j]) - Fraction(margin)
    return value, Fraction(run.radius[0]) + Fraction(run.radius[j])


def _exactly(t, scores, radii, margin, sign) -> tuple[Fraction, Fraction]:
    """Return where all exact margins, moved by their radii in the direction ``sign``, are not negative."""
    low, high = Fraction(t[0]), Fraction(t[1])
    start, length = low, high - low
    for j in range(1, scores.shape[1]):
        error = sign * (Fraction(radii[0]) + Fraction(radii[j]))
        a, b = (Fraction(s[0]) - Fraction(s[j]) - Fraction(margin) + error for s in scores)
        if a < 0 and b < 0:
            return Fraction(1), Fraction(0)
        if a < 0 <= b:
            low = max(low, start + length * a / (a - b))
        elif b < 0 <= a:
            high = min(high, start + length * a / (a - b))
    return low, high


def test_a_run_that_is_not_finite_proves_nothing():
    t = np.array([0.0, 1.0])
    for scores, radius in (
        ([1.0, np.inf], 0.0),
        ([np.nan, 0.0], 0.0),
        ([1.0, 0.0], np.inf),
        ([1.0, 0.0], np.nan),
    ):
        known = margins(Run(t, np.array([scores, scores]), np.full(2, radius)), 0, 0.0)
        assert not known.finite
        found = decide(Run(t, np.array([scores, scores]), np.full(2, radius)), 0, 0.0)
        assert not found.finite
        assert (found.safe, found.maybe, found.violated()) == ([], [(0.0, 1.0)], [])
        assert not found.wrong
        assert (proven(known).stop <= proven(known).start).all()


def test_a_margin_that_touches_zero_is_not_proven_there():
    run = Run(np.array([0.0, 0.5, 1.0]), np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]), np.zeros(2))
    known = margins(run, 0, 0.0)
    assert proven(known).stop[0] < 0.5 < proven(known).start[1]
    np.testing.assert_array_equal(possible(known).stop, [0.5, 1.0])


@pytest.mark.parametrize("ends", [(1.7e308, -1.5e308), (-1.7e308, 1.5e308)])
def test_margins_close_to_the_largest_number_are_not_lost(ends):
    """One overflows with its error, and the crossing is not a number: all is possible, nothing proven."""
    run = Run(np.array([0.0, 1.0]), np.array([[end, 0.0] for end in ends]), np.array([1e307, 0.0]))
    found = decide(run, 0, 0.0)
    assert found.finite
    assert found.maybe == [(0.0, 1.0)]
    assert found.safe == []


def test_both_ends_of_many_spans_are_rounded_to_the_safe_side():
    rng = np.random.default_rng(0)
    t = np.cumsum(rng.random(2000) / 2001)
    scores = rng.standard_normal((2000, 2)) * np.array([1.0, 0.0])
    known = margins(Run(t, scores, np.zeros(2)), 0, 0.0)
    assert known.error.max() < 1e-14
    inner, outer = proven(known), possible(known)
    for k in range(1999):
        a, b = Fraction(scores[k, 0]), Fraction(scores[k + 1, 0])
        if a * b >= 0:
            continue
        crossing = Fraction(t[k]) + a / (a - b) * (Fraction(t[k + 1]) - Fraction(t[k]))
        if a < 0:
            assert Fraction(outer.start[k]) <= crossing <= Fraction(inner.start[k])
        else:
            assert Fraction(inner.stop[k]) <= crossing <= Fraction(outer.stop[k])
