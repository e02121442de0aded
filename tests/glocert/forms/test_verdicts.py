from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert import segments
from glocert.budget import Budget
from glocert.errors import InvalidSpec
from glocert.forms import certify, prepare
from glocert.graph.ir import Graph
from glocert.graph.run import run as execute
from glocert.paths.segment import Segment
from glocert.report import SegmentReport
from glocert.spec import Analysis, Verdict
from tests.glocert.segments.networks import Draft, Wild, line, mlp, random_segment, scalar_line
from tests.glocert.segments.rational import ExactCurve, exact_curve


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def exact_margins(truth: ExactCurve, where: list[Fraction], label: int):
    scores = truth.at(sorted(where))
    return (scores[:, label, None] - np.delete(scores, label, axis=1)).min(axis=1)


def assert_true(report: SegmentReport, truth: ExactCurve, label: int, margin: float = 0.0) -> None:
    """Compare every claim of a report with exact arithmetic."""
    lowest = truth.margins(label).min() - Fraction(margin)
    if report.verdict is Verdict.CERTIFIED:
        assert lowest > 0
        assert report.certified_to == 1.0
    if report.verdict is Verdict.FALSIFIED:
        assert lowest < 0
    if report.verdict is Verdict.UNDECIDED:
        assert report.reason in {"tie", "numeric"}
        assert abs(lowest) < Fraction(1, 10**6)
    if margin == 0:
        mass = truth.robust_mass(label)
        assert Fraction(report.robust_mass.lower) <= mass <= Fraction(report.robust_mass.upper)
    if report.certified_to >= 0:
        reached = [t for t in truth.t if t <= report.certified_to] + [Fraction(report.certified_to)]
        assert (exact_margins(truth, reached, label) > margin).all()
    for t in report.witnesses:
        assert (exact_margins(truth, [Fraction(t)], label) < margin).all()
    assert bool(report.witnesses) == (report.verdict is Verdict.FALSIFIED)


@settings(max_examples=40)
@given(st.integers(0, 10**9), st.booleans(), st.sampled_from([0.0, 0.25]))
def test_reports_agree_with_exact_arithmetic(seed, whole, margin):
    rng = np.random.default_rng(seed)
    graph = Wild(rng, whole).build(int(rng.integers(1, 4)))
    segment = random_segment(rng, graph.input_shape, whole)
    truth, program = exact_curve(graph, segment), prepare(graph)
    for label in range(graph.output_shape[0]):
        assert_true(certify(program, segment, label, margin=margin), truth, label, margin)


@pytest.mark.parametrize("seed", range(40))
def test_both_engines_give_the_same_answer(seed):
    rng = np.random.default_rng([3, seed])
    graph = Wild(rng, whole=seed % 3 == 0).build(int(rng.integers(2, 6)))
    segment = random_segment(rng, graph.input_shape, whole=seed % 3 == 0)
    exact, enclosed = segments.certify(graph, segment, 0), certify(graph, segment, 0)
    assert (exact.family, enclosed.family) == ("exact", "enclosure")
    if Verdict.UNDECIDED not in (exact.verdict, enclosed.verdict):
        assert exact.verdict is enclosed.verdict
    assert enclosed.robust_mass.lower <= exact.robust_mass.upper
    assert exact.robust_mass.lower <= enclosed.robust_mass.upper
    assert enclosed.robust_mass.upper - enclosed.robust_mass.lower <= 0.001 or enclosed.reason
    if exact.verdict is Verdict.FALSIFIED and exact.robust_mass.upper - exact.robust_mass.lower < 1e-9:
        assert enclosed.certified_to <= exact.certified_to + 1e-9
        assert enclosed.certified_to > exact.certified_to - 1e-5


def three_lines() -> Graph:
    """Scores 1 - 2t, 0.2 and 2t - 1."""
    draft = Draft(1)
    return draft.graph(draft.gemm("x", np.array([[-2.0], [0.0], [2.0]]), np.array([1.0, 0.2, -1.0])))


