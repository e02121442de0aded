from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.errors import InvalidSpec
from glocert.graph.ir import Graph
from glocert.graph.run import run as execute
from glocert.paths.segment import Segment
from glocert.report import SegmentReport
from glocert.segments import certify, prepare, trace
from glocert.spec import Verdict
from tests.glocert.segments.networks import Draft, Wild, line, mlp, random_segment, scalar_line
from tests.glocert.segments.rational import ExactCurve, exact_curve

F32 = np.float32


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def assert_true(report: SegmentReport, truth: ExactCurve, label: int, margin: float = 0.0) -> None:
    """Compare every number of a report with exact arithmetic."""
    margins = truth.margins(label) - Fraction(margin)
    lowest = margins.min()
    expected = Verdict.CERTIFIED if lowest > 0 else Verdict.FALSIFIED if lowest < 0 else Verdict.UNDECIDED
    if report.verdict is not expected:
        assert report.verdict is Verdict.UNDECIDED
        assert report.reason in {"tie", "numeric"}
        assert abs(lowest) <= 2 * Fraction(report.radius)
    assert abs(Fraction(report.min_margin) - lowest) <= Fraction(report.radius)
    if margin == 0:
        assert (
            Fraction(report.robust_mass.lower)
            <= truth.robust_mass(label)
            <= Fraction(report.robust_mass.upper)
        )
    reached = [t for t in truth.t if t <= report.certified_to] + [Fraction(max(report.certified_to, 0.0))]
    if report.certified_to >= 0:
        assert (exact_margins(truth, sorted(reached), label) > margin).all()
    assert all((exact_margins(truth, [Fraction(t)], label) < margin).all() for t in report.witnesses)
    assert bool(report.witnesses) == (report.verdict is Verdict.FALSIFIED)


def exact_margins(truth: ExactCurve, where: list[Fraction], label: int):
    scores = truth.at(where)
    return (scores[:, label, None] - np.delete(scores, label, axis=1)).min(axis=1)


@settings(max_examples=40)
@given(st.integers(0, 10**9), st.booleans(), st.sampled_from([0.0, 0.25]))
def test_reports_agree_with_exact_arithmetic(seed, whole, margin):
    rng = np.random.default_rng(seed)
    graph = Wild(rng, whole).build(int(rng.integers(1, 4)))
    segment = random_segment(rng, graph.input_shape, whole)
    truth, program = exact_curve(graph, segment), prepare(graph)
    for label in range(graph.output_shape[0]):
        assert_true(certify(program, segment, label, margin=margin), truth, label, margin)


@pytest.mark.parametrize("seed", range(25))
def test_whole_number_networks_with_ties_agree_with_exact_arithmetic(seed):
    rng = np.random.default_rng([11, seed])
    graph = Wild(rng, whole=True).build(2)
    segment = random_segment(rng, graph.input_shape, whole=True)
    truth = exact_curve(graph, segment)
    for label in range(graph.output_shape[0]):
        assert_true(certify(graph, segment, label), truth, label)


def three_lines() -> Graph:
    """Scores 1 - 2t, 0.2 and 2t - 1."""
    draft = Draft(1)
    return draft.graph(draft.gemm("x", np.array([[-2.0], [0.0], [2.0]]), np.array([1.0, 0.2, -1.0])))


def test_a_third_class_wins_in_the_middle_of_a_piece():
    report = certify(three_lines(), scalar_line(), 0, partition=True)
    assert [part.label for part in report.partition] == [0, 1, 2]
    ends = [report.partition[0].start, *(part.stop for part in report.partition)]
    np.testing.assert_allclose(ends, [0, 0.4, 0.6, 1], rtol=1e-15)
    assert report.pieces == 1


def test_numbers_of_a_falsified_segment():
    report = certify(three_lines(), scalar_line(), 0)
    assert report.verdict is Verdict.FALSIFIED
    assert report.min_margin == -2.0
    assert report.min_margin_at == 1.0
    assert report.witnesses[0] == 1.0
    assert report.witnesses[1] == pytest.approx(0.7)
    assert report.robust_mass.lower <= Fraction(2, 5) <= report.robust_mass.upper
    assert report.robust_mass.upper - report.robust_mass.lower < 1e-13
    assert 0.4 - 1e-13 < report.certified_to < 0.4
    assert report.reason == report.next_step == ""


def test_a_class_that_wins_only_inside_a_piece_is_certified_nowhere_else():
    report = certify(three_lines(), scalar_line(), 1)
    assert report.certified_to == -1.0
    assert report.robust_mass.lower == pytest.approx(0.2)
    assert {0.0, 1.0} >= set(report.witnesses[:1])


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


