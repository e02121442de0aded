from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from glocert.certification.case import load
from glocert.certification.unit import run
from glocert.errors import InvalidSpec
from glocert.graph.ir import Graph
from glocert.paths.request import path
from glocert.spec import MUTATION_UNITS, Analysis, Arithmetic, Method, Mutation, SegmentSpec, Verdict
from tests.glocert.certification.conftest import DIGITS

BRIGHTER = SegmentSpec(Mutation("brightness", 0.0, 0.5), partition=True)


@pytest.fixture(scope="module")
def rows(digits, tmp_path_factory):
    out = tmp_path_factory.mktemp("unit")
    return out, list(run(digits["onnx"], BRIGHTER, range(60), out))


def test_the_sample_job_ends_with_all_kinds_of_verdicts(rows):
    _, reports = rows
    assert [report.index for report in reports] == list(range(60))
    verdicts = Counter(report.verdict for report in reports)
    assert verdicts[Verdict.CERTIFIED] >= 30
    assert verdicts[Verdict.FALSIFIED] >= 5
    assert verdicts[Verdict.SKIPPED] == sum(report.label != report.predicted for report in reports) >= 1
    assert verdicts.total() == 60
    assert verdicts[Verdict.UNDECIDED] == 0


def test_rows_say_what_the_api_promises(rows):
    for report in rows[1]:
        row = report.to_json()
        if report.verdict is Verdict.SKIPPED:
            assert row["reason"] == "misclassified"
            assert "certified_to" not in row
            continue
        assert row["certified_to"]["unit"] == "intensity"
        assert row["certified_to"]["value"] == pytest.approx(0.5 * row["certified_to"]["t"])
        ends = [part["from"] for part in row["partition"]] + [1.0]
        assert ends[0] == 0.0
        assert ends == sorted(ends)
        certified = report.verdict is Verdict.CERTIFIED
        assert (row["robust_mass"] == {"lower": 1.0, "upper": 1.0, "law": "uniform"}) == certified
        assert ("counterexample" in row) != certified


def test_sampling_the_upload_itself_never_contradicts_a_row(rows):
    session = onnxruntime.InferenceSession(DIGITS / "digits.onnx")
    images = np.load(DIGITS / "digits.npz")["images"].astype(np.float32)[:, None] / np.float32(255)
    rng = np.random.default_rng(1)
    for report in rows[1]:
        if report.segment is None:
            continue
        ratios = np.sort(rng.uniform(size=500))
        added = ratios[:, None, None, None] * 0.5
        batch = np.clip(images[report.index] + added, 0, 1).astype(np.float32)
        found = session.run(None, {session.get_inputs()[0].name: batch})[0].argmax(axis=1)
        assert (found[ratios <= report.segment.certified_to - 1e-6] == report.label).all()
        for part in report.segment.partition:
            inside = (ratios > part.start + 1e-5) & (ratios < part.stop - 1e-5)
            assert (found[inside] == part.label).all()


def test_counterexamples_fool_the_upload(rows):
    session = onnxruntime.InferenceSession(DIGITS / "digits.onnx")
    images = np.load(DIGITS / "digits.npz")["images"].astype(np.float32)[:, None] / np.float32(255)
    for report in rows[1]:
        if report.counterexample is None:
            continue
        found = report.counterexample
        image = np.clip(images[report.index].astype(np.float64) + 0.5 * found.t, 0, 1).astype(np.float32)
        scores = session.run(None, {session.get_inputs()[0].name: image[None]})[0]
        assert scores.argmax() == found.predicted != report.label
        assert found.value == pytest.approx(0.5 * found.t)
        assert found.confirmed_in == ("torch", "onnxruntime")


def test_about_executions_the_verdicts_are_the_same_or_open(rows, digits, tmp_path):
    executed = list(
        run(digits["onnx"], replace(BRIGHTER, arithmetic=Arithmetic.FLOAT32), range(60), tmp_path)
    )
    for real, found in zip(rows[1], executed, strict=True):
        if found.verdict is Verdict.UNDECIDED:
            assert (found.reason, "arithmetic real" in found.next_step) == ("numeric", True)
        else:
            assert found.verdict is real.verdict
        if found.segment is not None:
            assert found.segment.radius > 1e5 * real.segment.radius
            assert found.segment.certified_to <= real.segment.certified_to
            assert found.segment.robust_mass.upper >= real.segment.robust_mass.upper
    assert sum(found.verdict is Verdict.CERTIFIED for found in executed) >= 30


