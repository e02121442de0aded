"""Pairs through the whole unit: the reference stays, and verdicts are those of the pair in the network."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from glocert.certification.accuracy import clean_accuracy
from glocert.certification.unit import run
from glocert.errors import InvalidSpec
from glocert.graph.export import to_onnx
from glocert.graph.ir import Graph, Node
from glocert.graph.run import run as execute
from glocert.paths.pair import Fronts
from glocert.paths.request import path as path_of
from glocert.spec import Analysis, Band, Mutation, Preprocessing, SegmentSpec, TopK, Verdict

BRIGHTER = Mutation("brightness", 0.0, 0.4)
BLUR = {"type": "blur", "sigma": 0.75}


@pytest.fixture
def comparing() -> Graph:
    """Two grey images of 2 x 3: class 1 where their mean absolute difference is small."""
    count = 6
    difference = np.concatenate([np.eye(count), -np.eye(count)], axis=1)
    both = np.concatenate([difference, -difference])
    total = np.concatenate([np.ones((1, 2 * count)), np.zeros((1, 2 * count))])
    nodes = (
        Node("f", "Reshape", ("x",), "f", {"shape": (2 * count,)}),
        Node("d", "Gemm", ("f", "both"), "d"),
        Node("r", "Relu", ("d",), "r"),
        Node("y", "Gemm", ("r", "total", "limit"), "y"),
    )
    shapes = {"x": (2, 2, 3), "f": (2 * count,), "d": (2 * count,), "r": (2 * count,), "y": (2,)}
    parameters = {"both": both, "total": total, "limit": np.array([0.0, 1.2])}
    return Graph("x", "y", nodes, parameters, shapes)


@pytest.fixture
def items() -> np.ndarray:
    rng = np.random.default_rng(1)
    first = rng.uniform(0.1, 0.9, size=(12, 1, 2, 3))
    second = np.clip(first + rng.normal(size=first.shape) * 0.1, 0.05, 0.95)
    return np.concatenate([first, second], axis=1).astype(np.float32)


def test_verdicts_agree_with_dense_samples_of_the_pair(make_case, comparing, items, tmp_path):
    case = make_case(comparing, items, [1] * 12)
    seen = set()
    for report in run(case, SegmentSpec(BRIGHTER, paired=True, partition=True), range(12), tmp_path):
        t = np.linspace(0, 1, 2001)
        path = np.repeat(items[report.index][None].astype(np.float64), len(t), axis=0)
        path[:, 0] = np.clip(path[:, 0] + 0.4 * t[:, None, None], 0, 1)
        y = execute(comparing, torch.from_numpy(path)).numpy()
        holds = y[:, 1] > y[:, 0]
        if report.verdict is Verdict.SKIPPED:
            assert not holds[0]
            continue
        seen.add(report.verdict)
        assert report.segment is not None
        assert (report.verdict is Verdict.CERTIFIED) == holds.all()
        assert holds.mean() == pytest.approx(report.segment.robust_mass.lower, abs=2e-3)
    assert Verdict.FALSIFIED in seen


def test_a_counterexample_is_a_pair_whose_reference_is_untouched(make_case, comparing, items, tmp_path):
    case = make_case(comparing, items, [1] * 12)
    session = onnxruntime.InferenceSession(to_onnx(comparing), providers=["CPUExecutionProvider"])
    for report in run(case, SegmentSpec(BRIGHTER, paired=True), range(12), tmp_path):
        if report.counterexample is not None:
            point = items[report.index : report.index + 1].copy()
            point[:, 0] = np.clip(point[:, 0] + np.float32(report.counterexample.value), 0, 1)
            (scores,) = session.run(None, {session.get_inputs()[0].name: point})
            assert scores.argmax() == 0
            assert report.files == ("counterexample.png", "path.png")  # of the first image


def test_the_clean_accuracy_is_that_of_the_pairs(make_case, comparing, items):
    labels = execute(comparing, torch.from_numpy(items.astype(np.float64))).argmax(1).tolist()
    assert clean_accuracy(make_case(comparing, items, labels), range(12))["clean_accuracy"] == 1.0


def test_an_untouched_first_image_would_hide_a_change(make_case, comparing, items, tmp_path):
    """Without ``paired`` both images get brighter, and their difference stays."""
    case = make_case(comparing, items, [1] * 12)
    together = [one.verdict for one in run(case, SegmentSpec(BRIGHTER), range(12), tmp_path)]
    apart = [one.verdict for one in run(case, SegmentSpec(BRIGHTER, paired=True), range(12), tmp_path)]
    assert together.count(Verdict.CERTIFIED) > apart.count(Verdict.CERTIFIED)


@pytest.mark.parametrize("asked", [Band(0.1), TopK(1)])
def test_pairs_go_with_other_properties(make_case, comparing, items, tmp_path, asked):
    case = make_case(comparing, items, [1] * 12)
    spec = SegmentSpec(BRIGHTER, paired=True, property=asked)
    (report,) = run(case, spec, [0], tmp_path)
    assert report.verdict in {Verdict.FALSIFIED, Verdict.CERTIFIED}


def test_items_of_one_image_are_refused(make_case, affine, tmp_path):
    case = make_case(affine([[0.0], [2.0]], [0.0, -1.0]), np.array([[0.25]], np.float32), [0])
    with pytest.raises(InvalidSpec, match="paired"):
        list(run(case, SegmentSpec(BRIGHTER, paired=True), [0], tmp_path))


def test_pairs_travel_as_json():
    spec = SegmentSpec(BRIGHTER, paired=True)
    assert SegmentSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    assert SegmentSpec.from_json(replace(spec, paired=False).to_json()) != spec


@pytest.mark.parametrize(
    "mutation",
    [
        Mutation("rotation", 0.0, 40.0),
        Mutation.from_json({"type": "translation", "x": 1.0, "y": 0.5}),
        Mutation.from_json(BLUR),
        Mutation.from_json(
            {"type": "composite", "steps": [BRIGHTER.to_json(), {"type": "blur", "sigma": 0.5}]}
        ),
    ],
)
def test_paths_that_bend_move_the_first_image_only(make_case, comparing, items, tmp_path, mutation):
    case = make_case(comparing, items, [1] * 12)
    seen = set()
    for report in run(case, SegmentSpec(mutation, Analysis.QUANTITATIVE, paired=True), range(4), tmp_path):
        seen.add(report.verdict)
        if report.segment is None:
            continue
        front = path_of(mutation, items[report.index][:1], items=Fronts(items, (2, 2, 3), Preprocessing()))
        t = np.linspace(0, 1, 201)
        pairs = np.stack([np.concatenate([front.at([at]), items[report.index][1:]]) for at in t]).clip(0, 1)
        y = execute(comparing, torch.from_numpy(pairs)).numpy()
        holds = y[:, 1] > y[:, 0]
        assert holds.mean() >= report.segment.robust_mass.lower - 0.01
        assert holds.mean() <= report.segment.robust_mass.upper + 0.01
    assert seen & {Verdict.CERTIFIED, Verdict.FALSIFIED}
