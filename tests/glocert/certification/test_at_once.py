"""Several mutations at once: rows against samples of the upload itself."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from glocert import boxes, pictures
from glocert.certification.case import load
from glocert.certification.unit import run
from glocert.graph.ir import Graph, Node
from glocert.graph.run import run as execute
from glocert.paths.pair import Fronts
from glocert.paths.request import path
from glocert.report import Interval
from glocert.spec import Analysis, Arithmetic, Band, Mutation, Preprocessing, SegmentSpec, TopK, Verdict
from tests.glocert.certification.conftest import DIGITS

TURN = {"type": "rotation", "from": 0.0, "to": 10.0}
LIGHT = {"type": "brightness", "from": 0.0, "to": 0.1}
STRETCH = {"type": "contrast", "from": 1.0, "to": 1.5, "about": 0.5}


def at_once(*mutations: dict[str, object]) -> Mutation:
    return Mutation.from_json({"type": "box", "mutations": list(mutations)})


SMALL = SegmentSpec(at_once(TURN, LIGHT))
LARGE = SegmentSpec(at_once(TURN | {"to": 40.0}, LIGHT | {"to": 0.5}), Analysis.QUANTITATIVE, gap=0.01)


@pytest.fixture(scope="module")
def small(digits, tmp_path_factory):
    out = tmp_path_factory.mktemp("small")
    return out, list(run(digits["onnx"], SMALL, range(8), out))


@pytest.fixture(scope="module")
def large(digits, tmp_path_factory):
    out = tmp_path_factory.mktemp("large")
    return out, list(run(digits["onnx"], LARGE, range(4), out))


def right_at(case, spec, report, t):
    """Whether onnxruntime gives the upload's label at points of the box."""
    subject = load(case, [report.index])
    moved = path(spec.mutation, subject.item(report.index), items=subject.items)
    session = onnxruntime.InferenceSession(DIGITS / "digits.onnx")
    batch = np.stack([np.clip(moved.at(point), 0, 1) for point in t.tolist()]).astype(np.float32)
    found = session.run(None, {session.get_inputs()[0].name: batch})[0].argmax(axis=1)
    return found == report.label


def assert_not_contradicted(case, spec, report, count=300):
    """Samples inside what is proven are right, and their share is within three deviations of the mass."""
    k, rng = report.segment.dimensions, np.random.default_rng(report.index)
    t = rng.uniform(size=(count, k))
    right, mass = right_at(case, spec, report, t), report.segment.robust_mass
    assert mass.lower - 1.5 / count**0.5 <= right.mean() <= mass.upper + 1.5 / count**0.5
    reach = max(report.segment.certified_to, 0.0)
    assert right_at(case, spec, report, t * reach).all()
    assert report.verdict is not Verdict.CERTIFIED or right.all()


def test_samples_of_the_box_never_contradict_a_row(digits, small, large):
    seen = set()
    for spec, (_, reports) in ((SMALL, small), (LARGE, large)):
        for report in reports:
            assert report.verdict is not Verdict.UNDECIDED
            if report.segment is not None:
                seen.add(report.verdict)
                assert report.segment.family == "enclosure"
                assert_not_contradicted(digits["onnx"], spec, report)
    assert seen == {Verdict.CERTIFIED, Verdict.FALSIFIED}


def test_counterexamples_fool_the_upload_at_the_parameters_that_rows_name(digits, large):
    checked = 0
    for report in large[1]:
        row = report.to_json()
        if report.counterexample is None:
            continue
        found = row["counterexample"]
        t = [one["t"] for one in found["parameters"]]
        assert not right_at(digits["onnx"], LARGE, report, np.array([t])).any()
        assert (found["t"], found["value"]) == (None, None)
        assert [(one["type"], one["unit"]) for one in found["parameters"]] == [
            ("rotation", "degrees"), ("brightness", "intensity"),
        ]  # fmt: skip
        assert [one["value"] for one in found["parameters"]] == pytest.approx([40 * t[0], 0.5 * t[1]])
        assert found["confirmed_in"] == ["torch", "onnxruntime"]
        checked += 1
    assert checked >= 2


