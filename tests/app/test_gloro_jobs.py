"""Wrappings and trainings over HTTP, with files and epochs as workers leave them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from app.jobs.gloro import DEFAULTS, GloroTraining
from app.units import leases, making, outcomes
from app.units.leases import Lease
from glocert.gloro.finetune import recipe as fine_tuning_recipe
from glocert.gloro.recipe import Recipe
from models import Network, TrainingEpoch, Unit, UnitKind, UploadStatus, now
from tests.app.serving import Served, code

ADMITTED = {"methods": {"segment": {"admitted": "exact"}, "lipschitz": {"admitted": "yes"}}}
REFUSED = {"methods": {"lipschitz": {"admitted": "no", "because": "no constant for Softmax"}}}
VALIDATION = {"inputs": 6, "clean_accuracy": 0.75, "float32": {"vra": {"0.3": 0.5}}}
MADE: dict[str, Any] = {
    "recipe": {"epsilon": 0.3}, "epochs": 3, "seconds_per_epoch": 0.5, "trained_on": 5, "device": "cpu",
    "certified_over_estimated": 1.001, "validation": VALIDATION, "before": None, "warnings": ["loose"],
}  # fmt: skip


def post(served: Served, kind: str, **members: Any) -> httpx.Response:
    return served.client.post("/v1/jobs", json={"kind": kind, "epsilon": 0.3} | members)


def train(served: Served, **members: Any) -> dict[str, Any]:
    data = members.pop("dataset_id", None) or served.ready_dataset()
    answer = post(served, "gloro-training", dataset_id=data, epochs=3, **members)
    assert answer.status_code == 202, answer.text
    return answer.json()


def claim(served: Served, job_id: str) -> Lease:
    with served.session() as session:
        lease = leases.claim(session, job_id, "w", 30)
    assert lease is not None
    return lease


def save_epoch(served: Served, lease: Lease, number: int, loss: float) -> None:
    with served.session() as session:
        making.save_epoch(session, lease, number, {"number": number, "loss": loss}, now())


def save_checkpoint(served: Served, lease: Lease, content: bytes) -> str:
    blob = served.app.state.parts.store.put([content])
    with served.session() as session:
        making.save_checkpoint(session, lease, blob, now())
    return blob.sha256


def make(served: Served, lease: Lease, outcome: dict[str, Any], **files: bytes) -> None:
    """End a unit that has left files."""
    store = served.app.state.parts.store
    taken = [
        (name.replace("_", "."), "application/octet-stream", store.put([data]))
        for name, data in files.items()
    ]
    with served.session() as session:
        making.save_made(session, lease, outcome, taken, now())
    with served.session() as session:
        outcomes.complete(session, lease)


def test_a_wrapping_is_one_unit_whose_files_are_listed(on_each_database: Served) -> None:
    served = on_each_database
    model = served.ready_model(report=ADMITTED)
    job = post(served, "gloro-wrap", model_id=model, formats=["onnx", "pt2"]).json()
    assert (job["dataset_id"], job["progress"]["total"], job["progress"]["unit"]) == (None, 2, "files")
    lease = claim(served, job["id"])
    assert lease.kind is UnitKind.GLORO_WRAP
    outcome = {"epsilon": 0.3, "bound": {"scores": 2.0}, "checks": {"onnx": {"inputs": 10_000}}}
    make(served, lease, outcome, wrapped_onnx=b"onnx file", manifest_json=b"{}")
    done = served.client.get(f"/v1/jobs/{job['id']}").json()
    assert (done["status"], done["progress"]["done"], done["certificate"]) == ("succeeded", 2, None)
    assert done["summary"]["checks"] == outcome["checks"]
    files = {file["name"]: file["href"] for file in done["summary"]["artifacts"]}
    assert served.client.get(files["wrapped.onnx"]).content == b"onnx file"
    answer = served.client.get(f"/v1/jobs/{job['id']}/certificate")
    assert (answer.status_code, code(answer)) == (409, "certificate-not-issued")


def test_a_training_makes_a_model_of_its_owner(on_each_database: Served) -> None:
    served = on_each_database
    job = train(served, name="robust digits", tags={"a": "b"})
    assert (job["model_id"], job["request"]["architecture"]) == (None, "2c2f")
    assert (job["progress"]["total"], job["progress"]["unit"]) == (3, "epochs")
    lease = claim(served, job["id"])
    assert lease.kind is UnitKind.GLORO_TRAINING
    save_epoch(served, lease, 2, 0.5)
    assert served.client.get(f"/v1/jobs/{job['id']}").json()["progress"]["done"] == 2
    make(served, lease, MADE, model_onnx=b"trained", training_json=b"{}")
    done = served.client.get(f"/v1/jobs/{job['id']}").json()
    assert done["status"] == "succeeded", done["error"]
    assert (done["clean_accuracy"], done["warnings"]) == (0.75, ["loose"])
    assert done["summary"]["validation"] == VALIDATION
    made = served.client.get(f"/v1/models/{done['summary']['model_id']}").json()
    assert (made["name"], made["status"], made["role"]) == ("robust digits", "uploaded", "classifier")
    assert served.client.get(made["links"]["file"]).content == b"trained"
    with served.session() as session:
        waiting = session.query(Unit).filter(Unit.subject == made["id"]).one()
        assert waiting.kind == UnitKind.INSPECT_NETWORK
    listed = served.client.get(f"/v1/jobs?kind=gloro-training&model_id={made['id']}").json()
    assert listed["items"] == []  # the model was made, not trained further


def test_fine_tuning_keeps_the_preprocessing(served: Served) -> None:
    settings = {"mean": [0.1], "std": [0.3]}
    begun = served.ready_model(report=ADMITTED, preprocessing=json.dumps(settings))
    job = train(served, from_model_id=begun)
    assert (job["model_id"], job["request"]["architecture"]) == (begun, None)
    assert [job["request"][name] for name in ("batch", "overshoot", "shift")] == [128, 1.2, 1]
    listed = served.client.get(f"/v1/jobs?model_id={begun}").json()["items"]
    assert [one["id"] for one in listed] == [job["id"]]
    assert code(served.client.delete(f"/v1/models/{begun}")) == "in-use"
    make(served, claim(served, job["id"]), MADE, model_onnx=b"tuned")
    made = served.client.get(f"/v1/jobs/{job['id']}").json()["summary"]["model_id"]
    assert served.client.get(f"/v1/models/{made}").json()["preprocessing"]["mean"] == [0.1]
    assert served.client.delete(f"/v1/models/{begun}").status_code == 204


def test_the_same_training_gives_the_same_model(served: Served) -> None:
    ids = set()
    for _ in range(2):
        job = train(served)
        make(served, claim(served, job["id"]), MADE, model_onnx=b"trained")
        ids.add(served.client.get(f"/v1/jobs/{job['id']}").json()["summary"]["model_id"])
    assert len(ids) == 1


def test_a_training_without_a_model_fails(served: Served) -> None:
    job = train(served)
    make(served, claim(served, job["id"]), MADE, training_json=b"{}")
    done = served.client.get(f"/v1/jobs/{job['id']}").json()
    assert (done["status"], done["error"]["type"]) == ("failed", "/problems/internal-error")


def test_one_checkpoint_is_kept(on_each_database: Served) -> None:
    served = on_each_database
    job = train(served)
    lease = claim(served, job["id"])
    store = served.app.state.parts.store
    first = save_checkpoint(served, lease, b"after one epoch")
    second = save_checkpoint(served, lease, b"after two epochs")
    assert not store.path(first).exists()
    (file,) = served.client.get(f"/v1/jobs/{job['id']}/artifacts").json()["items"]
    assert (file["name"], file["sha256"]) == ("checkpoint", second)
    assert served.client.get(file["href"]).content == b"after two epochs"
    served.client.post(f"/v1/jobs/{job['id']}/cancel")
    with served.session() as session:
        leases.withdraw(session, lease)
    assert served.client.get(f"/v1/jobs/{job['id']}").json()["status"] == "cancelled"
    assert served.client.get(file["href"]).content == b"after two epochs"


def test_a_worker_that_lost_the_unit_changes_nothing(served: Served) -> None:
    job = train(served)
    lost = claim(served, job["id"])
    with served.session() as session:
        leases.release(session, lost)
    claim(served, job["id"])
    blob = served.app.state.parts.store.put([b"late"])
    with pytest.raises(leases.LeaseLost), served.session() as session:
        making.save_checkpoint(session, lost, blob, now())
    with pytest.raises(leases.LeaseLost), served.session() as session:
        making.save_epoch(session, lost, 1, {"number": 1}, now())
    assert served.client.get(f"/v1/jobs/{job['id']}/artifacts").json()["items"] == []
    with served.session() as session:
        assert session.query(TrainingEpoch).count() == 0


def events(served: Served, job_id: str, last: str = "") -> list[tuple[str, str, dict[str, Any]]]:
    """Return kind, id and data of all events of a job that has ended."""
    headers = {"Last-Event-ID": last} if last else {}
    text = served.client.get(f"/v1/jobs/{job_id}/events", headers=headers).text
    found = []
    for block in text.split("\n\n"):
        members = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in members:
            found.append((members["event"], members["id"], json.loads(members["data"])))
    return found


def test_the_learning_curve_is_followed_and_read_on(on_each_database: Served) -> None:
    served = on_each_database
    job = train(served)
    lease = claim(served, job["id"])
    save_epoch(served, lease, 1, 0.9)
    save_epoch(served, lease, 2, 0.8)
    save_epoch(served, lease, 2, 0.7)  # repeated after a crash
    save_epoch(served, lease, 3, 0.6)
    make(served, lease, MADE, model_onnx=b"trained")
    found = events(served, job["id"])
    assert [kind for kind, _, _ in found] == ["epoch", "epoch", "epoch", "job"]
    assert [data["loss"] for kind, _, data in found if kind == "epoch"] == [0.9, 0.7, 0.6]
    assert found[-1][2]["status"] == "succeeded"
    rest = events(served, job["id"], found[1][1])
    assert [(kind, data.get("number")) for kind, _, data in rest] == [("epoch", 3), ("job", None)]
    assert events(served, job["id"], found[-1][1]) == []
    assert [kind for kind, _, _ in events(served, job["id"], "nonsense")] == ["epoch"] * 3 + ["job"]


def test_defaults_are_those_of_the_engine() -> None:
    body = {"kind": "gloro-training", "dataset_id": "d", "epsilon": 0.3}
    fresh = GloroTraining.model_validate(body).stored(1.0)
    tuned = GloroTraining.model_validate(body | {"from_model_id": "m"}).stored(1.0)
    for name, value in Recipe(epsilon=0.3).to_json().items():
        assert fresh[name] == value, name
    for name, value in fine_tuning_recipe(0.3).to_json().items():
        assert tuned[name] == value, name
    assert set(DEFAULTS) <= set(fresh)


def test_data_for_validation_stay_while_they_are_needed(served: Served) -> None:
    held_out = served.ready_dataset(b"held out", labels=(0, 1, 2, 2, 1, 0))
    job = train(served, validation_dataset_id=held_out)
    assert code(served.client.delete(f"/v1/datasets/{held_out}")) == "in-use"
    make(served, claim(served, job["id"]), MADE, model_onnx=b"trained")
    assert served.client.delete(f"/v1/datasets/{held_out}").status_code == 204


def test_a_training_needs_room_for_its_model(served: Served) -> None:
    for number in range(5):
        served.model(b"model %d" % number)
    answer = post(served, "gloro-training", dataset_id=served.ready_dataset())
    assert (answer.status_code, code(answer)) == (409, "limit-exceeded")
    with served.session() as session:
        assert session.query(Network).filter(Network.status == UploadStatus.UPLOADED).count() == 5


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"epsilon": 0}, "/epsilon"),
        ({"epochs": 0}, "/epochs"),
        ({"epochs": 2001}, "/epochs"),
        ({"batch": 5000}, "/batch"),
        ({"warmup": 100}, ""),
        ({"warmup": 3, "epochs": 3}, ""),
        ({"loss": "hinge"}, "/loss"),
        ({"architecture": "resnet"}, "/architecture"),
        ({"width": 3}, "/width"),
        ({"rate": -1}, "/rate"),
        ({"validation_share": 1.0}, "/validation_share"),
        ({"budget": {"seconds": 1e9}}, "/budget/seconds"),
        ({"learning_rate": 1}, "/learning_rate"),
    ],
)
def test_settings_out_of_range_are_named(steady: Served, members: dict[str, Any], pointer: str) -> None:
    answer = post(steady, "gloro-training", dataset_id=steady.ready_dataset(), **members)
    assert answer.status_code == 422, answer.text
    pointers = {str(error.get("pointer") or error.get("where")) for error in answer.json()["errors"]}
    assert any(one.startswith(pointer) for one in pointers), pointers


def test_data_that_cannot_be_learned_from_are_refused(served: Served) -> None:
    unlabelled = served.ready_dataset(b"unlabelled", labels=None)
    flat = served.ready_dataset(b"flat", shape=(6, 16))
    other = served.ready_dataset(b"other", shape=(6, 5, 5))
    for members, word in (
        ({"dataset_id": unlabelled}, "labels"),
        ({"dataset_id": flat}, "images"),
        ({"dataset_id": served.ready_dataset(), "validation_dataset_id": other}, "shape"),
    ):
        answer = post(served, "gloro-training", **members)
        assert (answer.status_code, code(answer)) == (422, "invalid-spec")
        assert word in answer.json()["detail"]


def test_models_that_cannot_be_made_certifiable_are_refused(served: Served) -> None:
    data = served.ready_dataset()
    refused = served.ready_model(b"refused", REFUSED)
    for body in (
        {"kind": "gloro-training", "dataset_id": data, "from_model_id": refused},
        {"kind": "gloro-wrap", "model_id": refused},
    ):
        answer = post(served, **body)
        assert (answer.status_code, code(answer)) == (422, "invalid-spec")
        assert "no constant for Softmax" in answer.json()["detail"]
    both = {"dataset_id": data, "from_model_id": refused, "architecture": "2c2f"}
    assert post(served, "gloro-training", **both).status_code == 422
    assert post(served, "gloro-wrap", model_id=refused, formats=["onnx", "onnx"]).status_code == 422
    assert post(served, "gloro-wrap", model_id=refused, formats=["exe"]).status_code == 422


def test_fine_tuning_can_do_without_labels_but_not_with_too_many_classes(served: Served) -> None:
    begun = served.ready_model(report=ADMITTED)
    assert train(served, from_model_id=begun, dataset_id=served.ready_dataset(b"u", labels=None))["id"]
    many = served.ready_dataset(b"many", labels=(0, 1, 2, 3, 4, 5))
    answer = post(served, "gloro-training", dataset_id=many, from_model_id=begun)
    assert (answer.status_code, code(answer)) == (422, "invalid-spec")
    assert "3 classes" in answer.json()["detail"]