def test_equal_scores_everywhere_are_a_tie():
    draft = Draft(2)
    graph = draft.graph(draft.gemm("x", np.ones((3, 2))))
    report = certify(graph, line([0.0, 0.0], [1.0, 1.0]), 2)
    assert (report.verdict, report.reason, report.certified_to) == (Verdict.UNDECIDED, "tie", -1.0)
    assert (report.robust_mass.lower, report.robust_mass.upper) == (0.0, 1.0)


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
    assert abs(report.min_margin_at - centre) < width / 100
    assert 1 - report.robust_mass.upper == pytest.approx(width / 2, rel=1e-3)
    assert certify(spike(centre, width, height=0.49), scalar_line(), 0).verdict is Verdict.CERTIFIED


def test_margins_are_required_of_every_class():
    draft = Draft(1)
    graph = draft.graph(draft.gemm("x", np.zeros((3, 1)), np.array([1.0, 0.5, 0.25])))
    assert certify(graph, scalar_line(), 0, margin=0.4).verdict is Verdict.CERTIFIED
    assert certify(graph, scalar_line(), 0, margin=0.5).reason == "tie"
    assert certify(graph, scalar_line(), 0, margin=0.6).verdict is Verdict.FALSIFIED


@pytest.mark.parametrize("seed", range(8))
def test_dense_sampling_never_contradicts(seed):
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 12, 40, 40, 4)
    segment = random_segment(rng, (12,))
    label = int(trace(graph, segment).scores[0].argmax())
    report = certify(graph, segment, label, partition=True)
    t = np.sort(rng.random(10_000))
    scores = execute(
        graph, torch.from_numpy(segment.start + (segment.stop - segment.start) * t[:, None])
    ).numpy()
    starts = np.array([part.start for part in report.partition])
    claimed = np.array([part.label for part in report.partition])[
        np.searchsorted(starts, t, side="right") - 1
    ]
    gap = np.take_along_axis(scores, claimed[:, None], 1)[:, 0] - scores.max(axis=1)
    assert (gap >= -1e-9).all()
    frequency = (scores.argmax(axis=1) == label).mean()
    assert abs(frequency - report.robust_mass.lower) < 0.03
    assert (scores.argmax(axis=1)[t <= report.certified_to] == label).all()


@pytest.mark.parametrize("seed", range(8))
def test_just_behind_the_certified_reach_the_label_changes(seed):
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 8, 30, 30, 3)
    segment = random_segment(rng, (8,))
    label = int(trace(graph, segment).scores[0].argmax())
    report = certify(graph, segment, label)
    if report.verdict is Verdict.CERTIFIED:
        assert report.certified_to == 1.0
        return
    behind = report.certified_to + 1e-6
    scores = execute(graph, torch.from_numpy(segment.start + (segment.stop - segment.start) * behind)[None])
    assert int(scores.argmax()) != label


@pytest.mark.parametrize("seed", range(6))
def test_swapping_the_ends_mirrors_the_answer(seed):
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 6, 25, 25, 4)
    segment = random_segment(rng, (6,))
    back = Segment(segment.stop, segment.start, segment.radius)
    there, again = (certify(graph, path, 1, partition=True) for path in (segment, back))
    assert there.verdict is again.verdict
    assert there.robust_mass.lower == pytest.approx(again.robust_mass.lower, abs=1e-9)
    assert [part.label for part in there.partition] == [part.label for part in again.partition][::-1]
    starts = [part.start for part in there.partition]
    np.testing.assert_allclose(starts, [1 - part.stop for part in again.partition][::-1], atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_two_halves_add_up_to_the_whole(seed):
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 6, 25, 25, 4)
    segment = random_segment(rng, (6,))
    middle = (segment.start + segment.stop) / 2
    label = int(trace(graph, segment).scores[0].argmax())
    reports = [
        certify(graph, line(a, b), label) for a, b in ((segment.start, middle), (middle, segment.stop))
    ]
    whole = certify(graph, segment, label)
    assert sum(part.robust_mass.lower for part in reports) / 2 == pytest.approx(
        whole.robust_mass.lower, abs=1e-9
    )
    both = all(part.verdict is Verdict.CERTIFIED for part in reports)
    assert both == (whole.verdict is Verdict.CERTIFIED)