def test_rows_are_json_and_say_where_the_proven_corner_ends(small):
    for report in small[1]:
        row = json.loads(json.dumps(report.to_json(), allow_nan=False))
        if report.verdict is Verdict.SKIPPED:
            continue
        assert not {"min_margin", "error_radius", "partition"} & row.keys()
        reached = row["certified_to"]
        assert (reached["unit"], reached["value"]) == ("share", reached["t"])
        assert [one["t"] for one in reached["parameters"]] == [reached["t"]] * 2
        assert [one["value"] for one in reached["parameters"]] == pytest.approx(
            [10 * reached["t"], 0.1 * reached["t"]]
        )


def test_the_map_is_painted_where_something_is_proven(small, large):
    for out, reports in (small, large):
        for report in reports:
            if report.segment is None:
                continue
            broken = report.verdict is Verdict.FALSIFIED
            assert report.files == (("counterexample.png", "map.png") if broken else ("map.png",))
            with Image.open(out / str(report.index) / "map.png") as picture:
                seen = np.asarray(picture.convert("RGB")).reshape(-1, 3)
            proven = (seen == pictures.PROVEN).all(1).sum() / 360**2
            assert proven == pytest.approx(report.segment.robust_mass.lower, abs=0.06)
            wrong = (seen == pictures.WRONG).all(1).sum() / 360**2
            assert wrong == pytest.approx(1 - report.segment.robust_mass.upper, abs=0.06)


def test_three_at_once_have_no_map(digits, tmp_path):
    spec = SegmentSpec(at_once(TURN, LIGHT, STRETCH), gap=0.05)
    reports = [one for one in run(digits["onnx"], spec, range(2), tmp_path) if one.segment is not None]
    for report in reports:
        assert "map.png" not in report.files
        assert report.segment.dimensions == 3
        assert_not_contradicted(digits["onnx"], spec, report)
    assert {one.verdict for one in reports} <= {Verdict.CERTIFIED, Verdict.FALSIFIED}


def test_about_executions_verdicts_are_the_same_and_nothing_is_contradicted(digits, large, tmp_path):
    spec = replace(LARGE, arithmetic=Arithmetic.FLOAT32)
    for real, report in zip(large[1][:2], run(digits["onnx"], spec, range(2), tmp_path), strict=True):
        assert report.verdict is real.verdict
        if report.segment is not None:
            assert report.segment.certified_to <= real.segment.certified_to + 0.01
            assert_not_contradicted(digits["onnx"], spec, report)


def test_a_margin_below_float32_is_certified_for_reals_only(make_case, affine, tmp_path):
    graph = affine([[1.0, 0.0], [0.0, 1.0]], [1e-9, 0.0])
    case = make_case(graph, np.full((1, 2), 0.5, np.float32), [0])
    spec = SegmentSpec(at_once(LIGHT, LIGHT))
    (real,) = run(case, spec, [0], tmp_path)
    (executed,) = run(case, replace(spec, arithmetic=Arithmetic.FLOAT32), [0], tmp_path)
    assert real.verdict is Verdict.CERTIFIED
    assert (executed.verdict, executed.reason) == (Verdict.UNDECIDED, "numeric")
    assert "arithmetic real" in executed.next_step
    assert real.files == ()  # features are no pictures


def test_a_violation_that_float32_does_not_show_is_no_counterexample(make_case, affine, tmp_path):
    case = make_case(affine([[0.0], [1.0]], [0.5, 0.0]), np.full((1, 1), 0.5, np.float32), [0])
    tiny = {"type": "brightness", "from": -1e-9, "to": 1e-9}
    (report,) = run(case, SegmentSpec(at_once(tiny, tiny)), [0], tmp_path)
    assert (report.verdict, report.reason) == (Verdict.UNDECIDED, "numeric")
    assert report.counterexample is None
    assert report.segment.robust_mass.upper < 0.6