def test_numbers_of_a_falsified_segment():
    report = certify(three_lines(), scalar_line(), 0)
    assert report.verdict is Verdict.FALSIFIED
    assert report.robust_mass.lower <= Fraction(2, 5) <= report.robust_mass.upper
    assert report.robust_mass.upper - report.robust_mass.lower < 1e-9
    assert 0.4 - 1e-9 < report.certified_to < 0.4
    assert report.witnesses[0] == 1.0
    assert (report.min_margin, report.min_margin_at) == (-2.0, 1.0)
    assert 0 < report.radius < 1e-9


def test_the_partition_lists_every_class_that_wins():
    report = certify(three_lines(), scalar_line(), 0, partition=True)
    assert [part.label for part in report.partition] == [0, 1, 2]
    ends = [end for part in report.partition for end in (part.start, part.stop)]
    np.testing.assert_allclose(ends, [0, 0.4, 0.4, 0.6, 0.6, 1], atol=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_every_part_of_a_partition_is_won_by_its_label(seed):
    rng = np.random.default_rng([5, seed])
    graph = Wild(rng, whole=seed % 4 == 0).build(2)
    segment = random_segment(rng, graph.input_shape, whole=seed % 4 == 0)
    truth = exact_curve(graph, segment)
    report = certify(graph, segment, 0, partition=True)
    for part in report.partition:
        inside = [t for t in truth.t if part.start < t < part.stop]
        assert (
            exact_margins(truth, [Fraction(part.start), *inside, Fraction(part.stop)], part.label) > 0
        ).all()
    assert all(a.stop <= b.start for a, b in itertools.pairwise(report.partition))
    mass = sum(part.stop - part.start for part in report.partition if part.label == 0)
    assert report.robust_mass.lower - 1e-12 <= mass <= report.robust_mass.upper + 1e-12


@pytest.mark.parametrize("bias", [-1.0, 0.0, 1.0])
def test_a_touch_at_one_point_is_a_tie_and_never_certified(bias):
    """|2t - 1| + bias against bias: equal at t = 1/2 only."""
    draft = Draft(1)
    sides = draft.relu(draft.gemm("x", np.array([[2.0], [-2.0]]), np.array([-1.0, 1.0])))
    graph = draft.graph(draft.gemm(sides, np.array([[1.0, 1.0], [0.0, 0.0]]), np.array([bias, bias])))
    report = certify(graph, scalar_line(), 0)
    assert (report.verdict, report.reason) == (Verdict.UNDECIDED, "tie")
    assert report.next_step
    assert report.certified_to < 0.5
    assert certify(graph, scalar_line(), 1).verdict is Verdict.FALSIFIED


def test_equal_scores_everywhere_are_a_tie_and_cost_little():
    draft = Draft(2)
    graph = draft.graph(draft.gemm("x", np.ones((3, 2))))
    report = certify(graph, line([0.0, 0.0], [1.0, 1.0]), 2)
    assert (report.verdict, report.reason, report.certified_to) == (Verdict.UNDECIDED, "tie", -1.0)
    assert (report.robust_mass.lower, report.robust_mass.upper) == (0.0, 1.0)
    assert report.pieces < 20


def spike(centre: float, width: float, height: float = 1.0) -> Graph:
    """Scores 0.5 and a tent of the given width and height around ``centre``."""
    draft, half = Draft(1), width / 2
    knots = np.array([centre - half, centre, centre + half])
    hats = draft.relu(draft.gemm("x", np.full((3, 1), 1 / half), -knots / half))
    weights = height * np.array([[0.0, 0.0, 0.0], [1.0, -2.0, 1.0]])
    return draft.graph(draft.gemm(hats, weights, np.array([0.5, 0.0])))


@pytest.mark.parametrize("centre", [0.1, 1 / 3, 0.5, 0.987654321])
@pytest.mark.parametrize("width", [1e-3, 1e-6])
def test_a_planted_narrow_violation_is_found(centre, width):
    report = certify(spike(centre, width), scalar_line(), 0)
    assert report.verdict is Verdict.FALSIFIED
    assert abs(report.witnesses[0] - centre) < width / 2
    assert report.robust_mass.lower <= 1 - width / 2 <= report.robust_mass.upper
    assert certify(spike(centre, width, height=0.49), scalar_line(), 0).verdict is Verdict.CERTIFIED


def test_margins_are_required_of_every_class():
    draft = Draft(1)
    graph = draft.graph(draft.gemm("x", np.zeros((3, 1)), np.array([1.0, 0.5, 0.25])))
    assert certify(graph, scalar_line(), 0, margin=0.4).verdict is Verdict.CERTIFIED
    assert certify(graph, scalar_line(), 0, margin=0.5).reason == "tie"
    assert certify(graph, scalar_line(), 0, margin=0.6).verdict is Verdict.FALSIFIED


def test_a_segment_without_length_is_decided_by_the_margin():
    draft = Draft(1)
    graph = draft.graph(draft.gemm("x", np.zeros((2, 1)), np.array([1.0, 0.0])))
    point = line([0.5], [0.5])
    assert certify(graph, point, 0).verdict is Verdict.CERTIFIED
    assert certify(graph, point, 1).verdict is Verdict.FALSIFIED


@pytest.mark.parametrize("seed", range(20))
def test_a_larger_radius_never_flips_a_verdict(seed):
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 5, 20, 20, 3)
    ends = rng.standard_normal((2, 5)) * 0.4
    verdicts = [certify(graph, line(*ends, radius), 0).verdict for radius in (0.0, 1e-6, 1e-3, 1e-1, 10.0)]
    decided = {verdict for verdict in verdicts if verdict is not Verdict.UNDECIDED}
    assert len(decided) == 1
    first = verdicts.index(Verdict.UNDECIDED)
    assert set(verdicts[first:]) == {Verdict.UNDECIDED}