def test_a_margin_below_float32_is_certified_for_reals_only(make_case, affine, tmp_path):
    """Both scores are x plus a constant; 1e-9 apart, float32 makes them equal."""
    graph = affine([[1.0, 0.0], [0.0, 1.0]], [1e-9, 0.0])
    case = make_case(graph, np.full((1, 2), 0.5, np.float32), [0])
    spec = SegmentSpec(Mutation("brightness", 0.0, 0.3))
    (real,) = run(case, spec, [0], tmp_path)
    (executed,) = run(case, replace(spec, arithmetic=Arithmetic.FLOAT32), [0], tmp_path)
    assert real.verdict is Verdict.CERTIFIED
    assert (executed.verdict, executed.reason) == (Verdict.UNDECIDED, "numeric")


def test_every_named_picture_is_there_and_can_be_opened(rows):
    out, reports = rows
    for report in reports:
        expected = {
            Verdict.SKIPPED: (),
            Verdict.CERTIFIED: ("path.png",),
            Verdict.FALSIFIED: ("counterexample.png", "path.png"),
        }[report.verdict]
        assert report.files == expected
        for name in report.files:
            with Image.open(out / str(report.index) / name) as picture:
                assert picture.format == "PNG"
                assert picture.width > 300


def test_both_formats_of_a_network_give_the_same_verdicts(rows, digits, tmp_path):
    def essence(report):
        part = report.segment
        mass = None if part is None else pytest.approx(part.robust_mass.lower, abs=1e-9)
        return report.verdict, report.predicted, mass

    other = list(run(digits["torchscript"], BRIGHTER, range(60), tmp_path))
    assert [essence(report) for report in other] == [essence(report) for report in rows[1]]


def assert_same(report, other):
    """Whatever is computed together shares its radius, so ends may differ by that; nothing else may."""
    mine, theirs = report.segment, other.segment
    assert replace(report, seconds=0, segment=None, certified_value=0) == replace(
        other, seconds=0, segment=None, certified_value=0
    )
    assert (mine is None) == (theirs is None)
    if mine is None:
        return
    assert (mine.verdict, mine.pieces, mine.family) == (theirs.verdict, theirs.pieces, theirs.family)
    assert mine.certified_to == pytest.approx(theirs.certified_to, abs=1e-9)
    assert mine.robust_mass.upper == pytest.approx(theirs.robust_mass.upper, abs=1e-9)
    assert [part.label for part in mine.partition] == [part.label for part in theirs.partition]


def test_any_order_and_any_cut_into_units_give_the_same_rows(rows, digits, tmp_path):
    picked = [11, 3, 42]
    for report in run(digits["onnx"], BRIGHTER, picked, tmp_path):
        assert_same(report, rows[1][report.index])


def test_small_blocks_of_memory_change_no_verdict(rows, digits, tmp_path):
    for report in run(digits["onnx"], BRIGHTER, range(8), tmp_path, block_bytes=2**16):
        whole = rows[1][report.index]
        assert report.verdict is whole.verdict
        assert report.certified_value == pytest.approx(whole.certified_value, abs=1e-9)


@pytest.mark.parametrize("kind", ["contrast", "fog", "haze", "noise", "blend", "chord"])
def test_every_mutation_runs_on_the_sample(digits, tmp_path, kind):
    options = {"blend": {"overlay": {"level": 0.5}}, "chord": {"item": 3}}.get(kind, {"seed": 1})
    start = 1.0 if kind == "contrast" else 0.0
    spec = SegmentSpec(Mutation(kind, start, 0.3, options), Analysis.QUANTITATIVE)
    reports = list(run(digits["onnx"], spec, range(4), tmp_path))
    assert {report.verdict for report in reports} <= {Verdict.CERTIFIED, Verdict.FALSIFIED}
    for report in reports:
        assert report.segment is not None
        assert report.segment.robust_mass.upper - report.segment.robust_mass.lower <= 0.001


