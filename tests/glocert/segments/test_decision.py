from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from glocert.segments.curve import Run
from glocert.segments.decision import margins, possible, proven, refuted

SCORES = st.one_of(st.integers(-2, 2).map(float), st.floats(-3, 3), st.floats(-1e-12, 1e-12))


@given(st.integers(1, 4), st.integers(1, 3), st.floats(0, 0.5), st.floats(0, 1), st.data())
def test_spans_are_rounded_to_the_safe_side(pieces, others, radius, margin, data):
    t = np.unique([0.0, *data.draw(st.lists(st.floats(0.01, 0.99), min_size=pieces, max_size=pieces)), 1.0])
    row = st.lists(SCORES, min_size=others + 1, max_size=others + 1)
    scores = np.array(data.draw(st.lists(row, min_size=len(t), max_size=len(t))))
    radii = np.array(
        data.draw(st.lists(st.sampled_from([0.0, radius]), min_size=others + 1, max_size=others + 1))
    )
    known = margins(Run(t, scores, radii), 0, margin)
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
    assert (refuted(known) <= (scores[:, :1] - scores[:, 1:] - margin < 0).any(axis=1)).all()


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
        assert not refuted(known).any()
        assert (proven(known).stop <= proven(known).start).all()


def test_a_margin_that_touches_zero_is_not_proven_there():
    run = Run(np.array([0.0, 0.5, 1.0]), np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]), np.zeros(2))
    known = margins(run, 0, 0.0)
    assert proven(known).stop[0] < 0.5 < proven(known).start[1]
    np.testing.assert_array_equal(possible(known).stop, [0.5, 1.0])
