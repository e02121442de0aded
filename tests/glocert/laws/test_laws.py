"""Laws against exact rationals, other series and what defines them (A29)."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocert.errors import InvalidSpec
from glocert.laws import UNIFORM, law_of
from glocert.laws.continuous import ONE
from glocert.laws.normal import integral
from glocert.spec_law import (
    BetaLaw,
    PointsLaw,
    TriangularLaw,
    TruncatedNormalLaw,
    UniformLaw,
    faults,
    law_from_json,
)

ENDS = st.lists(st.floats(0, 1), max_size=12, unique=True).map(sorted)
SPANS = ENDS.map(lambda ends: list(zip(ends[::2], ends[1::2], strict=False)))
PATHS = st.sampled_from([(0.0, 1.0), (0.0, 0.3), (-20.0, 20.0), (1.5, 0.5), (5.0, -5.0)])
LAWS = [
    TruncatedNormalLaw(0.1, 0.2),
    TruncatedNormalLaw(-0.5, 0.1),
    BetaLaw(1, 1),
    BetaLaw(2, 5),
    BetaLaw(100, 100),
    TriangularLaw(0.3),
    TriangularLaw(0.0),
    TriangularLaw(1.0),
    PointsLaw(((0.0, 1.0), (0.3, 2.0), (1.0, 0.1))),
]


def integral_of_positive_terms(z: Fraction) -> Fraction:
    """``exp(-z^2/2) sum z^(2k+1) / (1 3 5 ... (2k+1))``: no cancellation, unlike the series of the engine."""
    term = total = z
    k = 0
    while term > Fraction(1, 2**420):
        k += 1
        term = Fraction(int(term * z * z / (2 * k + 1) * 2**440), 2**440)
        total += term
    power, growth, j = Fraction(1), Fraction(1), 0
    while power > Fraction(1, 2**420):
        j += 1
        power = Fraction(int(power * z * z / 2 / j * 2**440), 2**440)
        growth += power
    return total / growth


def exact_beta(a: int, b: int, t: Fraction) -> Fraction:
    n = a + b - 1
    return sum((math.comb(n, j) * t**j * (1 - t) ** (n - j) for j in range(a, n + 1)), Fraction(0))


@given(SPANS)
def test_the_uniform_law_is_the_length(spans):
    exact = sum((Fraction(b) - Fraction(a) for a, b in spans), Fraction(0))
    found, rest = UNIFORM.measure(spans), UNIFORM.outside(spans)
    assert found.lower <= exact <= found.upper
    assert rest.lower <= 1 - exact <= rest.upper
    assert found.upper - found.lower <= math.ulp(found.upper) * 2
    assert UNIFORM.measure([(0.0, 1.0)]).lower == 1.0


@pytest.mark.parametrize(
    "z", [Fraction(0), Fraction(1, 2**70), Fraction(1, 3), Fraction(4), Fraction(9, 2), Fraction(8)]
)
def test_the_normal_integral_agrees_with_another_series(z):
    low, high = integral(z)
    exact = integral_of_positive_terms(z)
    assert Fraction(low, ONE) < exact < Fraction(high, ONE)
    assert Fraction(high - low, ONE) < Fraction(1, 2**190)
    assert integral(-z) == (-high, -low)


def test_far_out_the_normal_integral_is_half_of_all():
    """The whole integral is the square root of 2 pi; sixteen deviations hold all but 2^-188 of it."""
    for z in (Fraction(16), Fraction(17), Fraction(10**6)):
        low, high = integral(z)
        assert Fraction(high - low, ONE) < Fraction(1, 2**186)
        assert float(Fraction(2 * low, ONE)) == pytest.approx(math.sqrt(2 * math.pi), rel=1e-15)
    assert integral(Fraction(16))[0] <= integral(Fraction(17))[0]


@given(SPANS, PATHS, st.floats(-0.5, 1.5), st.floats(1e-3, 10))
def test_the_truncated_normal_law_agrees_with_erf(spans, path, place, deviation):
    start, stop = path
    law = TruncatedNormalLaw(start + place * (stop - start), deviation * abs(stop - start))
    if faults(law, start, stop):
        return
    mean, std = (law.mean - start) / (stop - start), law.std / abs(stop - start)

    def below(t: float) -> float:
        return math.erfc(-(t - mean) / std / math.sqrt(2)) / 2

    whole = below(1.0) - below(0.0)
    if whole < 1e-3:
        return
    exact = sum(below(b) - below(a) for a, b in spans) / whole
    found = law_of(law, start, stop).measure(spans)
    assert found.lower - 1e-10 <= exact <= found.upper + 1e-10
    assert 0.0 <= found.lower <= found.upper <= 1.0
    assert found.upper - found.lower <= 2.0**-50


@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 2), (2, 5), (7, 1), (30, 40), (60, 50)])
@pytest.mark.parametrize(
    "spans", [[(0.25, 0.75)], [(0.0, 0.1), (0.3, 0.30000001), (0.9, 1.0)], [(2.0**-70, 1e-3)]]
)
def test_the_beta_law_is_its_polynomial(a, b, spans):
    exact = sum(
        (exact_beta(a, b, Fraction(stop)) - exact_beta(a, b, Fraction(start)) for start, stop in spans),
        Fraction(0),
    )
    law = law_of(BetaLaw(a, b), 0.0, 1.0)
    found, rest = law.measure(spans), law.outside(spans)
    assert found.lower <= exact <= found.upper
    assert rest.lower <= 1 - exact <= rest.upper
    assert found.upper - found.lower <= 2.0**-52
    assert found.lower > 0 or exact < Fraction(1, 2**120)


@given(SPANS, st.floats(0, 1))
def test_the_triangular_law_is_its_parabolas(spans, mode):
    def below(t: float) -> Fraction:
        exact, top = Fraction(t), Fraction(mode)
        return exact**2 / top if exact < top else 1 - (1 - exact) ** 2 / (1 - top) if top < 1 else exact**2

    exact = sum((below(b) - below(a) for a, b in spans), Fraction(0))
    found = law_of(TriangularLaw(mode), 0.0, 1.0).measure(spans)
    assert found.lower <= exact <= found.upper
    assert found.upper - found.lower <= 2.0**-52


@given(
    SPANS, st.lists(st.tuples(st.floats(0, 1), st.floats(1e-6, 1e6)), min_size=1, max_size=8), st.booleans()
)
def test_points_count_where_an_interval_holds_them_its_ends_included(spans, points, mine_the_ends):
    if mine_the_ends:
        points += [(end, 0.5) for span in spans for end in span]
    total = sum(Fraction(weight) for _, weight in points)
    inside = sum((Fraction(w) for at, w in points if any(a <= at <= b for a, b in spans)), Fraction(0))
    law = law_of(PointsLaw(tuple(points)), 0.0, 1.0)
    found, rest = law.measure(spans), law.outside(spans)
    assert found.lower <= inside / total <= found.upper
    assert rest.lower <= 1 - inside / total <= rest.upper
    assert found.upper - found.lower <= 2.0**-52


def test_a_point_that_is_no_float_counts_between_the_floats_next_to_it():
    law = law_of(PointsLaw(((0.1, 1.0),)), 0.0, 0.3)  # at t = 1/3 or next to it
    t = Fraction(0.1) / Fraction(0.3)
    near = float(t)
    before, after = (near, math.nextafter(near, 1)) if near < t else (math.nextafter(near, 0), near)
    assert law.measure([(0.0, before)]).upper == 0.0
    assert law.measure([(after, 1.0)]).upper == 0.0
    assert law.measure([(before, after)]).lower == 1.0


@pytest.mark.parametrize("law", LAWS)
def test_parts_add_up_and_the_whole_is_certain(law):
    """A28: the weights of a partition add up to one."""
    found = law_of(law, 0.0, 1.0)
    assert found.measure([(0.0, 1.0)]).lower == 1.0
    assert found.outside([]).lower == 1.0
    assert found.measure([]).upper == 0.0
    assert found.outside([(0.0, 1.0)]).upper == 0.0
    if not isinstance(law, PointsLaw):
        ends = [0.0, 1e-9, 0.1, 0.25, 0.3, 0.5, 0.77, 1 - 1e-9, 1.0]
        parts = [found.measure([span]) for span in pairwise(ends)]
        assert abs(math.fsum(part.lower for part in parts) - 1) <= 1e-12
        assert abs(math.fsum(part.upper for part in parts) - 1) <= 1e-12


@pytest.mark.parametrize("law", [one for one in LAWS if not isinstance(one, BetaLaw)])
def test_a_path_that_runs_the_other_way_has_the_mirrored_law(law):
    one, other = law_of(law, 0.0, 1.0), law_of(law, 1.0, 0.0)
    for span in ((0.0, 0.25), (0.125, 0.5), (0.5, 0.75)):
        mirrored = (1 - span[1], 1 - span[0])
        assert one.measure([span]) == other.measure([mirrored])


@pytest.mark.parametrize(
    ("law", "member"),
    [
        (TruncatedNormalLaw(5.0, 0.1), "/mean"),
        (TruncatedNormalLaw(math.inf, 0.1), "/mean"),
        (TruncatedNormalLaw(0.0, 0.0), "/std"),
        (TruncatedNormalLaw(0.0, math.nan), "/std"),
        (TruncatedNormalLaw(0.0, 1e9), "/std"),
        (BetaLaw(0, 1), "/a"),
        (BetaLaw(1, 101), "/b"),
        (TriangularLaw(1.5), "/mode"),
        (TriangularLaw(math.nan), "/mode"),
        (PointsLaw(()), "/points"),
        (PointsLaw(((0.5, 1.0), (2.0, 1.0))), "/points/1/value"),
        (PointsLaw(((0.5, 0.0),)), "/points/0/weight"),
    ],
)
def test_what_is_wrong_with_a_law_is_named(law, member):
    assert [where for where, _ in faults(law, 0.0, 1.0)] == [member]
    with pytest.raises(InvalidSpec, match=f"law{member}"):
        law_of(law, 0.0, 1.0)


def test_a_path_of_one_value_takes_no_law():
    assert faults(UniformLaw(), 0.5, 0.5) == []
    assert [where for where, _ in faults(BetaLaw(1, 1), 0.5, 0.5)] == [""]


@pytest.mark.parametrize("extreme", [TruncatedNormalLaw(-8e-300, 1e-300), TruncatedNormalLaw(0.5, 1e6)])
def test_extreme_normal_laws_that_pass_are_still_bounded(extreme):
    found = law_of(extreme, 0.0, 1.0).measure([(0.0, 0.25), (0.5, 1.0)])
    assert found.upper - found.lower <= 2.0**-50


@pytest.mark.parametrize("law", [UniformLaw(), *LAWS])
def test_laws_survive_json(law):
    assert law_from_json(law.to_json()) == law


def test_no_law_is_uniform_and_an_unknown_one_is_a_bug():
    assert law_from_json(None) == UniformLaw()
    with pytest.raises(ValueError, match="cauchy"):
        law_from_json({"type": "cauchy"})
