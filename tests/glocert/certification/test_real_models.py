"""Attacks on verdicts about other people's networks: no point of a path may contradict what was proven.

Every point is first run in float32. A point that disagrees with a claim is run again in float64, where
rounding is some six orders of magnitude smaller, and has to disagree there too before it counts; inside a
partition, whose borders are known up to the radius of the proof only, the claimed label may trail the best
one by that radius.

``GLOCERT_TEST_POINTS=10000`` gives every network the full number of inputs and points; else only small ones
get them.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glocert.certification.accuracy import clean_accuracy
from glocert.certification.case import Case, Subject, load
from glocert.certification.unit import run
from glocert.data.inspect import inspect_dataset
from glocert.data.limits import DataLimits
from glocert.graph.inspect import inspect_network
from glocert.graph.ir import Graph
from glocert.graph.limits import Limits
from glocert.graph.run import run as execute
from glocert.report import InputReport
from glocert.spec import Mutation, Preprocessing, SegmentSpec, Verdict

pytestmark = pytest.mark.shared

INPUTS, POINTS, WORK = 20, 10_000, 5e8
FEWER = {
    "mnist_avgpool": 3,
    "mnist_keras_nhwc": 8,
    "mnist_lenet_batch10": 6,
    "mnist_lenet_maxpool": 6,
    "cifar_conv_small_pgd": 8,
    "cifar_cnn_a_adv": 8,
    "cifar_resnet2b": 6,
    "cifar_resnet3b2": 2,
}
"""Inputs of networks whose paths have so many pieces that all ``INPUTS`` take half a minute and more."""
SPECS = (
    SegmentSpec(Mutation("brightness", 0.0, 0.2), partition=True),
    SegmentSpec(Mutation("chord", 0.0, 1.0, {"item": 20}), partition=True),
)
FORMS = {
    "mnist_fc_256x2": ("trace",),
    "mnist_fc_256x4": (),
    "mnist_fc_256x6": (),
    "mnist_conv_small": ("trace", "script"),
    "mnist_conv_small_dynamo": (),
    "mnist_relu_6_100": ("trace",),
    "mnist_a_adv": ("trace",),
    "mnist_fc_3layer": ("trace",),
    "mnist_cnn_small": ("trace",),
    "mnist_spectral_mlp_b": ("trace",),
    "mnist_tiny_20": ("trace",),
    "mnist_avgpool": (),
    "mnist_lenet_batch10": (),
    "mnist_lenet_maxpool": ("trace", "script"),
    "mnist_keras_nhwc": (),
    "cifar_conv_small_pgd": ("trace",),
    "cifar_cnn_a_adv": ("trace",),
    "cifar_resnet2b": ("trace", "script"),
    "cifar_resnet3b2": (),
}
"""Every network whose operators the engine follows, with the TorchScript forms beside its ONNX file."""


@dataclass(frozen=True)
class Prepared:
    """One uploaded form of a network with its data set."""

    case: Case
    facts: dict[str, Any]
    subject: Subject

    def certify(self, spec: SegmentSpec, out: Path, inputs: int) -> list[InputReport]:
        return list(run(self.case, spec, range(inputs), out))


@functools.cache
def manifest(folder: Path) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in json.loads((folder / "manifest.json").read_text())["models"]}


@pytest.fixture
def prepare(shared_data, tmp_path):
    """Inspect one form of a network and its data as the service would."""

    def make(name: str, form: str) -> Prepared:
        facts = manifest(shared_data)[name]
        out = tmp_path / form
        out.mkdir()
        key = "onnx" if form == "onnx" else f"torchscript_{form}"
        inspect_network(
            shared_data / "models" / facts["files"][key],
            out,
            format=None,
            input_shape=facts["inputs"][0]["shape"][1:],
            limits=Limits(),
        )
        data = next(iter(facts["accuracy"])) + ".npz"
        inspect_dataset(shared_data / "datasets" / data, out, filename=data, limits=DataLimits())
        how = facts["preprocess_spec"]
        preprocessing = Preprocessing(
            mean=tuple(how.get("mean", ())), std=tuple(how.get("std", ())), layout=how.get("layout", "NCHW")
        )
        case = Case(out / "graph.safetensors", out / "inputs.npy", out / "labels.npy", preprocessing)
        return Prepared(case, facts, load(case, ()))

    return make


def multiply_adds(graph: Graph) -> int:
    """Count what one execution costs."""
    total = 0
    for node in graph.nodes:
        weights = [graph.parameters[name] for name in node.inputs if name in graph.parameters]
        if node.operator == "Conv":
            total += weights[0].size * int(np.prod(graph.shapes[node.output][1:]))
        elif node.operator in {"Gemm", "MatMul"}:
            total += weights[0].size
    return total


def points_for(graph: Graph) -> int:
    asked = os.environ.get("GLOCERT_TEST_POINTS")
    return int(asked) if asked else int(np.clip(WORK / multiply_adds(graph), 250, POINTS))


def inputs_for(name: str) -> int:
    return INPUTS if os.environ.get("GLOCERT_TEST_POINTS") else FEWER.get(name, INPUTS)


def claims(report: InputReport, ratios: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the label that the partition claims at each ratio, and whether the label is proven there."""
    assert report.segment is not None
    starts = [part.start for part in report.segment.partition]
    labels = np.array([part.label for part in report.segment.partition])
    return labels[np.searchsorted(starts, ratios, side="right") - 1], ratios <= report.segment.certified_to


