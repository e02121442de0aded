"""The training job: from files to a network with proven figures; stopped, continued, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from glocert.certification.gloro_lesson import Lesson, Wanted
from glocert.certification.gloro_training import FILES, GRAPH, LOG, MODEL, Progress, train
from glocert.errors import InvalidSpec, UnsupportedOperators
from glocert.gloro.training import Epoch
from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.graph.run import run
from glocert.lipschitz.network import bound
from glocert.spec import Preprocessing

SIDE, CLASSES = 8, 3


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Bright rows: which third of the image is lit tells the class."""
    chance = np.random.default_rng(0)
    labels = chance.integers(0, CLASSES, 240)
    images = chance.integers(0, 40, (240, SIDE, SIDE)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[label * 3 : label * 3 + 2] += 200
    np.save(tmp_path / "inputs.npy", images)
    np.save(tmp_path / "labels.npy", labels)
    return tmp_path / "inputs.npy", tmp_path / "labels.npy"


def ended(progress: Progress) -> tuple[list[Epoch], dict[str, Any]]:
    epochs = []
    while True:
        try:
            epochs.append(next(progress))
        except StopIteration as end:
            return epochs, end.value


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_new_network_is_trained_and_its_figures_are_proven(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    wanted = Wanted.from_json({"architecture": "2c2f", "epsilon": 0.2, "epochs": 12, "batch": 32})
    out = folder(tmp_path / "out")
    lesson = Lesson(*files, Preprocessing(mean=(0.2,), std=(0.4,)))
    epochs, summary = ended(train(lesson, wanted, out))
    assert [epoch.number for epoch in epochs] == list(range(1, 13))
    found = summary["validation"]
    assert found["clean_accuracy"] > 0.9
    assert found["real"]["vra"]["0.2"] > 0.5
    assert found["float32"]["vra"]["0.2"] <= found["real"]["vra"]["0.2"]
    assert 0.99 < summary["certified_over_estimated"] < 1.05
    assert summary["trained_on"] == 216
    assert not summary["warnings"]
    graph = Graph.from_bytes((out / GRAPH).read_bytes())
    assert graph.input_shape == (1, SIDE, SIDE)
    assert found["lipschitz_bound"] == bound(graph).scores
    x = np.random.default_rng(1).random((5, 1, SIDE, SIDE)).astype(np.float32)
    session = onnxruntime.InferenceSession(out / MODEL)
    theirs = session.run(None, {session.get_inputs()[0].name: x})[0]
    np.testing.assert_allclose(run(graph, torch.from_numpy(x)), theirs, rtol=1e-4, atol=1e-4)
    log = json.loads((out / LOG).read_text())
    assert [epoch["loss"] for epoch in log["epochs"]] == [epoch.loss for epoch in epochs]
    assert log["summary"] == summary
    assert all((out / name).exists() for name in FILES)


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(files: tuple[Path, Path], tmp_path: Path) -> None:
    wanted = Wanted.from_json({"epsilon": 0.2, "epochs": 6, "batch": 64, "shift": 1, "flip": True})
    lesson = Lesson(*files, Preprocessing())
    whole, stopped = folder(tmp_path / "whole"), folder(tmp_path / "stopped")
    ended(train(lesson, wanted, whole))
    running = train(lesson, wanted, stopped)
    for _ in range(3):
        next(running)
    running.close()
    epochs, _ = ended(train(lesson, wanted, stopped, told=2))
    assert [epoch.number for epoch in epochs] == [3, 4, 5, 6]  # of the third it was kept, and nobody was told
    assert (stopped / GRAPH).read_bytes() == (whole / GRAPH).read_bytes()


def ordinary(operator: str = "Relu") -> Graph:
    """A network with a normalisation, as training without any thought of certificates leaves it."""
    chance = np.random.default_rng(3)
    builder = GraphBuilder.start("x", (1, SIDE, SIDE), Limits())

    def weights(*shape: int, scale: float = 1.0) -> str:
        return builder.parameter((chance.normal(size=shape) * scale).astype(np.float32), "w")

    def add(kind: str, *inputs: str, **attributes: Any) -> str:
        return builder.add(Node(kind, kind, inputs, kind, attributes, kind))

    spread = builder.parameter(np.full(6, 0.5, np.float32), "var")
    window = {"strides": (2, 2), "pads": (1, 1, 1, 1), "dilations": (1, 1), "group": 1}
    here = add("Conv", "x", weights(6, 1, 4, 4), weights(6), **window)
    here = add("BatchNormalization", here, weights(6), weights(6), weights(6), spread, epsilon=1e-5)
    here = add(operator, here) if operator == "Relu" else add("Mul", here, here)
    here = add("Reshape", here, shape=(96,))
    return builder.finish(add("Gemm", here, weights(CLASSES, 96, scale=0.3), weights(CLASSES)))


@pytest.mark.parametrize("labelled", [True, False])
def test_an_uploaded_network_is_fine_tuned(files: tuple[Path, Path], tmp_path: Path, labelled: bool) -> None:
    (tmp_path / "uploaded").write_bytes(ordinary().to_bytes())
    preprocessing = Preprocessing(mean=(0.3,), std=(0.25,))
    labels = files[1] if labelled else None
    lesson = Lesson(files[0], labels, preprocessing, graph=tmp_path / "uploaded")
    wanted = Wanted.from_json({"epsilon": 0.4, "epochs": 40, "batch": 16, "rate": 4e-3}, fine_tune=True)
    out = folder(tmp_path / "out")
    _, summary = ended(train(lesson, wanted, out))
    before, after = summary["before"], summary["validation"]
    assert after["clean_accuracy"] > 0.8
    assert after["real"]["vra"]["0.4"] > 0.5 > before["real"]["vra"]["0.4"]
    if not labelled:  # its own answers were right by definition
        assert before["clean_accuracy"] == 1.0
        assert after["radius_quantiles"]["0.5"] > 5 * before["radius_quantiles"]["0.5"] > 0
    graph = Graph.from_bytes((out / GRAPH).read_bytes())
    assert graph.input_shape == (1, SIDE, SIDE)
    assert set(graph.operators) == {"Conv", "Mul", "Add", "Relu", "Reshape", "Gemm"}


def test_what_cannot_be_trained_is_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "uploaded").write_bytes(ordinary("Mul").to_bytes())
    lesson = Lesson(*files, Preprocessing(), graph=tmp_path / "uploaded")
    with pytest.raises(UnsupportedOperators) as caught:
        next(train(lesson, Wanted.from_json({}), folder(tmp_path / "out")))
    assert [offence.where for offence in caught.value.offences] == ["Mul"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"epsilon": -1.0}, "epsilon must be positive"),
        ({"loss": "hinge"}, "no loss 'hinge'"),
        ({"colour": 1}, "colour"),
        ({"epochs": 5, "warmup": 5}, "leaves nothing"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(request_: dict[str, Any], message: str) -> None:
    for fine_tune in (True, False):
        with pytest.raises(InvalidSpec, match=message):
            Wanted.from_json(request_, fine_tune=fine_tune)


def test_data_that_does_not_fit_is_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    out = folder(tmp_path / "out")
    np.save(tmp_path / "features.npy", np.zeros((4, 7), np.float32))
    np.save(tmp_path / "four.npy", np.arange(4))
    cases = [
        (Lesson(files[0], None, Preprocessing()), {}, "learns from labels"),
        (Lesson(files[0], tmp_path / "four.npy", Preprocessing()), {}, "240 items but 4 labels"),
        (Lesson(tmp_path / "features.npy", tmp_path / "four.npy", Preprocessing()), {}, "take images"),
        (Lesson(*files, Preprocessing()), {"classes": 2}, "not 0..1"),
        (Lesson(*files, Preprocessing()), {"architecture": "vgg"}, "no architecture"),
    ]
    for lesson, request_, message in cases:
        with pytest.raises(InvalidSpec, match=message):
            next(train(lesson, Wanted.from_json(request_), out))
