"""Incomplete analyses: A31 and A32 of the specification."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.budget import Budget
from glocert.engine import Question, certify, certify_many, prepare
from glocert.graph.ir import Graph
from glocert.report import SegmentReport
from glocert.spec import Analysis, Method, Verdict
from tests.glocert.segments.networks import Draft, Wild, line, mlp, random_segment, scalar_line
from tests.glocert.segments.rational import exact_curve


def bounded(graph: Graph, path, label: int, method=Method.CROWN, parts: int = 1, **options) -> SegmentReport:
    question = Question(
        path, label, analysis=Analysis.INCOMPLETE, method=Method(method), parts=parts, **options
    )
    return next(certify_many(prepare(graph), [question])).report


def three_lines() -> Graph:
    """Scores 1 - 2t, 0.2 and 2t - 1 after a ReLU that is never off: one layer more than an affine map."""
    draft = Draft(1)
    shifted = draft.gemm("x", np.array([[-2.0], [0.0], [2.0]]), np.array([6.0, 5.2, 4.0]))
    return draft.graph(draft.gemm(draft.relu(shifted), np.eye(3), np.array([-5.0, -5.0, -5.0])))


@pytest.mark.parametrize("method", list(Method))
@settings(max_examples=15)
@given(st.integers(0, 10**9))
def test_what_is_proven_is_true(method, seed):
    rng = np.random.default_rng(seed)
    graph = Wild(rng).build(int(rng.integers(1, 4)))
    path, parts = random_segment(rng, graph.input_shape), int(rng.choice([1, 1, 5]))
    label = int(rng.integers(graph.output_shape[0]))
    report = bounded(graph, path, label, method, parts)
    assert report.verdict in {Verdict.CERTIFIED, Verdict.UNDECIDED}
    assert report.pieces == parts
    curve = exact_curve(graph, path)
    assert report.robust_mass.lower <= float(curve.robust_mass(label)) <= report.robust_mass.upper == 1.0
    assert report.min_margin <= float(min(curve.margins(label)))
    if report.verdict is Verdict.CERTIFIED:
        assert min(curve.margins(label)) > 0


@settings(max_examples=25)
@given(st.integers(0, 10**9))
def test_each_method_is_at_least_as_tight_as_the_one_before(seed):
    rng = np.random.default_rng(seed)
    graph = Wild(rng).build(int(rng.integers(1, 4)))
    path = random_segment(rng, graph.input_shape)
    lows = [bounded(graph, path, 0, method, 3).min_margin for method in Method]
    slack = 1e-9 * abs(lows[0]) + 1e-12
    assert lows[0] <= lows[1] + slack
    assert lows[1] <= lows[2] + slack


@pytest.mark.parametrize("method", [Method.ZONOTOPE, Method.CROWN])
def test_exact_on_affine_networks(method):
    draft, rng = Draft(3), np.random.default_rng(2)
    graph = draft.graph(draft.gemm("x", rng.standard_normal((3, 3)), rng.standard_normal(3)))
    path = random_segment(rng, (3,))
    label = int(exact_curve(graph, path).scores[0].argmax())
    report = bounded(graph, path, label, method)
    assert report.min_margin == pytest.approx(float(min(exact_curve(graph, path).margins(label))), abs=1e-12)


@settings(max_examples=10)
@given(st.integers(0, 10**9), st.sampled_from(list(Method)))
def test_certified_means_certified_exactly(seed, method):
    rng = np.random.default_rng(seed)
    graph, start = mlp(rng, 3, 8, 8, 3), rng.standard_normal(3)
    path = line(start, start + 0.1 * rng.standard_normal(3))
    label = int(exact_curve(graph, path).scores[0].argmax())
    if bounded(graph, path, label, method, 2).verdict is Verdict.CERTIFIED:
        assert certify(prepare(graph), path, label).verdict is Verdict.CERTIFIED


@pytest.mark.parametrize("method", list(Method))
def test_more_parts_converge_to_the_exact_answer(method):
    """The label 1 wins on (0.4, 0.6): what is proven grows to a fifth, and parts inside are certified."""
    graph, path = three_lines(), scalar_line()
    masses = [bounded(graph, path, 1, method, 2**k).robust_mass.lower for k in range(9)]
    assert masses == sorted(masses)
    assert masses[-1] == pytest.approx(0.2, abs=2 * 2**-8)
    inside = line([0.41], [0.59])
    assert bounded(graph, inside, 1, method, 64).verdict is Verdict.CERTIFIED
    assert certify(prepare(graph), inside, 1).verdict is Verdict.CERTIFIED
    assert bounded(graph, path, 1, method, 64).verdict is Verdict.UNDECIDED


def test_what_a_row_says():
    report = bounded(three_lines(), scalar_line(), 1, Method.INTERVAL)
    assert (report.method, report.reason) == ("interval", "incomplete")
    assert "says nothing about the network" in report.next_step
    assert report.witnesses == ()
    assert report.family == "enclosure"


def test_other_questions_are_answered_beside_it():
    program, path = prepare(three_lines()), scalar_line()
    questions = [Question(path, 1), Question(path, 1, analysis=Analysis.INCOMPLETE), Question(path, 0)]
    answers = {answer.position: answer.report for answer in certify_many(program, questions)}
    assert [answers[at].method for at in range(3)] == ["", "crown", ""]
    assert answers[0].verdict is Verdict.FALSIFIED


def test_parts_after_the_deadline_stay_open():
    moments = iter([0.0, 0.0, 0.0, *[10.0] * 9])
    budget = Budget(deadline=5.0, block_bytes=1, clock=lambda: next(moments))
    question = Question(line([0.45], [0.55]), 1, analysis=Analysis.INCOMPLETE, parts=4)
    report = next(certify_many(prepare(three_lines()), [question], budget)).report
    assert (report.verdict, report.reason) == (Verdict.UNDECIDED, "budget")
    assert report.pieces < 4


def test_scores_that_are_not_finite():
    draft = Draft(2)
    graph = draft.graph(draft.gemm("x", np.array([[np.inf, 0.0], [0.0, 1.0]])))
    for method in Method:
        report = bounded(graph, line([1.0, 1.0], [2.0, 2.0]), 0, method)
        assert (report.verdict, report.reason) == (Verdict.UNDECIDED, "non-finite")
        assert np.isfinite(report.min_margin)
        assert np.isfinite(report.radius)
