"""Every hostile file of the shared data through the running service: refused in words, and nothing more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.embedded import embedded_service

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
ROUTES = {"model": "/v1/models", "dataset": "/v1/datasets"}
NEEDS_THE_MODEL = {"data/labels_out_of_range.npz", "data/wrong_rank.npz", "data/wrong_size.npz"}
"""good data in themselves: only a job with a model can say that they do not fit"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    marker = {"HOSTILE_MARKER": str(folder / "marker")}
    with (
        embedded_service(folder / "data", marker) as url,
        httpx.Client(base_url=url, timeout=90, trust_env=False) as made,
    ):
        yield made


@pytest.fixture
def files(shared_data: Path) -> list[dict[str, Any]]:
    return list(json.loads((shared_data / "hostile" / "manifest.json").read_text())["files"])


def upload(client: httpx.Client, route: str, path: Path) -> dict[str, Any]:
    """Return the problem of a refusal, or the inspected upload."""
    with path.open("rb") as file:
        answer = client.post(route, files={"file": (path.name, file)})
    assert answer.status_code < 500
    found = answer.json()
    if answer.status_code >= 400:
        return {"status": "rejected", "rejection": found}
    return dict(client.get(f"{route}/{found['id']}", params={"wait": 60}).json())


def test_every_hostile_file_gets_a_reason_and_no_more(
    client: httpx.Client, files: list[dict[str, Any]], folder: Path, shared_data: Path
) -> None:
    open_to_doubt = {}
    for entry in files:
        found = upload(client, ROUTES[entry["upload_as"]], shared_data / "hostile" / entry["file"])
        if found["status"] == "rejected":
            assert found["rejection"]["detail"], entry["file"]
            assert found["rejection"]["type"] != "/problems/inspection-failed", entry["file"]
        else:
            open_to_doubt[entry["file"]] = found

    assert len(files) >= 71
    assert set(open_to_doubt) == NEEDS_THE_MODEL
    assert not (folder / "marker").exists()
    assert not list(Path.cwd().glob("HOSTILE_CODE_RAN"))
    assert client.get("/readyz").json()["ready"]


@pytest.mark.parametrize("name", sorted(NEEDS_THE_MODEL))
def test_data_that_do_not_fit_the_model_are_refused_with_the_job(
    client: httpx.Client, shared_data: Path, name: str
) -> None:
    real = shared_data / "models" / "mnist_tiny_20.onnx"
    model = upload(client, "/v1/models", real)
    data = upload(client, "/v1/datasets", shared_data / "hostile" / name)
    body = {
        "kind": "segment-certification",
        "model_id": model["id"],
        "dataset_id": data["id"],
        "mutation": {"type": "brightness", "from": 0.0, "to": 0.1},
    }

    answer = client.post("/v1/jobs", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"]


def test_a_good_model_is_certified_after_all_that(client: httpx.Client) -> None:
    model = upload(client, "/v1/models", DIGITS / "digits.onnx")
    data = upload(client, "/v1/datasets", DIGITS / "digits.npz")
    body = {
        "kind": "segment-certification",
        "model_id": model["id"],
        "dataset_id": data["id"],
        "inputs": {"limit": 3},
        "mutation": {"type": "brightness", "from": 0.0, "to": 0.1},
    }

    assert set(model["sandbox"]) == {"capabilities", "limits", "no_new_privs", "landlock", "seccomp"}
    assert all(state.startswith("on") for state in model["sandbox"].values())
    job = client.post("/v1/jobs", json=body).json()
    done = client.get(f"/v1/jobs/{job['id']}", params={"wait": 60}).json()

    assert done["status"] == "succeeded"
    assert uncollected(seconds=10) == []


def uncollected(seconds: float) -> list[psutil.Process]:
    """Return children that stay dead and uncollected; every child is that for a moment after its end."""
    dead = [one for one in psutil.Process().children(recursive=True) if one.status() == psutil.STATUS_ZOMBIE]
    _, left = psutil.wait_procs(dead, timeout=seconds)
    return left
