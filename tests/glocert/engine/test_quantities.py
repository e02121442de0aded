"""What bounds on the robust mass promise, for both domains and the loop, against exact rational arithmetic.

The acceptance properties A25 to A30 of the method; exact masses come from an engine in fractions.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from glocert import engine, forms, segments
from glocert.budget import Budget
from glocert.engine import cost
from glocert.forms.path import Parts
from glocert.forms.path import forms as forms_of
from glocert.graph.ir import Graph
from glocert.graph.run import run as execute
from glocert.laws import UNIFORM, law_of
from glocert.paths.segment import Segment
from glocert.report import SegmentReport
from glocert.spec import Analysis, Verdict
from glocert.spec_law import BetaLaw, LawSpec, PointsLaw, TriangularLaw, TruncatedNormalLaw, UniformLaw
from tests.glocert.segments.networks import Draft, Wild, line, mlp, random_segment, scalar_line
from tests.glocert.segments.rational import exact_curve

DOMAINS = ("curve", "forms", "loop")
LAWS: dict[LawSpec, Callable[[np.random.Generator, int], np.ndarray]] = {
    UniformLaw(): lambda rng, n: rng.random(n),
    TruncatedNormalLaw(0.3, 0.25): lambda rng, n: _normal(rng, n, 0.3, 0.25),
    BetaLaw(2, 5): lambda rng, n: rng.beta(2, 5, n),
    TriangularLaw(0.8): lambda rng, n: rng.triangular(0, 0.8, 1, n),
    PointsLaw(((0.125, 1.0), (0.4, 2.0), (0.9, 5.0))): lambda rng, n: rng.choice(
        [0.125, 0.4, 0.9], n, p=[0.125, 0.25, 0.625]
    ),
}
"""laws of t, and how independent code draws from them"""


def _normal(rng: np.random.Generator, n: int, mean: float, std: float) -> np.ndarray:
    drawn = rng.normal(mean, std, 4 * n)
    return drawn[(drawn >= 0) & (drawn <= 1)][:n]


@pytest.fixture(autouse=True)
def _searching(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks would be followed at once: have the loop search them."""
    monkeypatch.setattr(cost.Cost, "small", property(lambda _: False))


def answer(domain: str, graph: Graph, path: Segment, label: int = 0, **settings: object) -> SegmentReport:
    """Ask one of the domains, or the loop that picks them."""
    if domain == "loop":
        return engine.certify(engine.prepare(graph), path, label, **settings)
    return {"curve": segments, "forms": forms}[domain].certify(graph, path, label, **settings)


@functools.cache
def case(seed: int, whole: bool = False) -> tuple[Graph, Segment]:
    rng = np.random.default_rng([17, seed])
    graph = Wild(rng, whole).build(int(rng.integers(1, 4)))
    return graph, random_segment(rng, graph.input_shape, whole)


@functools.cache
def broken(seed: int) -> tuple[Graph, Segment, int, Fraction]:
    """A network, a path and a label that wins on a part of it only."""
    rng = np.random.default_rng([23, seed])
    graph = mlp(rng, 5, 16, 16, 3)
    while True:
        path = random_segment(rng, (5,))
        curve = exact_curve(graph, path)
        label = int(np.argmax(curve.at([Fraction(1, 2)])[0]))
        mass = curve.robust_mass(label)
        if Fraction(1, 20) < mass < Fraction(19, 20):
            return graph, path, label, mass


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_bounds_enclose_the_exact_mass_and_say_what_the_verdict_says(domain, whole, seed):
    """A26 and A30, many ties included: all of the mass only if certified, less than one only if violated."""
    graph, path = case(seed, whole)
    curve = exact_curve(graph, path)
    for label in range(graph.output_shape[0]):
        exact, found = curve.robust_mass(label), answer(domain, graph, path, label)
        lower, upper = found.robust_mass.lower, found.robust_mass.upper
        assert 0.0 <= lower <= upper <= 1.0
        assert Fraction(lower) <= exact <= Fraction(upper)
        assert (lower == 1.0) == (found.verdict is Verdict.CERTIFIED)
        if upper < 1.0:
            assert found.verdict is Verdict.FALSIFIED
            assert curve.margins(label).min() < 0
        if found.verdict is Verdict.FALSIFIED and exact < 1 - Fraction(1, 10**9):
            assert upper < 1.0