GEOMETRIC = [
    {"type": "rotation", "from": -20.0, "to": 20.0},
    {"type": "translation", "x": 1.0, "y": -0.5},
    {"type": "scaling", "from": 1.0, "to": 0.8},
    {"type": "shear", "from": 0.0, "to": 0.3},
    {"type": "blur", "sigma": 1.0},
    {
        "type": "composite",
        "steps": [{"type": "rotation", "from": 0.0, "to": 10.0}, {"type": "blur", "sigma": 0.7}],
    },
]


@pytest.mark.parametrize("request_", GEOMETRIC, ids=lambda request: request["type"])
def test_true_motions_run_on_the_sample_and_sampling_never_contradicts_them(digits, tmp_path, request_):
    mutation = Mutation.from_json(request_)
    spec = SegmentSpec(mutation, Analysis.QUANTITATIVE, gap=0.01)
    reports = list(run(digits["onnx"], spec, range(5), tmp_path))
    subject = load(digits["onnx"], range(5))
    session = onnxruntime.InferenceSession(DIGITS / "digits.onnx")
    for report in reports:
        if report.verdict is Verdict.SKIPPED:
            continue
        assert report.verdict in {Verdict.CERTIFIED, Verdict.FALSIFIED}
        assert report.segment.family == "enclosure"
        reached = report.to_json()["certified_to"]
        assert reached is None or reached["unit"] == MUTATION_UNITS[mutation.type]
        moved = path(mutation, subject.item(report.index), items=subject.items)
        ratios = np.linspace(0, 1, 300)
        batch = np.stack([np.clip(moved.at([t]), 0, 1) for t in ratios]).astype(np.float32)
        right = session.run(None, {session.get_inputs()[0].name: batch})[0].argmax(axis=1) == report.label
        assert right[ratios <= report.segment.certified_to - 1e-6].all()
        assert (
            report.segment.robust_mass.lower - 0.01 <= right.mean() <= report.segment.robust_mass.upper + 0.01
        )
        assert {"path.png"} <= set(report.files)


def test_unlabelled_data_are_certified_against_the_networks_own_label(rows, digits, tmp_path):
    unlabelled = replace(digits["onnx"], labels=None)
    for report in run(unlabelled, BRIGHTER, range(20), tmp_path):
        assert report.label == report.predicted == rows[1][report.index].predicted
        assert report.verdict is not Verdict.SKIPPED


def test_what_is_certified_to_is_rounded_towards_the_start(make_case, affine, tmp_path):
    case = make_case(affine([[0.0], [3.0]], [1.0, 0.0]), np.zeros((1, 1), np.float32), [0])
    (report,) = run(case, SegmentSpec(Mutation("brightness", 0.0, 0.7)), [0], tmp_path)
    assert report.segment is not None
    assert report.verdict is Verdict.FALSIFIED
    reached = Fraction(report.segment.certified_to) * Fraction(0.7)
    assert Fraction(report.certified_value) <= reached < Fraction(1, 3)
    assert report.certified_value == pytest.approx(1 / 3, abs=1e-9)
    assert report.files == ()


def test_items_outside_the_domain_are_skipped_not_clamped(make_case, affine, tmp_path):
    inputs = np.array([[0.5], [1.5]], np.float32)
    case = make_case(affine([[1.0], [-1.0]], [0.0, 0.0]), inputs, [0, 0])
    fine, outside = run(case, SegmentSpec(Mutation("brightness", 0.0, 0.1)), [0, 1], tmp_path)
    assert fine.verdict is Verdict.CERTIFIED
    assert (outside.verdict, outside.reason) == (Verdict.SKIPPED, "outside-domain")
    assert "preprocessing.domain" in outside.next_step


def test_scores_that_are_not_finite_are_never_certified(make_case, affine, tmp_path):
    case = make_case(affine([[1e300], [-1e300]], [0.0, 0.0]), np.ones((1, 1), np.float32), [0])
    (report,) = run(case, SegmentSpec(Mutation("brightness", 0.0, 0.1)), [0], tmp_path)
    assert (report.verdict, report.reason) == (Verdict.SKIPPED, "non-finite")