def test_a_radius_that_is_too_large_is_called_numeric_and_costs_little():
    graph = mlp(np.random.default_rng(0), 5, 20, 3)
    report = certify(graph, line(np.zeros(5), np.ones(5), radius=100.0), 0)
    assert (report.verdict, report.reason) == (Verdict.UNDECIDED, "numeric")
    assert report.pieces < 1000


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_numbers_that_are_not_finite_are_never_decided(value):
    graph = mlp(np.random.default_rng(0), 3, 9, 3)
    for label in range(3):
        report = certify(graph, line([0.0, 1.0, 2.0], [value, 0.0, -value]), label, partition=True)
        assert (report.verdict, report.reason) == (Verdict.UNDECIDED, "non-finite")
        assert (report.robust_mass.lower, report.robust_mass.upper) == (0.0, 1.0)
        assert report.partition == ()
        assert np.isfinite([report.min_margin, report.radius]).all()


@pytest.mark.parametrize("value", [1e308, 1e154, -1e300])
def test_what_overflows_is_never_decided_wrongly(value):
    graph = mlp(np.random.default_rng(0), 3, 9, 3)
    segment = line([0.0, 1.0, 2.0], [value, 0.0, -value])
    truth = exact_curve(graph, segment)
    for label in range(3):
        report, lowest = certify(graph, segment, label), truth.margins(label).min()
        assert report.verdict is not Verdict.CERTIFIED or lowest > 0
        assert report.verdict is not Verdict.FALSIFIED or lowest < 0
        mass = truth.robust_mass(label)
        assert Fraction(report.robust_mass.lower) <= mass <= Fraction(report.robust_mass.upper)


