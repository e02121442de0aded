"""A generator from the command line: trained, saved, found again as a model."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from glocert_client.client import Client
from tests.embedded import ROOT, embedded_service

DIGITS = ROOT / "examples/digits/digits.npz"
MOST_S = 120


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_service(tmp_path_factory.mktemp("generators")) as address:
        yield address


def test_a_generator_is_trained_saved_and_a_model(url: str, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "glocert_client.cli", "train-generator", "--data", str(DIGITS), "--out",
        str(tmp_path), "--architecture", "fc", "--latent-dim", "4", "--epochs", "120", "--augment",
        "rotation=10", "--set", "width=32", "--set", "batch=16", "--set", "rate=0.005", "--json",
        "--server", url,
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, timeout=MOST_S, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    job = json.loads(ran.stdout)["job"]
    card = json.loads((tmp_path / "card.json").read_text())
    assert (card["latent_dim"], card["prior"], card["image"]) == (4, "normal", [1, 8, 8])
    assert not (tmp_path / "checkpoint").exists()
    generator, encoder = (
        onnxruntime.InferenceSession(tmp_path / f"{name}.onnx") for name in ("generator", "encoder")
    )
    images = np.load(DIGITS)["images"][:, None].astype(np.float32) / 255
    (codes,) = encoder.run(None, {encoder.get_inputs()[0].name: images})
    (rebuilt,) = generator.run(None, {generator.get_inputs()[0].name: codes})
    blank = np.square(images - images.mean(0)).mean()
    assert np.square(rebuilt - images).mean() < blank
    with Client(url) as client:
        for role in ("generator", "encoder"):
            model = client.wait_ready(client.model(job["summary"][f"{role}_id"]))
            assert (model.data["role"], model.data["card"]["image"]) == (role, [1, 8, 8])
            assert model.data["methods"]["segment"]["admitted"] == "exact"


def test_a_style_reads_a_mutation_or_data(url: str) -> None:
    with Client(url) as client:
        data = client.wait_ready(client.upload_dataset(DIGITS))
        turned = client.train_generator(
            data, family="style", target={"type": "rotation", "to": 20}, epochs=1, width=2
        )
        like = client.train_generator(data, family="style", target=data, epochs=1, width=2)
        for job in (turned, like):
            assert job.wait(timeout_s=MOST_S).status == "succeeded", job.data["error"]