def images(prepared: Prepared, spec: SegmentSpec, index: int, ratios: np.ndarray) -> np.ndarray:
    """Return float64 images of the path by a formula of the test's own."""
    x = prepared.subject.item(index).astype(np.float64)
    t = ratios[:, None, None, None]
    if spec.mutation.type == "brightness":
        return x + t * 0.2
    return (1 - t) * x + t * prepared.subject.item(20).astype(np.float64)


def scores(graph: Graph, batch: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    with torch.inference_mode():
        parts = torch.from_numpy(batch).to(dtype).split(256)
        return torch.cat([execute(graph, part).flatten(1) for part in parts]).numpy()


def attack(prepared: Prepared, spec: SegmentSpec, report: InputReport, rng: np.random.Generator) -> None:
    """Fail if a random point of the path contradicts the row."""
    assert report.segment is not None
    graph = prepared.subject.network
    ratios = np.sort(rng.uniform(size=points_for(graph)))
    claimed, proven = claims(report, ratios)
    path = images(prepared, spec, report.index, ratios)
    found = scores(graph, path, torch.float32).argmax(axis=1)
    suspects = np.flatnonzero((found != claimed) | (proven & (found != report.label)))
    exact = scores(graph, path[suspects], torch.float64)
    best = exact.argmax(axis=1)
    assert not (proven[suspects] & (best != report.label)).any(), "a certificate is wrong"
    trailing = exact.max(axis=1) - exact[np.arange(len(suspects)), claimed[suspects]]
    assert (trailing <= 2 * report.segment.radius).all(), "a partition is wrong"
    share, mass = float((found == report.label).mean()), report.segment.robust_mass
    slack = 5 * np.sqrt(0.25 / len(ratios))
    assert mass.lower - slack <= share <= mass.upper + slack


def check_row(report: InputReport) -> None:
    """Fail if the parts of a row contradict each other."""
    if report.verdict is Verdict.SKIPPED:
        assert report.label != report.predicted
        return
    assert report.segment is not None
    assert report.verdict in {Verdict.CERTIFIED, Verdict.FALSIFIED}
    certified = report.verdict is Verdict.CERTIFIED
    assert (report.segment.certified_to == 1.0) == certified == (report.counterexample is None)
    assert certified == ({part.label for part in report.segment.partition} == {report.label})


@pytest.mark.parametrize("name", FORMS)
def test_random_points_never_contradict_a_row(prepare, name, tmp_path):
    prepared = prepare(name, "onnx")
    rng = np.random.default_rng(INPUTS)
    attacked = 0
    for spec in SPECS:
        for report in prepared.certify(spec, tmp_path, inputs_for(name)):
            check_row(report)
            if report.segment is not None:
                attack(prepared, spec, report, rng)
                attacked += 1
    assert attacked >= inputs_for(name)


def essence(reports: Sequence[InputReport]) -> list[tuple[Any, ...]]:
    return [
        (
            row.verdict,
            row.predicted,
            None if row.segment is None else pytest.approx(row.certified_value, abs=1e-4),
        )
        for row in reports
    ]


@pytest.mark.parametrize(("name", "form"), [(name, form) for name, forms in FORMS.items() for form in forms])
def test_all_forms_of_a_network_get_the_same_verdicts(prepare, name, form, tmp_path):
    onnx, other = prepare(name, "onnx"), prepare(name, form)
    inputs = min(8, inputs_for(name) // 2)
    for spec in SPECS:
        assert essence(onnx.certify(spec, tmp_path, inputs)) == essence(other.certify(spec, tmp_path, inputs))


@pytest.mark.parametrize("name", FORMS)
def test_accuracy_is_the_manifests(prepare, name):
    prepared = prepare(name, "onnx")
    expected = next(iter(prepared.facts["accuracy"].values()))
    outcome = clean_accuracy(prepared.case, range(expected["n"]))
    assert (outcome["correct"], outcome["inputs"]) == (expected["correct"], expected["n"])
    assert "warning" not in outcome