@pytest.mark.parametrize("seed", range(6))
def test_what_is_followed_exactly_is_known_to_many_digits(seed):
    """A26: U - L is the width of the band that rounding leaves."""
    graph, path, label, _ = broken(seed)
    for domain in ("curve", "loop"):
        found = answer(domain, graph, path, label).robust_mass
        assert found.upper - found.lower < 1e-9


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("domain", DOMAINS)
def test_sampled_frequencies_lie_in_the_bounds_up_to_their_own_uncertainty(domain, law):
    """A26 for every law: 10^5 samples, Clopper and Pearson's interval at 1 - 10^-6."""
    rng = np.random.default_rng(5)
    graph, path, label, _ = broken(0)
    t = LAWS[law](rng, 100_000)[:, None]
    images = torch.from_numpy((1 - t) * path.start + t * path.stop)
    scores = execute(graph, images).numpy()
    wins = int((scores[:, label] > np.delete(scores, label, axis=1).max(axis=1)).sum())
    seen = binomtest(wins, len(t)).proportion_ci(1 - 1e-6, method="exact")
    found = answer(domain, graph, path, label, law=law_of(law, 0.0, 1.0)).robust_mass
    assert seen.low <= found.upper
    assert found.lower <= seen.high


@pytest.mark.parametrize("law", [UniformLaw(), TruncatedNormalLaw(0.3, 0.25)])
@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("seed", range(2))
def test_more_budget_never_loosens_the_bounds_and_enough_of_it_closes_them(domain, law, seed):
    """A27."""
    graph, path, label, exact = broken(seed)
    before = (0.0, 1.0)
    for pieces in (1, 4, 16, 64, 256, 10**6):
        budget = Budget(pieces=pieces, block_bytes=2**12)
        found = answer(domain, graph, path, label, budget=budget, law=law_of(law, 0.0, 1.0), gap=1e-6)
        lower, upper = found.robust_mass.lower, found.robust_mass.upper
        assert lower >= before[0]
        assert upper <= before[1] + 1e-12
        before = lower, upper
    assert before[1] - before[0] <= 1e-6
    if isinstance(law, UniformLaw):
        assert Fraction(before[0]) <= exact <= Fraction(before[1])


@pytest.mark.parametrize("seed", range(8))
def test_a_row_holds_every_point_of_the_curve_that_it_stands_for(seed):
    """A28 in our form: rows are what merged boxes are elsewhere; their weights add up to one."""
    graph, path = case(seed, seed % 3 == 0)
    rng = np.random.default_rng(seed)
    cuts = np.unique([0.0, 1.0, *rng.random(7), 0.5])
    parts, curve = Parts.between(cuts[:-1], cuts[1:]), exact_curve(graph, path)
    program = forms.prepare(graph)
    rows = program.scores(forms_of(path.loaded(program.device), parts, program.device))
    centre, slope, error = (x.numpy() for x in (rows.centre, rows.slopes[0], rows.error))
    for row, (start, stop) in enumerate(itertools.pairwise(map(Fraction, cuts))):
        t = sorted({start, stop, *(at for at in curve.t if start <= at <= stop)})
        middle, half = Fraction(float(parts.middle[row])), Fraction(float(parts.half[row]))
        for at, scores in zip(t, curve.at(t), strict=True):
            u = (at - middle) / half
            for j, exact in enumerate(scores):
                model = Fraction(float(centre[row, j])) + Fraction(float(slope[row, j])) * u
                assert abs(exact - model) <= Fraction(float(error[row, j]))
    for law in LAWS:
        if not isinstance(law, PointsLaw):
            weights = [law_of(law, 0.0, 1.0).measure([span]) for span in itertools.pairwise(cuts.tolist())]
            assert abs(math.fsum(one.lower for one in weights) - 1) <= 1e-12
            assert abs(math.fsum(one.upper for one in weights) - 1) <= 1e-12


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("domain", DOMAINS)
def test_the_mass_of_a_known_interval_is_the_difference_of_the_distribution_function(domain, law):
    """A29: class 0 wins exactly between a quarter and five eighths."""
    draft = Draft(1)
    weight, bias = np.array([[0.0], [-1.0], [1.0]]), np.array([0.0, 0.25, -0.625])
    graph = draft.graph(draft.gemm("x", weight, bias))
    found = answer(domain, graph, scalar_line(), law=law_of(law, 0.0, 1.0), gap=1e-9).robust_mass
    exact = law_of(law, 0.0, 1.0).measure([(0.25, 0.625)])
    assert exact.lower - 1e-9 <= found.lower <= found.upper <= exact.upper + 1e-9
    if isinstance(law, UniformLaw):
        assert found.lower <= 0.375 <= found.upper


