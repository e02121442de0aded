"""Bands: what is certified about the banded network, sampled against the network itself in exact numbers."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glocert.certification.band import WINNER, Bounds, banded, outputs_at
from glocert.certification.case import Case
from glocert.certification.unit import run
from glocert.graph.export import to_onnx
from glocert.graph.inspect import inspect_network
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.graph.purpose import Purpose
from glocert.graph.run import run as execute
from glocert.paths.patterns import signs
from glocert.spec import Band, Mutation, Preprocessing, SegmentSpec, Verdict, property_from_json

FINITE = st.floats(-1e300, 1e300, allow_nan=False)


@given(centre=st.lists(FINITE, min_size=1, max_size=4), width=st.floats(1e-300, 1e300))
def test_bounds_are_the_closest_numbers_inside_the_band(centre: list[float], width: float) -> None:
    bounds = Bounds.around(np.array(centre), width)
    for c, low, high in zip(centre, bounds.lower.tolist(), bounds.upper.tolist(), strict=True):
        least, most = Fraction(c) - Fraction(width), Fraction(c) + Fraction(width)
        assert least <= Fraction(low)
        assert Fraction(high) <= most
        assert Fraction(float(np.nextafter(low, -np.inf))) < least
        assert Fraction(float(np.nextafter(high, np.inf))) > most


def test_bounds_at_the_end_of_float64_stay_inside() -> None:
    largest = np.finfo(np.float64).max
    bounds = Bounds.around(np.array([largest, -largest]), float(largest))
    assert bounds.upper[0] == largest
    assert bounds.lower[1] == -largest


@given(
    y=st.lists(st.floats(-8, 8), min_size=3, max_size=3),
    centre=st.lists(st.floats(-8, 8), min_size=3, max_size=3),
)
def test_class_0_wins_exactly_inside(y: list[float], centre: list[float]) -> None:
    identity = Graph("x", "x", (), {}, {"x": (3, 1)})
    bounds = Bounds.around(np.array(centre), 2.0)
    network = banded(identity, bounds)
    scores = execute(network, torch.tensor(y, dtype=torch.float64).reshape(1, 3, 1))[0].numpy()
    assert network.output_shape == (7,)
    inside = ((bounds.lower < np.array(y)) & (np.array(y) < bounds.upper)).all()
    assert (scores[WINNER] > np.delete(scores, WINNER).max()) == inside


@pytest.fixture
def kinked(affine) -> Graph:
    """Two outputs on two features, bent by a Relu: their ranges along a path are not those of its ends."""
    rng = np.random.default_rng(5)
    first = affine(rng.normal(size=(12, 2)).tolist(), rng.normal(size=12).tolist())
    weight, bias = rng.normal(size=(2, 12)), rng.normal(size=2)
    nodes = (*first.nodes, Node("r", "Relu", ("y",), "r"), Node("z", "Gemm", ("r", "w2", "b2"), "z"))
    shapes = dict(first.shapes) | {"r": (12,), "z": (2,)}
    return replace(
        first, output="z", nodes=nodes, parameters={**first.parameters, "w2": weight, "b2": bias},
        shapes=shapes,
    )  # fmt: skip


def spec(width: float, stop: float = 0.4, kind: str = "brightness", **options: object) -> SegmentSpec:
    return SegmentSpec(Mutation(kind, 0.0, stop, options), property=Band(width))


@pytest.mark.parametrize("kind", ["brightness", "noise", "chord"])
def test_verdicts_agree_with_dense_samples(make_case, kinked, tmp_path, kind) -> None:
    rng = np.random.default_rng(2)
    inputs = rng.uniform(0.1, 0.6, size=(12, 2)).astype(np.float32)
    options = {"item": 0} if kind == "chord" else {}
    case = make_case(kinked, inputs, None)
    seen = set()
    for width in (0.05, 0.3, 1.0):
        asked = spec(width, 1.0 if kind == "chord" else 0.4, kind, **options)
        for report in run(case, asked, range(12), tmp_path):
            seen.add(report.verdict)
            t = np.linspace(0, 1, 2001)
            far = {
                "brightness": inputs[report.index] + 0.4,
                "chord": inputs[0],
                "noise": None,
            }[kind]
            if far is None:
                far = inputs[report.index] + 0.4 * signs(0, (2,))
            path = np.clip((1 - t)[:, None] * inputs[report.index] + t[:, None] * far, 0, 1)
            y = execute(kinked, torch.from_numpy(path.astype(np.float64))).numpy()
            inside = (np.abs(y - np.array(report.centre)) < width).all(axis=1)
            assert report.segment is not None
            assert inside[t < report.segment.certified_to - 1e-9].all()
            assert inside.mean() == pytest.approx(report.segment.robust_mass.lower, abs=2e-3)
            assert (report.verdict is Verdict.CERTIFIED) == inside.all()
    assert seen == {Verdict.CERTIFIED, Verdict.FALSIFIED}


def test_rows_record_what_they_are_about(make_case, kinked, tmp_path) -> None:
    inputs = np.full((1, 2), 0.3, np.float32)
    case = make_case(kinked, inputs, [77])  # a label that no output stands for
    (report,) = run(case, spec(0.05), [0], tmp_path)
    row = report.to_json()
    assert (row["label"], row["predicted"], row["verdict"]) == (None, None, "falsified")
    exact = outputs_at(kinked, inputs[0].astype(np.float64))
    assert row["centre"] == exact.tolist()
    assert row["outputs"] == pytest.approx(row["centre"], abs=1e-5)
    found = row["counterexample"]
    assert (found["predicted"], found["image"]) == (None, None)
    assert report.files == ()
    session = onnxruntime.InferenceSession(to_onnx(kinked), providers=["CPUExecutionProvider"])
    point = (inputs + np.float32(0.4 * found["t"])).astype(np.float32)
    (outputs,) = session.run(None, {session.get_inputs()[0].name: point})
    assert np.abs(outputs[0].astype(np.float64) - exact).max() >= 0.05
    assert found["outputs"] == pytest.approx(outputs[0].tolist(), abs=1e-5)


def test_pictures_of_bands_show_no_label(digits, tmp_path) -> None:
    report, *_ = run(digits["onnx"], spec(0.5, 0.3), [0], tmp_path)
    assert report.verdict is Verdict.FALSIFIED
    assert report.files == ("counterexample.png", "path.png")
    assert report.counterexample is not None
    assert report.counterexample.image == "counterexample.png"


def test_one_output_can_be_held(make_case, affine, tmp_path) -> None:
    case = make_case(affine([[2.0]], [0.25]), np.array([[0.25]], np.float32), None)
    (inside,) = run(case, spec(0.5, 0.249), [0], tmp_path)
    (edge,) = run(case, spec(0.5, 0.25), [0], tmp_path)
    assert inside.verdict is Verdict.CERTIFIED
    assert inside.centre == (0.75,)
    assert edge.verdict is not Verdict.CERTIFIED  # |y - c| reaches the width at the end: a tie


def test_a_width_that_rounding_eats_is_never_certified_nor_falsified(make_case, affine, tmp_path) -> None:
    case = make_case(affine([[0.0]], [1.0]), np.array([[0.25]], np.float32), None)
    (report,) = run(case, spec(1e-18), [0], tmp_path)
    assert (report.verdict, report.reason) == (Verdict.UNDECIDED, "numeric")


def test_outputs_that_are_not_finite_are_skipped(make_case, affine, tmp_path) -> None:
    case = make_case(affine([[1e300]], [0.0]), np.ones((1, 1), np.float32), None)
    (report,) = run(case, spec(0.5), [0], tmp_path)
    assert (report.verdict, report.reason) == (Verdict.SKIPPED, "non-finite")
    assert "centre" not in report.to_json()


def test_bands_travel_as_json() -> None:
    assert SegmentSpec.from_json(spec(0.5).to_json()) == spec(0.5)
    with pytest.raises(ValueError, match="no property 'cube'"):
        property_from_json({"type": "cube"})


@pytest.mark.parametrize(("kind", "to", "options"), [("noise", 0.005, {}), ("chord", 1.0, {"item": 0})])
def test_a_network_of_transposed_convolutions_stays_in_its_band(
    shared_data, tmp_path, kind, to, options
) -> None:
    """Ten inputs in the box of the benchmark's first property."""
    inspect_network(
        shared_data / "models/cgan_32_1ch.onnx", tmp_path, format=None, input_shape=None, limits=Limits(),
        purpose=Purpose("regressor"),
    )  # fmt: skip
    lower = np.array([0.5114396810531616, -1.0, 0.6290706396102905, 0.9800000190734863, 0.9800000190734863])
    upper = np.array([0.5314396619796753, -0.9800000190734863, 0.649070680141449, 1.0, 1.0])
    inputs = np.random.default_rng(0).uniform(lower, upper, size=(10, 5)).astype(np.float32)
    np.save(tmp_path / "inputs.npy", inputs)
    case = Case(
        tmp_path / "graph.safetensors", tmp_path / "inputs.npy", None, Preprocessing(lower=-1.0, upper=1.0)
    )
    reports = list(run(case, spec(0.03, to, kind, **options), range(10), tmp_path))
    assert [report.verdict for report in reports] == [Verdict.CERTIFIED] * 10
    assert all(0.5 < report.centre[0] < 0.55 for report in reports)
