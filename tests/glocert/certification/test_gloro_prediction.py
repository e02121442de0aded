"""Answers of a prediction are those of the predictor that the inference server uses, for every radius."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from app.jobs.predicted import Predictions
from glocert.certification.case import Case
from glocert.certification.gloro_prediction import Wanted, predict
from glocert.certification.gloro_wrap import WrapSpec, run
from glocert.errors import InvalidSpec, UnverifiedArtifact
from glocert.gloro.artifacts.prediction import Predictor
from glocert.graph.ir import Graph

EPSILONS = (0.05, 0.1, 0.0, 0.07037873)


@pytest.fixture(scope="module")
def artifact(digits: dict[str, Case], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, case = tmp_path_factory.mktemp("wrapped"), digits["onnx"]
    graph = Graph.from_bytes(case.graph.read_bytes())
    run(graph, case.preprocessing, WrapSpec(0.05, ("onnx",)), folder, date="2026-11-29T00:00:00Z", seconds=5)
    return folder


def answered(
    case: Case, folder: Path, out: Path, indices: range, epsilons: object
) -> Mapping[str, np.ndarray]:
    predict(Wanted(folder, case.inputs, case.labels, indices, epsilons), out)  # type: ignore[arg-type]
    return np.load(out)


@pytest.mark.parametrize("epsilons", [EPSILONS, None])
def test_every_answer_is_that_of_the_predictor(
    digits: dict[str, Case], artifact: Path, tmp_path: Path, epsilons: tuple[float, ...] | None
) -> None:
    case = digits["onnx"]
    found = answered(case, artifact, tmp_path / "part.npz", range(10, 60), epsilons)
    stored = np.load(case.inputs)
    raw = stored.reshape(len(stored), 1, *stored.shape[-2:])[10:60]  # uint8, as a client would send it
    for place, epsilon in enumerate([None] if epsilons is None else epsilons):
        predictor = Predictor(artifact, epsilon=epsilon)
        answers = list(predictor.predict(predictor.items(raw)))
        assert found["epsilons"][place] == predictor.epsilon
        assert found["certified"][:, place].tolist() == [answer.certified for answer in answers]
        assert found["answer"][:, place].tolist() == [
            -1 if answer.label is None else answer.label for answer in answers
        ]
        for name in ("margin", "radius", "inside"):
            assert found[name].tolist() == [getattr(answer, name) for answer in answers]
    assert 0 < found["certified"][:, 0].sum() < 50
    assert found["label"].tolist() == np.load(case.labels)[10:60].tolist()  # type: ignore[arg-type]
    assert (found["best"] == found["label"]).mean() > 0.9


def test_parts_in_any_order_are_one_file_of_each_format(
    digits: dict[str, Case], artifact: Path, tmp_path: Path
) -> None:
    parts = []
    for first in (40, 0, 20):
        parts.append(tmp_path / f"{first}.npz")
        answered(digits["onnx"], artifact, parts[-1], range(first, first + 20), EPSILONS)
    joined = Predictions.joined(parts)
    assert joined.index.tolist() == list(range(60))
    summary = joined.summary()
    assert summary["inputs"] == 60
    assert summary["answered"]["0.05"] == int(joined.certified[:, 0].sum())
    assert summary["rejection_rate"]["0.1"] == 1 - summary["answered"]["0.1"] / 60
    assert summary["vra"]["0"] >= summary["vra"]["0.05"] >= summary["vra"]["0.1"]
    assert summary["clean_accuracy"] == (joined.best == joined.label).mean()
    (tmp_path / "all.npz").write_bytes(joined.encoded("npz"))
    again = np.load(tmp_path / "all.npz")
    assert again["radius"].tolist() == joined.radius.tolist()
    rows = [json.loads(line) for line in joined.encoded("jsonl").decode().splitlines()]
    table = [line.split(",") for line in joined.encoded("csv").decode().splitlines()]
    assert table[0] == ["index", "label", "best", "margin", "radius", "inside",
                        "class@0.05", "class@0.1", "class@0", "class@0.07037873"]  # fmt: skip
    for place, (row, record) in enumerate(zip(rows, table[1:], strict=True)):
        answer = joined.answer[place, 1]
        assert row["class"]["0.1"] == (None if answer < 0 else answer)
        assert row["certified"]["0.1"] == (answer >= 0)
        assert record[7] == ("" if answer < 0 else str(answer))
        assert float(record[4]) == row["radius"] == joined.radius[place]


def test_without_labels_there_are_no_rates_of_right_answers(
    digits: dict[str, Case], artifact: Path, tmp_path: Path
) -> None:
    case = digits["onnx"]
    bare = Case(case.graph, case.inputs, None, case.preprocessing)
    answered(bare, artifact, tmp_path / "part.npz", range(5), (0.05,))
    joined = Predictions.joined([tmp_path / "part.npz"])
    assert joined.summary()["vra"] is None
    assert b'"label": null' in joined.encoded("jsonl")


def test_a_file_that_was_changed_and_items_that_do_not_fit_are_refused(
    digits: dict[str, Case], artifact: Path, tmp_path: Path
) -> None:
    case = digits["onnx"]
    other = tmp_path / "inputs.npy"
    np.save(other, np.zeros((3, 4, 4), np.uint8))
    with pytest.raises(InvalidSpec):
        predict(Wanted(artifact, other, None, range(3), (0.1,)), tmp_path / "part.npz")
    folder = tmp_path / "changed"
    folder.mkdir()
    for name in ("wrapped.onnx", "manifest.json"):
        (folder / name).write_bytes((artifact / name).read_bytes())
    (folder / "wrapped.onnx").write_bytes((artifact / "wrapped.onnx").read_bytes() + b" ")
    with pytest.raises(UnverifiedArtifact):
        predict(Wanted(folder, case.inputs, None, range(3), (0.1,)), tmp_path / "part.npz")