def smooth(rng: np.random.Generator, operator: str) -> Graph:
    draft = Draft(6)
    hidden = draft.gemm("x", rng.standard_normal((20, 6)), rng.standard_normal(20))
    bent = draft.same(operator, hidden)
    return draft.graph(draft.gemm(bent, rng.standard_normal((3, 20)), rng.standard_normal(3) / 4))


@pytest.mark.parametrize("operator", ["Tanh", "Sigmoid"])
@pytest.mark.parametrize("seed", range(2))
def test_one_smooth_layer_is_enclosed_and_more_effort_never_loosens(operator, seed):
    """A25: 10^4 samples inside the rows; smaller gaps and more rows give tighter bounds, or equal ones."""
    rng = np.random.default_rng([29, seed])
    graph = smooth(rng, operator)
    path = line(rng.standard_normal(6) * 2, rng.standard_normal(6) * 2)
    program = forms.prepare(graph)
    for count in (1, 8, 64):
        ends = np.linspace(0, 1, count + 1)
        parts = Parts.between(ends[:-1], ends[1:])
        rows = program.scores(forms_of(path.loaded(program.device), parts, program.device))
        t = rng.random(10_000)
        row = np.minimum((t * count).astype(int), count - 1)
        scores = execute(graph, torch.from_numpy((1 - t[:, None]) * path.start + t[:, None] * path.stop))
        u = torch.from_numpy((t - parts.middle[row]) / parts.half[row])[:, None]
        model = rows.centre[row] + rows.slopes[0][row] * u
        own = 1e-12 * (1 + scores.abs())  # rounding of the sample itself
        assert ((scores - model).abs() <= rows.error[row] + own).all()
    label = int(execute(graph, torch.from_numpy((path.start + path.stop)[None] / 2)).argmax())
    before = (0.0, 1.0)
    for pieces, gap in ((1, 0.1), (16, 0.1), (64, 0.01), (256, 1e-3), (4096, 1e-5)):
        found = forms.certify(
            program, path, label, budget=Budget(pieces=pieces), gap=gap, analysis=Analysis.QUANTITATIVE
        )
        assert found.robust_mass.lower >= before[0]
        assert found.robust_mass.upper <= before[1]
        before = found.robust_mass.lower, found.robust_mass.upper
    assert before[1] - before[0] <= 1e-5


def test_the_default_law_is_the_length_of_what_is_proven():
    graph, path, label, exact = broken(0)
    for domain in DOMAINS:
        one, other = answer(domain, graph, path, label), answer(domain, graph, path, label, law=UNIFORM)
        assert one.robust_mass == other.robust_mass
        assert Fraction(one.robust_mass.lower) <= exact <= Fraction(one.robust_mass.upper)