def test_a_spent_deadline_leaves_what_is_decided():
    rng = np.random.default_rng(0)
    graph = mlp(rng, 10, 60, 60, 60, 3)
    segment = line(*rng.standard_normal((2, 10)))
    whole, mass = certify(graph, segment, 0), [(-1.0, 2.0)]
    for rounds in (0, 1, 2, 4, 8, 100000):
        ticks = itertools.count()
        budget = Budget(deadline=rounds, block_bytes=2**13, clock=lambda ticks=ticks: next(ticks))
        report = certify(graph, segment, 0, budget=budget)
        assert report.robust_mass.lower <= whole.robust_mass.upper
        assert report.robust_mass.upper >= whole.robust_mass.lower
        assert report.robust_mass.lower >= mass[-1][0]
        assert report.robust_mass.upper <= mass[-1][1]
        mass.append((report.robust_mass.lower, report.robust_mass.upper))
        if report.verdict is Verdict.UNDECIDED:
            assert report.reason == "budget"
    assert mass[1] == (0.0, 1.0)
    assert report.verdict is whole.verdict


def test_too_few_rows_in_the_budget_are_never_certified():
    rng = np.random.default_rng(0)
    graph = mlp(rng, 10, 60, 60, 60, 3)
    budget = Budget(pieces=5, block_bytes=2**13)
    report = certify(graph, random_segment(rng, (10,)), 0, budget=budget)
    assert 5 <= report.pieces < 10
    assert report.verdict is not Verdict.CERTIFIED
    assert report.robust_mass.upper - report.robust_mass.lower > 0.1


def test_both_analyses_stop_at_the_gap_after_a_violation():
    rng = np.random.default_rng(0)
    graph = mlp(rng, 10, 60, 60, 60, 3)
    segment = line(*rng.standard_normal((2, 10)) * 20)
    fine = certify(graph, segment, 1, gap=1e-9)
    early = certify(graph, segment, 1, analysis=Analysis.QUANTITATIVE, gap=0.5)
    assert fine.verdict is early.verdict is Verdict.FALSIFIED
    assert early.pieces < fine.pieces
    assert fine.robust_mass.upper - fine.robust_mass.lower <= 1e-9
    assert early.robust_mass.upper - early.robust_mass.lower <= 0.5


@pytest.mark.parametrize("gap", [0.2, 0.05, 0.01])
@pytest.mark.parametrize("seed", range(4))
def test_the_gap_is_kept_whatever_the_size_of_the_rounds(seed, gap):
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 10, 60, 60, 60, 3)
    segment, budget = random_segment(rng, (10,)), Budget(block_bytes=1)
    for label in range(3):
        report = certify(graph, segment, label, analysis=Analysis.QUANTITATIVE, gap=gap, budget=budget)
        assert report.robust_mass.upper - report.robust_mass.lower <= gap


@pytest.mark.parametrize("seed", range(8))
def test_dense_sampling_never_contradicts(seed):
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 12, 40, 40, 4)
    segment = random_segment(rng, (12,))
    first = execute(graph, torch.from_numpy(segment.start)[None])
    label = int(first.argmax())
    report = certify(graph, segment, label)
    t = np.sort(rng.random(10_000))
    points = torch.from_numpy(segment.start + (segment.stop - segment.start) * t[:, None])
    winners = execute(graph, points).numpy().argmax(axis=1)
    assert abs((winners == label).mean() - report.robust_mass.lower) < 0.03
    assert (winners[t <= report.certified_to] == label).all()


@pytest.mark.parametrize("seed", range(6))
def test_swapping_the_ends_mirrors_the_answer(seed):
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 6, 25, 25, 4)
    segment = random_segment(rng, (6,))
    back = Segment(segment.stop, segment.start, segment.radius)
    there, again = (certify(graph, path, 1, gap=1e-6) for path in (segment, back))
    assert there.verdict is again.verdict
    assert there.robust_mass.lower == pytest.approx(again.robust_mass.lower, abs=1e-6)


@pytest.mark.parametrize(
    ("segment", "label", "margin"),
    [
        (line([0.0, 0.0], [1.0, 1.0]), 0, 0.0),
        (scalar_line(), 3, 0.0),
        (scalar_line(), -1, 0.0),
        (scalar_line(), 0, -0.5),
        (scalar_line(), 0, float("nan")),
    ],
)
def test_questions_that_make_no_sense_are_refused(segment, label, margin):
    with pytest.raises(InvalidSpec):
        certify(three_lines(), segment, label, margin=margin)
