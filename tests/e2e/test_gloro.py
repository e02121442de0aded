"""GloRo from end to end: the shipped digits through HTTP and the command line, as users go."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import onnxruntime
import pytest

from glocert_client.client import Client
from tests.embedded import ROOT, embedded_service

DIGITS = ROOT / "examples/digits"
MOST_S = 120


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_service(tmp_path_factory.mktemp("gloro"), {"GLOCERT_CHECKPOINT_S": "0.5"}) as address:
        yield address


def glocert(url: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "glocert_client.cli", *map(str, arguments), "--server", url]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=MOST_S, check=False)


def test_a_radius_is_certified_from_the_command_line(url: str, tmp_path: Path) -> None:
    junit = tmp_path / "radius.xml"
    ran = glocert(
        url, "certify", DIGITS / "digits.onnx", "--data", DIGITS / "digits.npz", "--epsilon", 0.02,
        "--epsilon", 0.05, "--min-vra", 0.5, "--junit", junit, "--json",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    summary = answer["jobs"][0]["job"]["summary"]
    assert summary["vra"]["0.02"] >= summary["vra"]["0.05"] >= 0.5
    assert "VRA" in answer["jobs"][0]["ground"]
    suite = ElementTree.parse(junit).getroot()[0]
    assert int(suite.attrib["tests"]) == 60
    counted = summary["undecided"] + summary["skipped"]
    assert int(suite.attrib["skipped"]) == counted
    failed = glocert(
        url, "certify", DIGITS / "digits.onnx", "--data", DIGITS / "digits.npz", "--epsilon", 0.3,
        "--min-vra", 0.5,
    )  # fmt: skip
    assert failed.returncode == 1, failed.stderr
    assert "VRA 0.0% at epsilon 0.3, 50.0% required" in failed.stdout


def test_no_certified_digit_is_flipped_within_its_radius(url: str) -> None:
    with Client(url) as client:
        model = client.wait_ready(client.upload_model(DIGITS / "digits.onnx"))
        assert model.data["methods"]["lipschitz"]["admitted"] == "yes"
        data = client.wait_ready(client.upload_dataset(DIGITS / "digits.npz"))
        job = client.certify_radius(model, data, [0.05], method="portfolio").wait(timeout_s=MOST_S)
        rows = {row["index"]: row for row in job.results()}
        certificate = job.certificate()
    assert certificate["predicateType"].endswith(":lipschitz:v1")
    assert len(rows) == 60
    images = np.load(DIGITS / "digits.npz")["images"].astype(np.float32)[:, None] / 255
    session = onnxruntime.InferenceSession(str(DIGITS / "digits.onnx"))
    chance = np.random.default_rng(0)
    for index, row in rows.items():
        steps = chance.normal(size=(50, *images[index].shape))
        norms = np.linalg.norm(steps.reshape(50, -1), axis=1).reshape(-1, 1, 1, 1)
        moved = np.clip(images[index] + steps / norms * row["radius"] * 0.999, 0, 1).astype(np.float32)
        answers = np.concatenate([labels(session, one[None]) for one in moved])
        assert (answers == row["predicted"]).all(), row


def labels(session: onnxruntime.InferenceSession, images: Any) -> Any:
    """Return the class with the largest score of each image."""
    return session.run(None, {session.get_inputs()[0].name: images})[0].argmax(axis=1)


def test_a_wrapped_network_answers_as_it_was_certified(url: str, tmp_path: Path) -> None:
    ran = glocert(
        url, "wrap", DIGITS / "digits.onnx", "--epsilon", 0.05, "--to", "onnx", "--out", tmp_path, "--json"
    )
    assert ran.returncode == 0, ran.stderr
    (file,) = tmp_path.glob("*.onnx")
    assert (tmp_path / "manifest.json").is_file()
    session = onnxruntime.InferenceSession(str(file))
    assert [output.name for output in session.get_outputs()] == ["logits_bot", "label", "certified", "radius"]
    images = np.load(DIGITS / "digits.npz")["images"].astype(np.float32)[:, None] / 255
    bottom, label, certified, radius = session.run(None, {session.get_inputs()[0].name: images})
    assert bottom.shape == (60, 11)
    assert 0 < certified.sum() < 60
    assert ((label == -1) == ~certified).all()
    assert (radius[certified] > 0.05).all()
    asked = glocert(
        url, "predict", json.loads(ran.stdout)["job"]["id"], "--data", DIGITS / "digits.npz",
        "--format", "csv", "--out", tmp_path / "answers",
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    assert f"{certified.sum()} of 60 answered at 0.05" in asked.stdout
    table = np.genfromtxt(tmp_path / "answers/predictions.csv", delimiter=",", names=True)
    assert (np.nan_to_num(table["class005"], nan=-1) == label).all()
    assert (table["radius"] == radius).all()
    with Client(url) as client:
        model = client.wait_ready(client.upload_model(DIGITS / "digits.onnx"))
        data = client.wait_ready(client.upload_dataset(DIGITS / "digits.npz"))
        job = client.certify_radius(model, data, [0.05], arithmetic="real").wait(timeout_s=MOST_S)
        rows = list(job.results())
    predicted = np.array([row["predicted"] for row in rows])
    assert (label[certified] == predicted[certified]).all()
    assert (radius <= [row["radius"] * (1 + 1e-6) for row in rows]).all()


def test_a_network_is_trained_found_again_and_certified(url: str, tmp_path: Path) -> None:
    ran = glocert(
        url, "train", "--data", DIGITS / "digits.npz", "--epsilon", 0.1, "--architecture", "2c2f",
        "--epochs", 12, "--set", "batch=8", "--set", "shift=1", "--out", tmp_path, "--json",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    job = json.loads(ran.stdout)["job"]
    assert (tmp_path / "model.onnx").is_file()
    assert not (tmp_path / "checkpoint").exists()
    log = json.loads((tmp_path / "training.json").read_text())
    assert [epoch["number"] for epoch in log["epochs"]] == list(range(1, 13))
    assert job["progress"]["unit"] == "epochs"
    found = glocert(
        url, "certify", job["summary"]["model_id"], "--data", DIGITS / "digits.npz", "--epsilon", 0.1,
        "--json",
    )  # fmt: skip
    summary = json.loads(found.stdout)["jobs"][0]["job"]["summary"]
    assert summary["clean_accuracy"] > 0.5
    assert summary["vra"]["0.1"] > 0.3


def test_a_training_is_fine_tuned_watched_and_cancelled(url: str) -> None:
    with Client(url) as client:
        model = client.wait_ready(client.upload_model(DIGITS / "digits.onnx"))
        data = client.wait_ready(client.upload_dataset(DIGITS / "digits.npz"))
        tuned = client.train(data, 0.05, from_model=model, epochs=3, validation=data).wait(timeout_s=MOST_S)
        assert tuned.summary is not None
        assert tuned.summary["before"]["clean_accuracy"] > 0.9
        assert client.wait_ready(client.model(tuned.summary["model_id"])).status == "ready"
        endless = client.train(data, 0.3, epochs=2000)
        while endless.refresh(wait_s=1.0).progress[0] < 2:
            assert not endless.finished
        endless.cancel()
        while not endless.refresh(wait_s=1.0).finished:
            pass
        assert endless.status == "cancelled"
        assert [file["name"] for file in endless.artifacts()] == ["checkpoint"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mutation", "brightness=0.1", "--epsilon", "0.1"], "not both"),
        ([], "not both"),
        (["--epsilon", "0.1", "--band", "1"], "does not go with --epsilon"),
        (["--mutation", "brightness=0.1", "--method", "local"], "does not go with --mutation"),
        (["--mutation", "brightness=0.1", "--min-vra", "0.5"], "does not go with --mutation"),
        (["--mutation", "brightness=0.1", "--top-k", "2"], "does not go with --mutation"),
    ],
)
def test_options_that_do_not_go_together_are_named(arguments: list[str], message: str) -> None:
    ran = glocert("http://127.0.0.1:9", "certify", "m.onnx", "--data", "d.npz", *arguments)
    assert ran.returncode == 4
    assert message in ran.stderr
