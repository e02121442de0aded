"""Predictions over HTTP: whose files they ask, what is refused, and the file that is left."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx
import numpy as np
import pytest

from app.settings import Settings
from app.units import making, outcomes
from models import UnitKind, now
from tests.app.serving import Served, code, serving
from tests.app.test_gloro_jobs import ADMITTED, claim, make, post

SHAPE = [1, 4, 4]


def wrapped(
    served: Served, model: str, *, shape: list[int] = SHAPE, formats: tuple[str, ...] = ("onnx",)
) -> str:
    """Return a wrapping as a worker leaves it."""
    job = post(served, "gloro-wrap", model_id=model, formats=list(formats)).json()
    manifest = json.dumps({"epsilon": 0.3, "input": {"shape": shape}}).encode()
    names = {"wrapped_onnx": b"onnx file"} if "onnx" in formats else {"wrapped_pt2": b"file"}
    make(served, claim(served, job["id"]), {"epsilon": 0.3}, **names, manifest_json=manifest)
    return str(job["id"])


def ask(served: Served, **body: Any) -> httpx.Response:
    return served.client.post("/v1/jobs", json={"kind": "gloro-prediction"} | body)


def answer(served: Served, job_id: str, count: int) -> None:
    """End the next unit of a prediction with answers that are made up."""
    lease = claim(served, job_id)
    assert lease.kind is UnitKind.GLORO_PREDICTION
    index = np.array(lease.indices)
    out, certified = io.BytesIO(), np.stack([index % 2 == 0, index % 3 == 0], axis=1)
    np.savez(
        out, index=index, epsilons=np.array([0.1, 0.3]),
        answer=np.where(certified, 1, -1), certified=certified,
        best=np.ones_like(index), margin=index / 10, radius=index / 10, inside=index >= 0,
        label=np.where(index == 0, 0, 1), seconds=np.array([0.5]),
    )  # fmt: skip
    blob = served.app.state.parts.store.put([out.getvalue()])
    file = (f"part-{index[0]:010d}.npz", "application/octet-stream", blob)
    with served.session() as session:
        making.save_part(session, lease, file, count, now())
    with served.session() as session:
        making.save_part(session, lease, file, count, now())  # said twice, counted once
    with served.session() as session:
        outcomes.complete(session, lease)


def test_files_of_a_wrapping_answer_in_units_and_leave_one_file(on_each_database: Served) -> None:
    served = on_each_database
    model, data = served.ready_model(report=ADMITTED), served.ready_dataset()
    source = wrapped(served, model)
    job = ask(served, wrap_job_id=source, dataset_id=data, format="csv").json()
    assert (job["model_id"], job["request"]["epsilons"]) == (None, None)
    total = job["progress"]["total"]
    assert (total, job["progress"]["unit"]) == (6, "inputs")
    answer(served, job["id"], total)
    done = served.client.get(f"/v1/jobs/{job['id']}").json()
    assert (done["status"], done["progress"]["done"]) == ("succeeded", total), done["error"]
    summary = done["summary"]
    assert summary["answered"] == {"0.1": 3, "0.3": 2}
    assert summary["rejection_rate"] == {"0.1": 0.5, "0.3": 4 / 6}
    assert summary["vra"] == {"0.1": 2 / 6, "0.3": 1 / 6}
    assert summary["certified_but_wrong"] == {"0.1": 1 / 6, "0.3": 1 / 6}
    assert done["clean_accuracy"] == 5 / 6
    files = {file["name"]: file["href"] for file in summary["artifacts"]}
    assert set(files) == {"predictions.csv", "wrapped.onnx", "manifest.json"}
    lines = served.client.get(files["predictions.csv"]).text.splitlines()
    assert len(lines) == 1 + total
    assert lines[2] == "1,1,1,0.1,0.1,true,,"
    listed = served.client.get(f"/v1/jobs/{job['id']}/artifacts").json()["items"]
    assert {file["name"] for file in listed} == set(files)


def test_a_model_is_wrapped_first_and_its_inputs_wait(served: Served) -> None:
    model, data = served.ready_model(report=ADMITTED), served.ready_dataset()
    job = ask(served, model_id=model, dataset_id=data, epsilons=[0.1, 0.3]).json()
    lease = claim(served, job["id"])
    assert lease.kind is UnitKind.GLORO_WRAP
    make(served, lease, {"epsilon": 0.3}, wrapped_onnx=b"onnx file", manifest_json=b"{}")
    assert served.client.get(f"/v1/jobs/{job['id']}").json()["status"] == "running"
    answer(served, job["id"], 6)
    done = served.client.get(f"/v1/jobs/{job['id']}").json()
    assert (done["status"], done["model_id"]) == ("succeeded", model), done["error"]
    assert "predictions.npz" in {file["name"] for file in done["summary"]["artifacts"]}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, ""),
        ({"model_id": "m", "wrap_job_id": "j", "epsilons": [0.1]}, ""),
        ({"model_id": "m"}, ""),
        ({"model_id": "m", "epsilons": [0.0]}, ""),
        ({"wrap_job_id": "j", "epsilons": [0.1, 0.1]}, ""),
        ({"wrap_job_id": "j", "epsilons": [-0.1]}, "/epsilons/0"),
        ({"wrap_job_id": "j", "format": "xlsx"}, "/format"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(served: Served, body: dict[str, Any], where: str) -> None:
    refused = ask(served, dataset_id="d", **body)
    assert refused.status_code == 422
    assert any(where in error["pointer"] for error in refused.json()["errors"])


def test_predictions_have_a_limit_of_their_own(settings: Settings) -> None:
    with serving(settings.model_copy(update={"max_inputs": 2, "max_predicted": 5})) as served:
        model, data = served.ready_model(report=ADMITTED), served.ready_dataset()
        for body in ({"wrap_job_id": wrapped(served, model)}, {"model_id": model, "epsilons": [0.1]}):
            refused = ask(served, dataset_id=data, **body)
            assert (refused.status_code, code(refused)) == (422, "invalid-spec")
            assert "5 inputs at most, these are 6" in refused.json()["detail"]
            assert ask(served, dataset_id=data, inputs={"limit": 5}, **body).status_code == 202


def test_only_a_finished_wrapping_with_an_onnx_file_is_asked(served: Served) -> None:
    model, data = served.ready_model(report=ADMITTED), served.ready_dataset()
    waiting = post(served, "gloro-wrap", model_id=model, formats=["onnx"]).json()["id"]
    other = wrapped(served, model, formats=("pt2",))
    small = wrapped(served, model, shape=[1, 8, 8])
    body = {"kind": "precheck", "model_id": model, "dataset_id": data}
    precheck = served.client.post("/v1/jobs", json=body).json()["id"]
    for source, said in (
        (waiting, "queued"),
        (other, "no ONNX file"),
        (small, "do not fit"),
        (precheck, "is needed"),
    ):
        refused = ask(served, wrap_job_id=source, dataset_id=data)
        assert (refused.status_code, code(refused)) == (422, "invalid-spec"), refused.text
        assert said in refused.json()["detail"]
    assert ask(served, wrap_job_id="job_none", dataset_id=data).status_code == 404
