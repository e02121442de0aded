from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.jobs import service
from models import Job, PartialResult, Unit, UnitStatus
from tests.app.serving import Served, code, row


def post(served: Served, job: dict[str, Any], verb: str) -> Any:
    return served.client.post(f"/v1/jobs/{job['id']}/{verb}")


def cancelled(served: Served, **members: Any) -> dict[str, Any]:
    job = served.job(inputs={"limit": 2}, **members)
    assert post(served, job, "cancel").json()["status"] == "cancelled"
    return job


def failed(served: Served, problem: str) -> dict[str, Any]:
    job = served.job(inputs={"limit": 2})
    with served.session() as session:
        service.fail(session, session.get_one(Job, job["id"]), {"type": f"/problems/{problem}"})
        units = session.query(Unit).filter(Unit.subject == job["id"])
        units.update({"status": UnitStatus.CANCELLED, "attempt": 3})
    return job


def states(served: Served, job: dict[str, Any]) -> set[tuple[str, int]]:
    with served.session() as session:
        return {(unit.status, unit.attempt) for unit in session.query(Unit).filter(Unit.subject == job["id"])}


def test_a_cancelled_job_goes_on_with_the_rows_that_it_has(on_each_database: Served) -> None:
    served = on_each_database
    job = served.job(inputs={"limit": 2})
    served.work(job["id"], [row(0)])
    post(served, job, "cancel")
    answer = post(served, job, "resume")
    found = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/jobs/{job['id']}")
    assert (found["status"], found["cancel_requested"], found["error"]) == ("queued", False, None)
    assert (found["started_at"], found["finished_at"], found["progress"]["done"]) == (None, None, 1)
    assert states(served, job) == {("queued", 0)}
    assert len(served.client.get(f"/v1/jobs/{job['id']}/results").json()["items"]) == 1
    assert post(served, job, "resume").json() == found


@pytest.mark.parametrize("problem", ["deadline-exceeded", "worker-lost"])
def test_a_job_that_was_interrupted_goes_on(on_each_database: Served, problem: str) -> None:
    job = failed(on_each_database, problem)
    answer = post(on_each_database, job, "resume")
    assert (answer.status_code, answer.json()["status"], answer.json()["error"]) == (202, "queued", None)
    assert states(on_each_database, job) == {("queued", 0)}


def test_what_would_fail_again_does_not(served: Served) -> None:
    job = failed(served, "invalid-spec")
    answer = post(served, job, "resume")
    assert (answer.status_code, code(answer), answer.json()["status"]) == (409, "job-not-resumable", 409)
    assert states(served, job) == {("cancelled", 3)}


def test_a_job_that_runs_or_has_succeeded_does_not(served: Served) -> None:
    job = served.job(inputs={"limit": 1})
    served.work(job["id"], [row(0)])
    assert (code(post(served, job, "resume")), "running") == ("job-not-resumable", "running")
    served.finish(job["id"])
    answer = post(served, job, "resume")
    assert (answer.status_code, code(answer)) == (409, "job-not-resumable")
    assert "succeeded" in answer.json()["detail"]


def test_other_kinds_do_not(served: Served) -> None:
    asked = {"kind": "precheck", "model_id": served.ready_model(), "dataset_id": served.ready_dataset()}
    job = served.client.post("/v1/jobs", json=asked).json()
    post(served, job, "cancel")
    answer = post(served, job, "resume")
    assert (code(answer), "precheck" in answer.json()["detail"]) == ("job-not-resumable", True)


@pytest.mark.parametrize(("kind", "name"), [("models", "model"), ("datasets", "data set")])
def test_what_it_needs_must_still_be_there(on_each_database: Served, kind: str, name: str) -> None:
    job = cancelled(on_each_database)
    with on_each_database.session() as session:
        session.add(PartialResult(job_id=job["id"], index=0, state={}))
    subject = job["model_id"] if kind == "models" else job["dataset_id"]
    assert on_each_database.client.delete(f"/v1/{kind}/{subject}").status_code == 204
    answer = post(on_each_database, job, "resume")
    assert (answer.status_code, code(answer)) == (409, "job-not-resumable")
    assert name in answer.json()["detail"]
    with on_each_database.session() as session:
        assert session.query(PartialResult).count() == 0


def test_what_it_needs_cannot_be_deleted_then(on_each_database: Served) -> None:
    job = cancelled(on_each_database)
    post(on_each_database, job, "resume")
    assert code(on_each_database.client.delete(f"/v1/models/{job['model_id']}")) == "in-use"


def test_a_resumed_job_counts_among_the_unfinished(served: Served) -> None:
    job = cancelled(served)
    same = {"model_id": job["model_id"], "dataset_id": job["dataset_id"]}
    for _ in range(4):
        served.job(**same)
    answer = post(served, job, "resume")
    assert (answer.status_code, code(answer)) == (429, "too-many-jobs")
    assert served.client.get(f"/v1/jobs/{job['id']}").json()["status"] == "cancelled"


def test_asked_for_at_once_it_goes_on_once(on_each_database: Served) -> None:
    job = cancelled(on_each_database)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: post(on_each_database, job, "resume"), range(4)))
    assert {answer.status_code for answer in answers} == {202}
    assert states(on_each_database, job) == {("queued", 0)}


def test_its_speed_is_that_of_the_present_run(served: Served) -> None:
    job = served.job(inputs={"limit": 6})
    served.work(job["id"], [row(index) for index in range(4)])
    with served.session() as session:
        session.get_one(Job, job["id"]).inputs_done_before = 4
    here = f"/v1/jobs/{job['id']}"
    assert served.client.get(here).json()["progress"]["rate"] is None
    served.work(job["id"], [row(4)])
    progress = served.client.get(here).json()["progress"]
    assert (progress["done"], progress["rate"] > 0) == (5, True)
    assert progress["eta_s"] == pytest.approx(1 / progress["rate"], rel=0.2, abs=0.2)