def test_what_is_certified_to_is_rounded_towards_the_start(make_case, affine, tmp_path):
    """Class 0 wins while b + b' < 1/3, so up to a share s with 1.4 s < 1/3."""
    case = make_case(affine([[0.0], [3.0]], [1.0, 0.0]), np.zeros((1, 1), np.float32), [0])
    light = {"type": "brightness", "from": 0.0, "to": 0.7}
    (report,) = run(case, SegmentSpec(at_once(light, light)), [0], tmp_path)
    assert report.verdict is Verdict.FALSIFIED
    assert 1 / 4.2 - 0.01 <= report.segment.certified_to <= 1 / 4.2
    half = 1 / (3 * 0.7)  # a triangle with these legs is safe
    mass = report.segment.robust_mass
    assert mass.lower <= half**2 / 2 <= mass.upper <= mass.lower + 0.001001


@pytest.mark.parametrize("asked", [TopK(2), Band(2.0)])
def test_ranks_and_bands_hold_on_the_whole_box(digits, tmp_path, asked):
    spec = replace(LARGE, property=asked, gap=0.05)
    for report in run(digits["onnx"], spec, range(2), tmp_path):
        if report.segment is None:
            continue
        assert report.verdict in {Verdict.CERTIFIED, Verdict.FALSIFIED}
        subject, rng = load(digits["onnx"], [report.index]), np.random.default_rng(3)
        moved = path(spec.mutation, subject.item(report.index), items=subject.items)
        t = rng.uniform(size=(200, 2))
        images = np.stack([moved.at(point) for point in t.tolist()])
        y = execute(subject.network, torch.from_numpy(images)).flatten(1).numpy()
        if isinstance(asked, Band):
            holds = np.abs(y - np.array(report.centre)).max(axis=1) < asked.width
        else:
            holds = (y > y[:, [report.label]]).sum(axis=1) < asked.k
        mass, reach = report.segment.robust_mass, report.segment.certified_to
        assert mass.lower - 0.11 <= holds.mean() <= mass.upper + 0.11
        assert holds[(t <= reach).all(axis=1)].all()


def test_pairs_move_the_first_image_only(make_case, affine, tmp_path):
    """Class 0 wins while the first number is below the second."""
    items = np.array([[0.2, 0.5], [0.2, 0.25]], np.float32).reshape(2, 2, 1, 1)
    flat = Node("flat", "Reshape", ("image",), "x", {"shape": (2,)})
    scores = affine([[0.0, 1.0], [1.0, 0.0]], [0.0, 0.0])
    shapes = {"image": (2, 1, 1)} | scores.shapes
    graph = Graph("image", "y", (flat, *scores.nodes), scores.parameters, shapes)
    case = make_case(graph, items, [0, 0])
    spec = SegmentSpec(at_once(LIGHT, LIGHT), paired=True)
    fine, broken = run(case, spec, [0, 1], tmp_path)
    assert (fine.verdict, broken.verdict) == (Verdict.CERTIFIED, Verdict.FALSIFIED)
    assert fine.segment.robust_mass == Interval(1.0, 1.0)
    front = path(spec.mutation, items[1, :1], items=Fronts(items, (2, 1, 1), Preprocessing()))
    point = [one.t for one in broken.counterexample.parameters]
    assert front.at(point).item() > 0.25


def test_no_time_leaves_inputs_undecided(digits, tmp_path):
    (report,) = run(digits["onnx"], replace(LARGE, seconds_per_input=0.0), [0], tmp_path)
    assert (report.verdict, report.reason) == (Verdict.UNDECIDED, "budget")


def test_a_planted_mistake_is_seen(digits, tmp_path, monkeypatch):
    """Bounds that forget their error certify what samples refute."""
    honest = boxes.Bounding.__call__

    def careless(self, cells):
        found = honest(self, cells)
        return replace(found, excluded=torch.ones_like(found.excluded), reached=~found.reached & False)

    monkeypatch.setattr(boxes.Bounding, "__call__", careless)
    (report,) = run(digits["onnx"], LARGE, [0], tmp_path)
    assert report.verdict is Verdict.CERTIFIED
    with pytest.raises(AssertionError):
        assert_not_contradicted(digits["onnx"], LARGE, report)
