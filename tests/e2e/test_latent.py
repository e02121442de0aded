"""Certification through a generator, end to end: uploads, job, rows, pictures, certificate, command line."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from glocert.graph.export import to_onnx
from glocert_client.client import Client
from tests.e2e.test_directions import LATENT, SIDE, encoder, generator, squares
from tests.embedded import ROOT, embedded_service
from tests.glocert.segments.networks import Draft

MOST_S = 120
LAST = [0.0, 0.0, 0.0, 2.0]
"""the patch at the lower right, not of length one"""


def classifier() -> bytes:
    """Label 1 where the lower right is brighter than the middle grey by a little."""
    weights = np.zeros((2, SIDE * SIDE), np.float32)
    weights[1] = np.where(squares()[3] > 0, 0.25, 0.0)
    draft = Draft(1, SIDE, SIDE)
    return to_onnx(draft.graph(draft.gemm(draft.flat("x"), weights, np.array([0.0, -0.55], np.float32))))


@dataclass(frozen=True)
class Lab:
    url: str
    folder: Path
    images: np.ndarray


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("files")
    for name, data in (("generator", generator()), ("encoder", encoder()), ("model", classifier())):
        (folder / f"{name}.onnx").write_bytes(data)
    codes = 0.4 * np.random.default_rng(0).standard_normal((6, LATENT))
    codes[:, 3] = [-0.5, -0.4, -0.3, -1.2, 0.8, 0.9]
    images = np.clip(0.5 + codes @ squares(), 0, 1).reshape(-1, SIDE, SIDE).astype(np.float32)
    images[1, 0, 0] = 0.9  # no code makes that
    images[2] = np.random.default_rng(1).uniform(size=(SIDE, SIDE)) > 0.5
    images[2, 5:7, 5:7] = 0.1
    np.savez(folder / "data.npz", images=images, labels=(codes[:, 3] > 0).astype(np.int64))
    with embedded_service(tmp_path_factory.mktemp("latent")) as url:
        yield Lab(url, folder, images)


@dataclass(frozen=True)
class Uploads:
    model: Any
    data: Any
    generator: Any
    encoder: Any


def uploaded(client: Client, lab: Lab) -> Uploads:
    role = {"generator": "generator", "encoder": "encoder", "model": "classifier"}
    model, made, proposes = (
        client.wait_ready(client.upload_model(lab.folder / f"{name}.onnx", role=role[name]))
        for name in ("model", "generator", "encoder")
    )
    return Uploads(model, client.wait_ready(client.upload_dataset(lab.folder / "data.npz")), made, proposes)


def test_a_job_goes_through_the_generator(lab: Lab) -> None:
    with Client(lab.url) as client:
        ours = uploaded(client, lab)
        mutation = {
            "type": "latent", "generator_id": ours.generator.id, "encoder_id": ours.encoder.id,
            "direction": LAST, "extent": 1.2, "scale": {"unit": "grey", "per_latent": 0.4},
            "mask": {"type": "rectangle", "top": 4, "left": 4, "height": 4, "width": 4},
            "encoding": {"steps": 20, "restarts": 2},
        }  # fmt: skip
        job = client.certify(ours.model, ours.data, mutation).wait(timeout_s=MOST_S)
        rows = {row["index"]: row for row in job.results()}
        request = job.data["request"]["mutation"]
        assert request["direction"] == [0.0, 0.0, 0.0, 1.0]
        assert (request["anchor"], request["prior"]) == ("residual", "normal")
        assert {at: row["verdict"] for at, row in rows.items()} == {
            0: "falsified", 1: "falsified", 2: "skipped", 3: "certified", 4: "certified", 5: "certified",
        }  # fmt: skip
        assert rows[2]["reason"] == "not-representable"
        assert any("does not make 1 of 6" in warning for warning in job.data["warnings"])
        assert any("latent.warnings" in warning for warning in job.data["warnings"])
        assert any("stands still" in warning for warning in rows[5]["latent"]["warnings"])
        assert rows[2]["latent"]["psnr"] < 20
        _first_row(lab, job, rows[0])
        assert rows[1]["latent"]["psnr"] < rows[0]["latent"]["psnr"]
        _certificate(lab, job.certificate(), rows)
        two = [mutation | {"direction": list(np.eye(LATENT)[at]), "extent": 0.1} for at in (0, 3)]
        box = client.certify(ours.model, ours.data, {"type": "box", "mutations": two}, limit=1)
        (row,) = box.wait(timeout_s=MOST_S).results()
        assert (row["verdict"], len(row["latent"]["directions"])) == ("certified", 2)


def _first_row(lab: Lab, job: Any, row: dict[str, Any]) -> None:
    assert row["latent"]["continuity"]["jump_index"] == pytest.approx(1.0, abs=1e-6)
    assert row["latent"]["independency"]["leakage"] == pytest.approx(0.0, abs=1e-12)
    assert row["certified_to"]["unit"] == "grey"
    shown = Image.open(io.BytesIO(job.picture(0, "path.png")))
    assert shown.format == "PNG"
    session = onnxruntime.InferenceSession(classifier())
    patch = (squares()[3] > 0).reshape(SIDE, SIDE)
    brighter = np.clip(lab.images[0] + row["counterexample"]["value"] * patch, 0, 1)
    (scores,) = session.run(None, {"x": brighter[None, None].astype(np.float32)})
    assert scores.argmax() == row["counterexample"]["predicted"] == 1


def _certificate(lab: Lab, statement: dict[str, Any], rows: dict[int, Any]) -> None:
    domain = statement["predicate"]["domain"]
    digest = hashlib.sha256((lab.folder / "generator.onnx").read_bytes()).hexdigest()
    assert domain["latent"]["generator"]["sha256"] == digest
    assert domain["latent"]["encoder"]["sha256"]
    assert domain["latent"]["directions"][0]["dimension"] == LATENT
    assert "psnr" in domain["latent"]["scope"]
    assert domain["mutation"]["unit"] == "grey"
    found = {row["index"]: row for row in statement["predicate"]["results"]}
    assert found[0]["latent"]["code"] == rows[0]["latent"]["code"]
    assert any("not enclosed" in claim for claim in statement["predicate"]["claims_not_made"])


def test_the_command_line_goes_through_the_generator(lab: Lab, tmp_path: Path) -> None:
    numbers = tmp_path / "direction.json"
    numbers.write_text(json.dumps(LAST))
    command = [
        sys.executable, "-m", "glocert_client.cli", "certify", lab.folder / "model.onnx",
        "--data", lab.folder / "data.npz", "--mutation", "latent=1.2,anchor=generated,steps=20",
        "--generator", lab.folder / "generator.onnx", "--encoder", lab.folder / "encoder.onnx",
        "--direction", numbers, "--json", "--server", lab.url,
    ]  # fmt: skip
    ran = subprocess.run(
        list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=MOST_S, check=False
    )
    assert ran.returncode == 1, ran.stderr  # a counterexample
    (job,) = json.loads(ran.stdout)["jobs"]
    assert "latent=0:1.2" in ran.stderr
    request = job["job"]["request"]
    assert request["mutation"]["anchor"] == "generated"
    assert request["mutation"]["direction"] == [0.0, 0.0, 0.0, 1.0]
    assert job["job"]["summary"]["falsified"] == 2