def test_a_violation_that_float32_does_not_show_is_no_counterexample(make_case, affine, tmp_path):
    # In real numbers class 1 wins as soon as b > 0; 0.5 + 1e-9 is 0.5 in float32, where class 0 wins by tie.
    case = make_case(affine([[0.0], [1.0]], [0.5, 0.0]), np.full((1, 1), 0.5, np.float32), [0])
    (report,) = run(case, SegmentSpec(Mutation("brightness", -1e-9, 1e-9)), [0], tmp_path)
    assert report.segment is not None
    assert (report.verdict, report.reason) == (Verdict.UNDECIDED, "numeric")
    assert report.segment.verdict is Verdict.UNDECIDED
    assert report.counterexample is None
    assert report.next_step
    assert 0.49 < report.segment.robust_mass.upper < 0.51


def test_a_required_margin_turns_narrow_wins_into_counterexamples(make_case, affine, tmp_path):
    case = make_case(affine([[1.0], [0.0]], [0.0, 0.0]), np.full((1, 1), 0.9, np.float32), [0])
    darker = Mutation("brightness", 0.0, -0.5)
    (plain,) = run(case, SegmentSpec(darker), [0], tmp_path)
    (narrow,) = run(case, SegmentSpec(darker, margin=0.6), [0], tmp_path)
    assert plain.verdict is Verdict.CERTIFIED
    assert narrow.verdict is Verdict.FALSIFIED
    assert narrow.counterexample is not None
    assert narrow.counterexample.predicted == 0


def test_no_time_leaves_inputs_undecided(digits, tmp_path):
    spec = SegmentSpec(Mutation("brightness", 0.0, 0.5), seconds_per_input=0.0)
    (report,) = run(digits["onnx"], spec, [0], tmp_path)
    assert (report.verdict, report.reason) == (Verdict.UNDECIDED, "budget")


def test_reports_come_one_by_one(digits, tmp_path):
    stream = run(digits["onnx"], BRIGHTER, [0, 1], tmp_path)
    assert next(stream).index == 0
    assert not (tmp_path / "1").exists()


def test_requests_that_do_not_fit(make_case, affine, digits, tmp_path):
    case = make_case(affine([[1.0], [0.0]], [0.0, 0.0]), np.zeros((2, 1), np.float32), [0, 2])
    with pytest.raises(InvalidSpec, match=r"label 2 is out of range 0\.\.1 \(row 1\)"):
        list(run(case, SegmentSpec(Mutation("brightness", 0.0, 0.1)), [1], tmp_path))
    with pytest.raises(InvalidSpec, match="input 60 does not exist: the data set has 60 items"):
        list(run(digits["onnx"], BRIGHTER, [60], tmp_path))
    network = Graph.from_bytes(digits["onnx"].graph.read_bytes())
    wrong = make_case(network, np.zeros((2, 8, 7), np.uint8), None)
    with pytest.raises(InvalidSpec, match=r"\(1, 8, 7\) do not fit the model's input of shape \(1, 8, 8\)"):
        list(run(wrong, BRIGHTER, [0], tmp_path))


def test_an_incomplete_analysis_certifies_or_leaves_open(rows, digits, tmp_path):
    """What it certifies the complete one certifies, and rows say what they are."""
    spec = SegmentSpec(BRIGHTER.mutation, Analysis.INCOMPLETE, method=Method.ZONOTOPE, parts=4)
    verdicts = Counter()
    for report in run(digits["onnx"], spec, range(20), tmp_path):
        complete, row = rows[1][report.index], report.to_json()
        verdicts[report.verdict] += 1
        if report.verdict is Verdict.SKIPPED:
            continue
        assert (row["analysis"], row["method"], row["pieces"]) == ("incomplete", "zonotope", 4)
        assert row["robust_mass"]["upper"] == 1.0
        assert row["min_margin"]["value"] <= complete.segment.min_margin + 1e-9
        if report.verdict is Verdict.CERTIFIED:
            assert complete.verdict is Verdict.CERTIFIED
        else:
            assert (report.verdict, row["reason"]) == (Verdict.UNDECIDED, "incomplete")
    assert verdicts[Verdict.CERTIFIED] >= 5
