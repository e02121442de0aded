"""Directions from end to end: a generator and its encoder through HTTP and the command line, as users go."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from glocert.graph.export import to_onnx
from glocert_client.client import Client
from glocert_client.errors import JobFailed
from tests.embedded import ROOT, embedded_service
from tests.glocert.segments.networks import Draft

SIDE, LATENT = 8, 4
MOST_S = 120


def squares() -> np.ndarray:
    """Four patches, one per quarter of the image: what each number of a code makes brighter."""
    quarters = np.zeros((LATENT, SIDE, SIDE))
    for place, (top, left) in enumerate(((1, 1), (1, 5), (5, 1), (5, 5))):
        quarters[place, top : top + 2, left : left + 2] = 0.1 * (place + 1)
    return quarters.reshape(LATENT, -1)


def generator() -> bytes:
    """``clip(0.5 + sum z_i patch_i, 0, 1)``, as far as rectifiers can."""
    draft = Draft(LATENT)
    x = draft.relu(draft.gemm("x", squares().T, np.full(SIDE * SIDE, 0.5)))
    rest = draft.relu(draft.gemm(x, -np.eye(SIDE * SIDE), np.ones(SIDE * SIDE)))
    out = draft.gemm(rest, -np.eye(SIDE * SIDE), np.ones(SIDE * SIDE))
    return to_onnx(draft.graph(draft.reshape(out, 1, SIDE, SIDE)))


def encoder() -> bytes:
    inverse = np.linalg.pinv(squares().T)
    draft = Draft(1, SIDE, SIDE)
    return to_onnx(draft.graph(draft.gemm(draft.flat("x"), inverse, -inverse @ np.full(SIDE * SIDE, 0.5))))


@dataclass(frozen=True)
class Lab:
    url: str
    folder: Path


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("files")
    (folder / "generator.onnx").write_bytes(generator())
    (folder / "encoder.onnx").write_bytes(encoder())
    codes = 0.5 * np.random.default_rng(0).standard_normal((40, LATENT))
    images = np.clip(0.5 + codes @ squares(), 0, 1).reshape(-1, SIDE, SIDE).astype(np.float32)
    np.savez(folder / "data.npz", images=images, labels=(codes[:, 3] > 0).astype(np.int64))
    with embedded_service(tmp_path_factory.mktemp("directions")) as url:
        yield Lab(url, folder)


def glocert(lab: Lab, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "glocert_client.cli", *map(str, arguments), "--server", lab.url]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=MOST_S, check=False)


def mined(client: Client, lab: Lab, mode: str, **members: Any) -> list[dict[str, Any]]:
    """Return the directions that a job finds."""
    model = client.wait_ready(client.upload_model(lab.folder / "generator.onnx", role="generator"))
    job = client.mine_directions(model, mode, **members).wait(timeout_s=MOST_S)
    assert job.progress == (4, 4)
    return [client.direction(one["id"]) for one in job.summary["directions"]]


def test_local_directions_are_those_of_the_patch(lab: Lab) -> None:
    mask = {"type": "rectangle", "top": 4, "left": 0, "height": 4, "width": 4}
    with Client(lab.url) as client:
        (one,) = mined(client, lab, "local", mask=mask)
        np.testing.assert_allclose(one["vector"], np.eye(LATENT)[2], atol=1e-6)
        assert one["leakage"] < 1e-12
        assert one["energy"] == pytest.approx(4 * 0.3**2 / 16, rel=0.2)  # clipped here and there
        picture = Image.open(io.BytesIO(client.direction_preview(one["id"])))
        assert picture.format == "PNG"
        assert [other["id"] for other in client.directions(generator_id=one["generator_id"])] == [one["id"]]
        client.delete_direction(one["id"])
        assert list(client.directions(job_id=one["job_id"])) == []


def brightness_of_the_third() -> bytes:
    """Says 1 where the third patch is brighter than 0.75, else 0."""
    mean = squares()[2:3] > 0
    draft = Draft(1, SIDE, SIDE)
    bright = draft.gemm(draft.flat("x"), mean / mean.sum(), np.array([-0.75]))
    return to_onnx(draft.graph(draft.gemm(bright, np.array([[-1.0], [1.0]]))))


def test_what_was_mined_is_certified_by_its_id(lab: Lab) -> None:
    """One latent unit brightens the third patch by 0.3: labels change where 0.5 + 0.3 s passes 0.75."""
    (lab.folder / "third.onnx").write_bytes(brightness_of_the_third())
    np.savez(lab.folder / "grey.npz", images=np.full((1, SIDE, SIDE), 0.5, np.float32), labels=np.array([0]))
    mask = {"type": "rectangle", "top": 4, "left": 0, "height": 4, "width": 4}
    with Client(lab.url) as client:
        (one,) = mined(client, lab, "local", mask=mask)
        model = client.wait_ready(client.upload_model(lab.folder / "third.onnx"))
        proposes = client.wait_ready(client.upload_model(lab.folder / "encoder.onnx", role="encoder"))
        data = client.wait_ready(client.upload_dataset(lab.folder / "grey.npz"))
        path = {"type": "latent", "direction_id": one["id"], "encoder_id": proposes.id}
        job = client.certify(model, data, path).wait(timeout_s=MOST_S)
        (row,) = job.results()
        assert row["verdict"] == "falsified", row
        assert row["certified_to"]["value"] == pytest.approx(0.25 / 0.3, abs=1e-3)
        assert row["latent"]["independency"]["leakage"] < 1e-9
        short = client.certify(model, data, path | {"extent": 0.8}).wait(timeout_s=MOST_S)
        assert short.summary["certified"] == 1
        client.delete_direction(one["id"])
        assert short.refresh().data["request"]["mutation"]["direction"] == one["vector"]


def test_groups_of_inputs_lead_to_their_attribute(lab: Lab) -> None:
    with Client(lab.url) as client:
        data = client.wait_ready(client.upload_dataset(lab.folder / "data.npz"))
        proposes = client.wait_ready(client.upload_model(lab.folder / "encoder.onnx", role="encoder"))
        members = {"dataset": data, "encoder": proposes, "groups": {"positive": [1]}, "name": "lower right"}
        (one,) = mined(client, lab, "attribute", **members)
        assert one["name"] == "lower right"
        assert one["vector"][3] > 0.9
        (pair,) = mined(
            client, lab, "pair", dataset=data, encoder=proposes,
            mutation={"type": "brightness", "from": 0.0, "to": 0.05}, orthogonal_to=[one["id"]],
        )  # fmt: skip
        assert pair["name"] == "brightness"
        assert abs(np.dot(pair["vector"], one["vector"])) < 1e-9


def test_a_region_that_nothing_moves_is_told_as_such(lab: Lab) -> None:
    mask = {"type": "rectangle", "top": 0, "left": 0, "height": 1, "width": 8}
    with Client(lab.url) as client, pytest.raises(JobFailed, match="No mutation in the region"):
        mined(client, lab, "local", mask=mask)


def test_directions_are_mined_from_the_command_line(lab: Lab, tmp_path: Path) -> None:
    ran = glocert(
        lab, "directions", "mine", lab.folder / "generator.onnx", "--mode", "global", "--count", 2,
        "--seed", 1, "--out", tmp_path, "--json",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    assert len(answer["directions"]) == 2
    assert {Path(name).name for name in answer["files"]} == {
        "directions.json", "direction-0.png", "direction-1.png",
    }  # fmt: skip
    assert json.loads((tmp_path / "directions.json").read_text())["mode"] == "global"
    job_id = answer["job"]["id"]
    watched = glocert(lab, "watch", job_id)
    assert (watched.returncode, "2 directions made" in watched.stdout) == (0, True), watched.stderr
    saved = glocert(lab, "report", job_id, "--out", tmp_path / "report")
    assert saved.returncode == 0, saved.stderr
    assert (tmp_path / "report" / "artifacts" / "direction-0.png").exists()
    shown = glocert(lab, "directions", "list", "--generator", answer["job"]["model_id"])
    assert all(one["id"] in shown.stdout for one in answer["directions"])
    assert glocert(lab, "directions", "delete", answer["directions"][0]["id"]).returncode == 0
    again = glocert(lab, "directions", "delete", answer["directions"][0]["id"])
    assert (again.returncode, "no direction" in again.stderr) == (4, True)


def test_what_the_command_line_does_not_understand(lab: Lab) -> None:
    for arguments, message in (
        (["--mode", "local", "--mask", "1,2"], "TOP,LEFT,HEIGHT,WIDTH"),
        (["--mode", "attribute", "--positive", "a"], "whole numbers"),
        (["--mode", "attribute", "--negative", "1"], "needs --positive"),
        (["--mode", "local"], "needs a mask"),
    ):
        ran = glocert(lab, "directions", "mine", lab.folder / "generator.onnx", *arguments)
        assert ran.returncode == 4
        assert message in ran.stderr
