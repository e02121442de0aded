"""Prechecks over HTTP, with answers as workers leave them."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from app.units import leases, outcomes
from models import Job, JobStatus, Unit, UnitKind, now
from tests.app.serving import Served, code

GUESS: dict[str, Any] = {
    "name": "settings of the model", "preprocessing": {"scale": True}, "current": True, "leads": False,
    "items": 6, "right": 3, "accuracy": 0.5, "interval": {"lower": 0.2, "upper": 0.8}, "loss": 0.7,
    "information": 0.1, "label_entropy": 1.0, "labels": None, "mean_margin": 0.3, "not_finite": 0,
}  # fmt: skip
OUTCOME: dict[str, Any] = {
    "model": {"family": "exact"}, "fit": {"layouts": ["NCHW"], "problems": []},
    "labels": {"labelled": True, "problems": []}, "guesses": [GUESS], "recommended": None, "rearranged": [],
    "outputs": None, "warnings": ["half of it is wrong"],
    "estimate": {"measured": 0, "seconds": None, "note": "nothing was measured"},
}  # fmt: skip


def start(served: Served, **members: Any) -> dict[str, Any]:
    model = members.pop("model_id", None) or served.ready_model()
    body = {"dataset_id": members.pop("dataset_id", None) or served.ready_dataset()} | members
    answer = served.client.post(f"/v1/models/{model}/precheck", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    assert answer.headers["retry-after"] == "1"
    return answer.json()


def answer_it(served: Served, job_id: str, outcome: dict[str, Any] | None = None) -> None:
    """Carry out the unit as a worker does."""
    with served.session() as session:
        lease = leases.claim(session, job_id, "w", 30)
    assert lease is not None
    assert lease.kind is UnitKind.PRECHECK
    with served.session() as session:
        outcomes.save_progress(session, lease, 4, now())
    assert served.client.get(f"/v1/jobs/{job_id}").json()["progress"]["done"] == 4
    if outcome is not None:
        with served.session() as session:
            outcomes.save_precheck(session, lease, outcome, now())
        assert served.client.get(f"/v1/jobs/{job_id}").json()["summary"] is None  # not before the end
    with served.session() as session:
        outcomes.complete(session, lease)


def test_a_precheck_is_one_unit(on_each_database: Served) -> None:
    job = start(on_each_database)
    assert (job["kind"], job["status"], job["progress"]["total"]) == ("precheck", "queued", 6)
    assert job["request"] == {
        "kind": "precheck", "model_id": job["model_id"], "dataset_id": job["dataset_id"],
        "inputs": {"limit": 200, "indices": None}, "mutation": None, "budget": {"seconds": 600.0},
        "tags": {}, "priority": 3,
    }  # fmt: skip
    with on_each_database.session() as session:
        (unit,) = session.query(Unit).filter(Unit.subject == job["id"]).all()
        assert (unit.kind, unit.payload) == (UnitKind.PRECHECK, {"indices": list(range(6))})
    answer_it(on_each_database, job["id"], OUTCOME)
    done = on_each_database.client.get(f"/v1/jobs/{job['id']}").json()
    assert (done["status"], done["certificate"], done["clean_accuracy"]) == ("succeeded", None, 0.5)
    assert done["summary"]["guesses"] == [GUESS]
    assert done["warnings"] == OUTCOME["warnings"]
    assert done["progress"]["done"] == 6
    answer = on_each_database.client.get(f"/v1/jobs/{job['id']}/certificate")
    assert (answer.status_code, code(answer)) == (409, "certificate-not-issued")
    assert "certifies nothing" in answer.json()["detail"]


def test_what_a_model_admits_is_there_at_once(served: Served) -> None:
    model = served.ready_model(report={"family": "exact"})
    found = served.client.get(f"/v1/models/{model}/precheck").json()
    assert found["methods"]["segment"] == {"admitted": "exact"}
    assert (found["parameters"], found["nonlinear_units"], found["family"]) == (650, 20, "exact")
    assert (found["job"], found["summary"], found["dataset_id"]) == (None, None, None)


def test_the_newest_finished_precheck_is_shown_beside_the_newest_one(served: Served) -> None:
    first = start(served)
    model, data = first["model_id"], first["dataset_id"]
    address = f"/v1/models/{model}/precheck?dataset_id={data}"
    found = served.client.get(address).json()
    assert (found["job"]["id"], found["job"]["status"], found["summary"]) == (first["id"], "queued", None)
    answer_it(served, first["id"], OUTCOME)
    second = start(served, model_id=model, dataset_id=data, inputs={"limit": 2})
    assert second["id"] != first["id"]
    found = served.client.get(address).json()
    assert found["job"] == {"id": second["id"], "status": "queued", "href": f"/v1/jobs/{second['id']}"}
    assert found["summary"]["guesses"] == [GUESS]


def test_the_same_question_is_asked_once_unless_it_failed(served: Served) -> None:
    first = start(served, mutation={"type": "fog", "to": 0.5}, tags={"a": "b"})
    same = {"model_id": first["model_id"], "dataset_id": first["dataset_id"]}
    assert start(served, **same, mutation={"type": "fog", "to": 0.5, "seed": 0})["id"] == first["id"]
    assert start(served, **same, mutation={"type": "fog", "to": 0.6})["id"] != first["id"]
    posted = served.client.post(
        "/v1/jobs", json={"kind": "precheck", **same, "mutation": {"type": "fog", "to": 0.7}}
    ).json()
    assert start(served, **same, mutation={"type": "fog", "to": 0.7})["id"] == posted["id"]
    served.client.post(f"/v1/jobs/{first['id']}/cancel")
    assert start(served, **same, mutation={"type": "fog", "to": 0.5})["id"] != first["id"]


def test_waiting_ends_with_the_precheck(served: Served) -> None:
    job = start(served)
    address = f"/v1/models/{job['model_id']}/precheck?dataset_id={job['dataset_id']}&wait=20"
    timer = threading.Timer(0.3, answer_it, (served, job["id"], OUTCOME))
    timer.start()
    found = served.client.get(address).json()
    timer.join()
    assert found["job"]["status"] == "succeeded"
    assert found["summary"]["guesses"] == [GUESS]


def test_a_precheck_without_an_answer_fails(served: Served) -> None:
    job = start(served)
    answer_it(served, job["id"])
    done = served.client.get(f"/v1/jobs/{job['id']}").json()
    assert (done["status"], done["error"]["type"]) == ("failed", "/problems/internal-error")


def test_prechecks_are_cancelled_and_overdue_like_other_jobs(served: Served) -> None:
    job = start(served, budget={"seconds": 5})
    cancelled = served.client.post(f"/v1/jobs/{job['id']}/cancel").json()
    assert cancelled["status"] == "cancelled"
    again = start(served, model_id=job["model_id"], dataset_id=job["dataset_id"], budget={"seconds": 5})
    with served.session() as session:
        lease = leases.claim(session, again["id"], "w", 30)
        assert lease is not None
        assert lease.of_job
        assert 0 < lease.seconds_left <= 5
        outcomes.fail_attempt(session, lease, outcomes.WorkerLost("gone"), 1)
    with served.session() as session:
        assert session.get_one(Job, again["id"]).status == JobStatus.FAILED


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"inputs": {"indices": [6]}}, "/inputs/indices/0"),
        ({"inputs": {"limit": 0}}, "/inputs/limit"),
        ({"mutation": {"type": "chord", "item": 6}}, "/mutation/item"),
        ({"budget": {"seconds": 1e9}}, "/budget/seconds"),
        ({"margin": 1}, "/margin"),
    ],
)
def test_what_is_wrong_is_pointed_to(steady: Served, members: dict[str, Any], pointer: str) -> None:
    body = {"dataset_id": steady.ready_dataset()} | members
    answer = steady.client.post(f"/v1/models/{steady.ready_model()}/precheck", json=body)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


def test_wrong_layouts_and_labels_are_what_a_precheck_is_for(served: Served) -> None:
    model = served.ready_model(
        report={"input": {"name": "x", "shape": [5, 4, 3], "dtype": "float32"}, "outputs": [{"shape": [2]}]}
    )
    data = served.ready_dataset(shape=(6, 5, 4, 3), labels=[0, 1, 2, 3, 4, 5])
    refused = served.client.post("/v1/jobs", json=served.body(model_id=model, dataset_id=data))
    assert refused.status_code == 422
    start(served, model_id=model, dataset_id=data)


def test_what_cannot_be_prechecked(served: Served) -> None:
    small = served.ready_dataset(b"small", shape=(6, 3, 3))
    answer = served.client.post(f"/v1/models/{served.ready_model()}/precheck", json={"dataset_id": small})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/dataset_id")
    generator = served.ready_model(b"generator", role="generator")
    answer = served.client.post(
        f"/v1/models/{generator}/precheck", json={"dataset_id": served.ready_dataset()}
    )
    assert answer.json()["errors"][0]["detail"] == (
        "The model is a generator, a classifier or a regressor is needed."
    )
    raw = served.model(b"not inspected")["id"]
    assert code(served.client.get(f"/v1/models/{raw}/precheck")) == "network-not-ready"
    assert served.client.get("/v1/models/mdl_none/precheck").status_code == 404
    unknown = {"dataset_id": "dat_none"}
    answer = served.client.get(f"/v1/models/{served.ready_model()}/precheck", params=unknown)
    assert answer.status_code == 404


def test_owners_see_their_own(keyed: Served) -> None:
    job = start(keyed)
    made = keyed.client.post("/v1/api-keys", json={"name": "x", "owner": "other", "scopes": ["models:read"]})
    headers = {"Authorization": f"Bearer {made.json()['key']}"}
    answer = keyed.client.get(f"/v1/models/{job['model_id']}/precheck", headers=headers)
    assert (answer.status_code, code(answer)) == (403, "forbidden")


def test_properties_are_for_the_roles_that_have_them(served: Served) -> None:
    regressor = served.ready_model(b"regressor", role="regressor", report={"outputs": [{"shape": [1]}]})
    body = served.body(model_id=regressor)
    answer = served.client.post("/v1/jobs", json=body)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["pointer"]) == (422, "/property")
    assert '"type": "band"' in error["way_out"]
    job = served.client.post("/v1/jobs", json=body | {"property": {"type": "band", "width": 0.5}}).json()
    assert job["request"]["property"] == {"type": "band", "width": 0.5}
    with served.session() as session:
        kinds = [unit.kind for unit in session.query(Unit).filter(Unit.subject == job["id"])]
    assert set(kinds) == {UnitKind.SEGMENT}  # values have no accuracy
    scores = served.body(property={"type": "band", "width": 0.5})
    assert served.client.post("/v1/jobs", json=scores).status_code == 202


def test_rows_of_bands_show_centre_and_outputs(served: Served) -> None:
    job = served.job(inputs={"indices": [0]}, property={"type": "band", "width": 0.5})
    band = {
        "index": 0, "label": None, "predicted": None, "verdict": "falsified", "seconds": 0.1,
        "outputs": [0.5, 1.0, 0.0], "centre": [0.5, 1.0, 0.0],
        "counterexample": {
            "t": 0.5, "value": 0.1, "predicted": None, "image": None, "outputs": [2.0, 1.0, 0.0],
            "confirmed_in": ["torch", "onnxruntime"],
        },
    }  # fmt: skip
    served.work(job["id"], [band])
    served.finish(job["id"])
    row = served.client.get(f"/v1/jobs/{job['id']}/results/0").json()
    assert (row["label"], row["centre"], row["counterexample"]["image"]) == (None, [0.5, 1.0, 0.0], None)
    certificate = served.client.get(f"/v1/jobs/{job['id']}/certificate").json()["predicate"]
    assert certificate["property"]["width"] == 0.5
    assert "|y_i(clamp(x(t))) - centre_i| < width" in certificate["property"]["formula"]
    assert certificate["results"][0]["centre"] == [0.5, 1.0, 0.0]
    assert certificate["results"][0]["counterexample"]["outputs"] == [2.0, 1.0, 0.0]
    assert any("centre of a band" in text for text in certificate["claims_not_made"])
