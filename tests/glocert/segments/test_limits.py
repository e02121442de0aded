"""What time, pieces and an accepted gap leave undecided."""

from __future__ import annotations

import itertools

import numpy as np

from glocert.budget import Budget
from glocert.segments import certify
from glocert.spec import Analysis, Verdict
from tests.glocert.segments.networks import line, mlp, random_segment


def test_a_spent_deadline_leaves_what_is_decided():
    rng = np.random.default_rng(0)
    graph = mlp(rng, 10, 60, 60, 60, 3)
    ends = rng.standard_normal((2, 10))
    segment = line(*ends)
    whole = certify(graph, segment, 0)
    ticks = itertools.count()
    mass = [(-1.0, 2.0)]
    for seconds in (0, 10, 20, 40, 80, 100000):
        ticks = itertools.count()
        budget = Budget(deadline=seconds, block_bytes=2**13, clock=lambda ticks=ticks: next(ticks))
        report = certify(graph, segment, 0, budget=budget)
        assert report.robust_mass.lower <= whole.robust_mass.upper
        assert report.robust_mass.upper >= whole.robust_mass.lower
        assert (report.robust_mass.lower, -report.robust_mass.upper) >= (mass[-1][0], -mass[-1][1] - 1e-15)
        mass.append((report.robust_mass.lower, report.robust_mass.upper))
        if report.verdict is Verdict.UNDECIDED:
            assert report.reason == "budget"
    assert mass[1] == (0.0, 1.0)
    assert report.verdict is whole.verdict
    assert report.robust_mass.upper - report.robust_mass.lower < 1e-9


def test_too_few_pieces_in_the_budget_are_never_certified():
    rng = np.random.default_rng(0)
    graph = mlp(rng, 10, 60, 60, 60, 3)
    report = certify(
        graph, random_segment(rng, (10,)), 0, budget=Budget(pieces=5, block_bytes=2**13), margin=0.0
    )
    assert 5 <= report.pieces < 60
    assert report.verdict in {Verdict.UNDECIDED, Verdict.FALSIFIED}
    assert report.robust_mass.upper - report.robust_mass.lower > 0.1


def test_quantitative_analysis_stops_at_the_gap_after_a_violation():
    rng = np.random.default_rng(0)
    graph = mlp(rng, 10, 60, 60, 60, 3)
    segment, budget = random_segment(rng, (10,)), Budget(block_bytes=2**8)
    full = certify(graph, segment, 1, analysis=Analysis.QUANTITATIVE, gap=0.0, budget=budget)
    early = certify(graph, segment, 1, analysis=Analysis.QUANTITATIVE, gap=0.5, budget=budget)
    assert full.verdict is early.verdict is Verdict.FALSIFIED
    assert early.pieces < full.pieces
    assert early.robust_mass.upper - early.robust_mass.lower <= 0.5
    assert early.robust_mass.lower <= full.robust_mass.lower <= early.robust_mass.upper