@pytest.mark.parametrize("seed", range(6))
def test_more_vertices_change_nothing(seed):
    """In front of the network x becomes relu(x) - relu(-x), which makes vertices and changes no value."""
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal(shape) for shape in ((20, 6), (20, 20), (3, 20))]

    def network(split: bool) -> Graph:
        draft, x = Draft(6), "x"
        if split:
            negative = draft.same("Mul", "x", np.array([-1.0]))
            x = draft.node("Sub", [draft.relu("x"), draft.relu(negative)], [6])
        for weight in weights[:-1]:
            x = draft.relu(draft.gemm(x, weight))
        return draft.graph(draft.gemm(x, weights[-1]))

    segment = random_segment(rng, (6,))
    plain, split = (certify(network(flag), segment, 0) for flag in (False, True))
    assert split.pieces > plain.pieces
    assert plain.verdict is split.verdict
    for side in ("lower", "upper"):
        assert getattr(plain.robust_mass, side) == pytest.approx(getattr(split.robust_mass, side), abs=1e-10)


def test_a_generator_and_a_classifier_in_one_network():
    """Following a latent segment through f(G(z)) is following G first and every piece through f."""
    rng = np.random.default_rng(4)
    generator, classifier = mlp(rng, 3, 10, 8), mlp(rng, 8, 15, 3)
    draft = Draft(3)
    x = "x"
    for graph in (generator, classifier):
        for node in graph.nodes:
            arrays = [graph.parameters[name] for name in node.inputs if name in graph.parameters]
            x = draft.gemm(x, *arrays) if node.operator == "Gemm" else draft.relu(x)
    segment = random_segment(rng, (3,))
    together = trace(draft.graph(x), segment)
    images = trace(generator, segment)
    parts = [
        (a, b, trace(classifier, line(images.scores[k], images.scores[k + 1])))
        for k, (a, b) in enumerate(itertools.pairwise(images.t))
    ]
    t = np.concatenate([[0.0], *(a + (b - a) * part.t[1:] for a, b, part in parts)])
    assert len(t) == len(together.t)
    np.testing.assert_allclose(t, together.t, atol=1e-12)
    np.testing.assert_allclose(
        np.concatenate([p.scores[1:] for *_, p in parts]), together.scores[1:], atol=1e-9
    )


@pytest.mark.parametrize("seed", range(5))
def test_scaling_shifting_and_permuting_the_scores(seed):
    rng = np.random.default_rng(seed)
    weight, last = rng.standard_normal((20, 6)), rng.standard_normal((4, 20))
    order = rng.permutation(4)

    def network(matrix, offset=0.0) -> Graph:
        draft = Draft(6)
        return draft.graph(draft.gemm(draft.relu(draft.gemm("x", weight)), matrix, np.full(4, offset)))

    segment = random_segment(rng, (6,))
    plain = certify(network(last), segment, 2, partition=True)
    scaled = certify(network(last * 4), segment, 2, partition=True)
    shifted = certify(network(last, 8.0), segment, 2, partition=True)
    permuted = certify(network(last[order]), segment, int(np.argsort(order)[2]), partition=True)
    for other in (scaled, shifted, permuted):
        assert other.verdict is plain.verdict
        assert other.robust_mass.lower == pytest.approx(plain.robust_mass.lower, abs=1e-10)
    assert [part.label for part in scaled.partition] == [part.label for part in plain.partition]
    assert [order[part.label] for part in permuted.partition] == [part.label for part in plain.partition]


def test_a_segment_without_length_is_decided_by_the_margin():
    draft = Draft(1)
    graph = draft.graph(draft.gemm("x", np.zeros((2, 1)), np.array([1.0, 0.0])))
    point = line([0.5], [0.5])
    assert certify(graph, point, 0).verdict is Verdict.CERTIFIED
    assert certify(graph, point, 0).pieces == 1
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


def test_a_radius_that_is_too_large_is_called_numeric():
    graph = mlp(np.random.default_rng(0), 5, 20, 3)
    report = certify(graph, line(np.zeros(5), np.ones(5), radius=100.0), 0)
    assert (report.verdict, report.reason) == (Verdict.UNDECIDED, "numeric")


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e308])
def test_numbers_that_are_not_finite_are_never_decided(value):
    graph = mlp(np.random.default_rng(0), 3, 9, 3)
    for label in range(3):
        report = certify(graph, line([0.0, 1.0, 2.0], [value, 0.0, -value]), label, partition=True)
        assert (report.verdict, report.reason) == (Verdict.UNDECIDED, "non-finite")
        assert (report.robust_mass.lower, report.robust_mass.upper) == (0.0, 1.0)
        assert np.isfinite([report.min_margin, report.radius]).all()


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


def test_the_same_question_has_the_same_answer():
    rng = np.random.default_rng(0)
    graph = mlp(rng, 10, 40, 40, 3)
    segment = random_segment(rng, (10,))
    assert certify(graph, segment, 0, partition=True) == certify(graph, segment, 0, partition=True)
