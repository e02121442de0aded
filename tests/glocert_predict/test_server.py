"""The inference server: its own process, verified artifacts only, class or bottom per row."""

from __future__ import annotations

import io
import json
import math
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from glocert.certification.gloro_wrap import WrapSpec, run
from glocert.errors import InvalidSpec, UnverifiedArtifact
from glocert.gloro.artifacts.prediction import Predictor, predict_batch
from glocert.gloro.layers import Dense, MinMax
from glocert.gloro.network import GloroNet
from glocert.spec import Preprocessing

ROOT = Path(__file__).parents[2]
EPSILON = 0.05
NPY = {"content-type": "application/octet-stream"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(5)
    net = GloroNet([Dense((6,), 8), MinMax((8,)), Dense((8,), 4)])
    target = tmp_path_factory.mktemp("artifact")
    spec = WrapSpec(EPSILON, ("onnx",))
    run(net.graph(), Preprocessing(), spec, target, date="2026-11-22T12:00:00Z", seconds=5)
    return target


def start(module: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)


@contextmanager
def serving(module: str, *arguments: str) -> Iterator[httpx.Client]:
    process = start(module, *arguments, "--port", "0")
    try:
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("ready ").strip()
        assert address, process.communicate(timeout=30)
        with httpx.Client(base_url=address, timeout=30) as client:
            yield client
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    limits = ("--max-body-bytes", "20000", "--max-rows", "600")
    with serving("glocert_predict", str(folder), *limits) as opened:
        yield opened


def npy(array: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def images(count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).random((count, 6), np.float32)


def test_rows_are_what_the_library_answers(client: httpx.Client, folder: Path) -> None:
    x = images(500)
    answer = client.post("/v1/predict", content=npy(x), headers=NPY)
    assert answer.status_code == 200, answer.text
    rows = answer.json()["rows"]
    assert rows == predict_batch(folder / "wrapped.onnx", x)
    assert {row["certified"] for row in rows} == {True, False}
    for row in rows:
        assert row["certified"] == (row["class"] is not None) == (row["radius"] > EPSILON)
        assert row["margin"] >= 0
        assert row["inside"]


def test_json_and_npy_answer_alike(client: httpx.Client) -> None:
    x = images(7)
    first = client.post("/v1/predict", json={"inputs": x.tolist()}).json()
    assert first == client.post("/v1/predict", content=npy(x), headers=NPY).json()
    single = client.post("/v1/predict", json={"inputs": x[0].tolist()}).json()
    assert single["rows"] == first["rows"][:1]
    assert first["epsilon"] == EPSILON


def test_what_is_not_finite_is_bottom(client: httpx.Client) -> None:
    x = images(4)
    x[0, 0], x[1, 1], x[2, 2] = np.nan, np.inf, 3e38
    rows = client.post("/v1/predict", content=npy(x), headers=NPY).json()["rows"]
    for row in rows[:3]:
        assert row == {"class": None, "certified": False, "margin": None, "radius": 0.0, "inside": False}
    assert rows[3]["margin"] is not None


def test_an_input_outside_the_domain_is_said_to_be(client: httpx.Client) -> None:
    x = np.stack([images(1)[0], images(1)[0] * 255])
    rows = client.post("/v1/predict", content=npy(x), headers=NPY).json()["rows"]
    assert [row["inside"] for row in rows] == [True, False]


def test_bytes_are_divided_as_the_model_says(client: httpx.Client) -> None:
    raw = np.arange(12, dtype=np.uint8).reshape(2, 6) * 20
    rows = client.post("/v1/predict", content=npy(raw), headers=NPY).json()["rows"]
    scaled = client.post("/v1/predict", content=npy(raw.astype(np.float32) / np.float32(255)), headers=NPY)
    assert rows == scaled.json()["rows"]


def header(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    """An .npy file that announces more than it holds."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue() + bytes(16)


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{}", {"content-type": "application/json"}, 422, "invalid-body"),
        (b'{"inputs": [[1, 2], [3]]}', {"content-type": "application/json"}, 422, "invalid-body"),
        (b'{"inputs": [[NaN, 1, 1, 1, 1, 1]]}', {"content-type": "application/json"}, 422, "invalid-body"),
        (b'{"inputs": [[1, 2]]}', {"content-type": "application/json"}, 422, "invalid-spec"),
        (b'{"inputs": []}', {"content-type": "application/json"}, 422, "invalid-spec"),
        (b'{"inputs": [["a"]]}', {"content-type": "application/json"}, 422, "invalid-body"),
        (b"[" * 9000, {"content-type": "application/json"}, 422, "invalid-body"),
        (b"x", {"content-type": "text/plain"}, 415, "unsupported-media-type"),
        (b"x", NPY, 422, "invalid-body"),
        (header((2**40, 6)), NPY, 422, "invalid-body"),
        (header((4,), "|O"), NPY, 422, "invalid-body"),
        (npy(np.zeros((3, 6), np.int64)), NPY, 422, "invalid-spec"),
        (npy(np.zeros((0, 6), np.float32)), NPY, 422, "invalid-body"),
        (npy(np.zeros((601, 6), np.uint8)), NPY, 422, "invalid-body"),
        (bytes(20_001), NPY, 413, "body-too-large"),
    ],
)
def test_what_cannot_be_answered_is_a_problem(
    client: httpx.Client, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = client.post("/v1/predict", content=body, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}")
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_limit_holds_without_a_length(client: httpx.Client) -> None:
    parts = (bytes(5000) for _ in range(5))
    assert client.post("/v1/predict", content=parts, headers=NPY).status_code == 413


def test_health_manifest_and_metrics(client: httpx.Client, folder: Path) -> None:
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/v1/artifact").json() == json.loads((folder / "manifest.json").read_bytes())
    client.post("/v1/predict", content=npy(images(3)), headers=NPY)
    text = client.get("/metrics").text
    counted = [line for line in text.splitlines() if line.startswith("glocert_predict_rows_total")]
    assert sum(float(line.split()[-1]) for line in counted) >= 3


def test_another_radius_can_be_served(folder: Path) -> None:
    x = images(200)
    shares = [
        np.mean([row["certified"] for row in predict_batch(folder, x, epsilon=epsilon)])
        for epsilon in (0.0, 0.2, 1.0)
    ]
    assert shares[0] > shares[1] > shares[2]
    for epsilon in (-1.0, math.nan, math.inf):
        with pytest.raises(InvalidSpec):
            Predictor(folder, epsilon=epsilon)


def test_only_verified_files_are_opened(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "wrapped.onnx").write_bytes((folder / "wrapped.onnx").read_bytes())
    with pytest.raises(UnverifiedArtifact):
        Predictor(tmp_path)
    document = json.loads((folder / "manifest.json").read_bytes())
    document["constants"]["pairs"] = "0" * 64
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(UnverifiedArtifact):
        Predictor(tmp_path / "wrapped.onnx")


def test_the_command_serves_in_its_own_process(folder: Path) -> None:
    with serving("glocert_client.cli", "predict-serve", str(folder), "--epsilon", "0.02") as client:
        answer = client.post("/v1/predict", content=npy(images(2)), headers=NPY)
        assert answer.json()["epsilon"] == 0.02
        assert len(answer.json()["rows"]) == 2


def test_the_command_refuses_what_does_not_verify(tmp_path: Path) -> None:
    process = start("glocert_client.cli", "predict-serve", str(tmp_path))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 4
    assert "cannot be verified" in errors
