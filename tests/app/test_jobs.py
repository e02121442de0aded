from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.errors import InUse
from app.jobs import service
from app.keys.service import LOCAL
from app.networks import service as networks
from models import Job, Unit, UnitKind
from tests.app.serving import Served, code, row, serving


def test_a_job_is_queued_with_every_default_filled_in(on_each_database: Served) -> None:
    served = on_each_database
    body = served.body(tags={"commit": "abc"}, inputs={"indices": [4, 0, 2]})
    answer = served.client.post("/v1/jobs", json=body)
    job = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/jobs/{job['id']}")
    assert (answer.headers["retry-after"], job["status"]) == ("1", "queued")
    assert job["request"] == body | {
        "inputs": {"limit": None, "indices": [4, 0, 2]}, "analysis": "complete", "arithmetic": "real",
        "property": {"type": "label"},
        "margin": 0.0, "gap": 0.001, "budget": {"seconds_per_input": 30.0, "seconds": 3600.0},
        "partition": False, "priority": 3, "law": {"type": "uniform"}, "paired": False,
        "method": "crown", "parts": 1,
    }  # fmt: skip
    assert job["progress"] == {"done": 0, "total": 3, "unit": "inputs", "rate": None, "eta_s": None}
    with served.session() as session:
        units = session.query(Unit).filter(Unit.subject == job["id"]).order_by(Unit.ordinal).all()
        assert units[0].kind == UnitKind.ACCURACY
        assert [index for unit in units[1:] for index in unit.payload["indices"]] == [4, 0, 2]


PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()


@pytest.mark.parametrize(
    ("mutation", "stored"),
    [
        ({"type": "brightness", "to": 0.2}, {"from": 0.0, "to": 0.2}),
        ({"type": "contrast", "to": 2}, {"from": 1.0, "to": 2.0, "about": 0.5}),
        ({"type": "fog", "to": 1, "seed": 7}, {"from": 0.0, "to": 1.0, "seed": 7}),
        ({"type": "haze", "to": 0.5}, {"from": 0.0, "to": 0.5, "seed": 0}),
        ({"type": "noise", "to": 0.1}, {"from": 0.0, "to": 0.1, "seed": 0}),
        (
            {"type": "blend", "to": 1, "overlay": {"png": PNG}},
            {"from": 0.0, "to": 1.0, "overlay": {"png": PNG}},
        ),
        ({"type": "chord", "item": 5}, {"from": 0.0, "to": 1.0, "item": 5}),
        ({"type": "rotation", "to": 30}, {"from": 0.0, "to": 30.0}),
        ({"type": "scaling", "to": 1.2}, {"from": 1.0, "to": 1.2}),
        ({"type": "shear", "to": 0.2}, {"from": 0.0, "to": 0.2}),
        ({"type": "translation", "x": 2}, {"x": 2.0, "y": 0.0}),
        ({"type": "blur", "sigma": 1.5}, {"sigma": 1.5}),
        (
            {"type": "composite", "steps": [{"type": "rotation", "to": 3}, {"type": "fog", "to": 1}]},
            {
                "steps": [
                    {"type": "rotation", "from": 0.0, "to": 3.0},
                    {"type": "fog", "from": 0.0, "to": 1.0, "seed": 0},
                ]
            },
        ),
        (
            {
                "type": "box",
                "mutations": [{"type": "rotation", "to": 3}, {"type": "fog", "to": 1, "seed": 2}],
            },
            {
                "mutations": [
                    {"type": "rotation", "from": 0.0, "to": 3.0},
                    {"type": "fog", "from": 0.0, "to": 1.0, "seed": 2},
                ]
            },
        ),
        (
            {"type": "blend", "to": 1, "overlay": {"item": 5}},
            {"from": 0.0, "to": 1.0, "overlay": {"item": 5}},
        ),
        (
            {"type": "blend", "to": 1, "overlay": {"level": 0.5}},
            {"from": 0.0, "to": 1.0, "overlay": {"level": 0.5}},
        ),
    ],
)
def test_every_mutation_is_taken(served: Served, mutation: dict[str, Any], stored: dict[str, Any]) -> None:
    job = served.job(mutation=mutation)
    assert job["request"]["mutation"] == {"type": mutation["type"]} | stored


def test_inputs_and_unfinished_jobs_are_limited(served: Served) -> None:
    many = served.ready_dataset(b"many", shape=(21, 4, 4), labels=None)
    answer = served.client.post("/v1/jobs", json=served.body(dataset_id=many))
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/inputs")
    body = served.body(dataset_id=many, inputs={"limit": 20})
    ids = [served.client.post("/v1/jobs", json=body).json()["id"] for _ in range(4)]
    answer = served.client.post("/v1/jobs", json=body)
    assert (answer.status_code, code(answer), answer.json()["setting"]) == (
        429,
        "too-many-jobs",
        "max_active_jobs",
    )
    assert int(answer.headers["retry-after"]) > 0
    served.client.post(f"/v1/jobs/{ids[0]}/cancel")
    assert served.client.post("/v1/jobs", json=body).status_code == 202


def test_a_repeated_key_gives_the_first_job_and_another_body_is_refused(on_each_database: Served) -> None:
    served, key = on_each_database, {"Idempotency-Key": "release-7"}
    body = served.body()
    first = served.client.post("/v1/jobs", json=body, headers=key)
    again = served.client.post("/v1/jobs", json=body | {"margin": 0.0, "tags": {}}, headers=key)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["location"] == first.headers["location"]
    other = served.client.post("/v1/jobs", json=body | {"margin": 0.1}, headers=key)
    assert (other.status_code, code(other)) == (422, "idempotency-mismatch")
    assert len(served.client.get("/v1/jobs").json()["items"]) == 1


def test_keys_at_once_make_one_job_with_one_set_of_units(on_each_database: Served) -> None:
    served, key = on_each_database, {"Idempotency-Key": "at-once"}
    body = served.body()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: served.client.post("/v1/jobs", json=body, headers=key), range(8)))
    assert {answer.status_code for answer in answers} == {202}
    (job_id,) = {answer.json()["id"] for answer in answers}
    with served.session() as session:
        ordinals = [unit.ordinal for unit in session.query(Unit).filter(Unit.subject == job_id)]
        assert session.query(Job).count() == 1
    assert len(ordinals) == len(set(ordinals)) >= 2


def test_the_limit_of_jobs_holds_at_once(on_each_database: Served) -> None:
    served = on_each_database
    body = served.body()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: served.client.post("/v1/jobs", json=body), range(8)))
    assert sorted(answer.status_code for answer in answers) == [202] * 4 + [429] * 4


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "ümlaut"])
def test_keys_are_short_and_plain(steady: Served, key: str) -> None:
    headers = {"Idempotency-Key": key.encode()}
    answer = steady.client.post("/v1/jobs", json=steady.body(), headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["header"]) == (422, "Idempotency-Key")


def test_an_etag_saves_the_body_until_something_changes(served: Served) -> None:
    job = served.job()
    address = f"/v1/jobs/{job['id']}"
    first = served.client.get(address)
    tag = {"If-None-Match": first.headers["etag"]}
    again = served.client.get(address, headers=tag)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    served.work(job["id"], [row(0)])
    changed = served.client.get(address, headers=tag)
    assert (changed.status_code, changed.json()["progress"]["done"]) == (200, 1)
    assert changed.headers["etag"] != first.headers["etag"]


def test_waiting_ends_with_the_job_and_with_a_tag_at_the_next_change(served: Served) -> None:
    job = served.job(inputs={"limit": 2})
    address, tag = (
        f"/v1/jobs/{job['id']}",
        {"If-None-Match": served.client.get(f"/v1/jobs/{job['id']}").headers["etag"]},
    )
    with ThreadPoolExecutor(2) as pool:
        end = pool.submit(served.client.get, address, params={"wait": 30})
        change = pool.submit(served.client.get, address, params={"wait": 30}, headers=tag)
        time.sleep(0.2)
        assert not change.done()
        served.work(job["id"], [row(0)])
        assert change.result().json()["status"] == "running"
        time.sleep(0.2)
        assert not end.done()
        served.work(job["id"], [row(1)])
        served.finish(job["id"])
        assert end.result().json()["status"] == "succeeded"
        assert "retry-after" not in end.result().headers


def test_a_wait_is_capped_and_holds_no_thread(served: Served) -> None:
    address, begin = f"/v1/jobs/{served.job()['id']}", time.monotonic()
    with ThreadPoolExecutor(60) as pool:
        waiting = [pool.submit(served.client.get, address, params={"wait": 3000}) for _ in range(60)]
        time.sleep(0.5)
        assert served.client.get("/healthz", timeout=3).status_code == 200
        assert {answer.result().status_code for answer in waiting} == {200}
    assert time.monotonic() - begin < 25


def test_a_finished_job_has_summary_and_times(on_each_database: Served) -> None:
    served = on_each_database
    job_id = served.job()["id"]
    with served.session() as session:
        service.record_accuracy(
            session, session.get_one(Job, job_id), {"clean_accuracy": 0.5, "warning": "near chance"}
        )
    running = served.client.get(f"/v1/jobs/{job_id}").json()
    assert (running["clean_accuracy"], running["warnings"], running["summary"]) == (
        0.5,
        ["near chance"],
        None,
    )
    verdicts = ["certified", "certified", "falsified", "undecided", "skipped", "certified"]
    served.work(job_id, [row(index, verdict) for index, verdict in enumerate(verdicts)])
    served.finish(job_id)
    job = served.client.get(f"/v1/jobs/{job_id}").json()
    assert job["status"] == "succeeded"
    mass = job["summary"].pop("robust_mass")
    assert job["summary"] == {
        "inputs": 6, "certified": 3, "falsified": 1, "undecided": 1, "skipped": 1, "clean_accuracy": 0.5,
        "certified_rate": 0.5, "seconds": 3.0, "arithmetic": "real",
    }  # fmt: skip
    assert mass.pop("law") == "uniform"
    assert mass == {"lower": pytest.approx(0.65, abs=1e-12), "upper": pytest.approx(0.86, abs=1e-12)}
    assert job["finished_at"] is not None


def test_a_job_with_missing_rows_fails_instead_of_certifying(served: Served) -> None:
    job_id = served.job()["id"]
    served.work(job_id, [row(0)])
    served.finish(job_id)
    job = served.client.get(f"/v1/jobs/{job_id}").json()
    assert (job["status"], job["certificate"]) == ("failed", None)
    assert "5 of 6 results are missing" in job["error"]["detail"]


def test_an_ended_job_stays_as_it_is(served: Served) -> None:
    job_id = served.job(inputs={"limit": 1})["id"]
    with served.session() as session:
        service.fail(session, session.get_one(Job, job_id), {"type": "/problems/worker-lost"})
    with served.session() as session:
        service.finish(session, session.get_one(Job, job_id))
        service.fail(session, session.get_one(Job, job_id), {"type": "/problems/deadline-exceeded"})
    job = served.client.get(f"/v1/jobs/{job_id}").json()
    assert (job["status"], job["error"]) == ("failed", {"type": "/problems/worker-lost"})
    answer = served.client.post(f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, code(answer)) == (409, "job-finished")


def test_a_queued_job_is_cancelled_at_once(on_each_database: Served) -> None:
    job_id = on_each_database.job()["id"]
    answer = on_each_database.client.post(f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert code(on_each_database.client.post(f"/v1/jobs/{job_id}/cancel")) == "job-finished"


def test_lists_filter_by_status_model_and_tag(on_each_database: Served) -> None:
    served = on_each_database
    one = served.job(tags={"commit": "abc", "ci": ""})
    two = served.job(tags={"commit": "def"})
    three = served.job(model_id=served.ready_model(b"other"))
    served.client.post(f"/v1/jobs/{two['id']}/cancel")

    def ids(**filters: str) -> list[str]:
        return [job["id"] for job in served.client.get("/v1/jobs", params=filters).json()["items"]]

    assert ids() == [three["id"], two["id"], one["id"]]
    assert ids(tag="commit") == [two["id"], one["id"]]
    assert ids(tag="commit:abc") == ids(tag="ci") == ids(tag="ci:") == [one["id"]]
    assert ids(status="cancelled") == [two["id"]]
    assert ids(model_id=three["model_id"]) == [three["id"]]
    assert ids(kind="segment-certification", status="queued") == [three["id"], one["id"]]


def test_events_begin_with_the_state_and_end_with_the_job(served: Served) -> None:
    job_id = served.job(inputs={"limit": 1})["id"]
    with ThreadPoolExecutor(1) as pool:
        stream = pool.submit(served.client.get, f"/v1/jobs/{job_id}/events")
        time.sleep(0.2)
        served.work(job_id, [row(0)])
        time.sleep(0.8)
        served.finish(job_id)
        events = _events(stream.result().text)
    assert stream.result().headers["content-type"].startswith("text/event-stream")
    assert [event["data"]["status"] for event in events] == ["queued", "running", "succeeded"]
    assert all(event["event"] == "job" for event in events)
    last = {"Last-Event-ID": events[-1]["id"]}
    assert _events(served.client.get(f"/v1/jobs/{job_id}/events", headers=last).text) == []
    resumed = served.client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": events[0]["id"]}).text
    assert [event["data"]["status"] for event in _events(resumed)] == ["succeeded"]
    assert code(served.client.get("/v1/jobs/job_none/events")) == "not-found"


def _events(text: str) -> list[dict[str, Any]]:
    blocks = [
        dict(line.split(": ", 1) for line in block.splitlines())
        for block in text.strip().split("\n\n")
        if block
    ]
    return [block | {"data": json.loads(block["data"])} for block in blocks if "data" in block]


def test_a_model_that_goes_between_the_look_and_the_insert(
    served: Served, migrated_postgres_url: str
) -> None:
    """PostgreSQL lets two transactions overlap: the second one finds the model in use, or gone."""
    settings = served.settings.model_copy(update={"database_url": migrated_postgres_url})
    with serving(settings) as other:
        body = other.body(inputs={"limit": 1})
        with other.app.state.parts.sessions() as deleting, deleting.begin():
            network = networks.get(deleting, LOCAL, body["model_id"])
            queued = other.client.post("/v1/jobs", json=body)
            assert queued.status_code == 202
            with pytest.raises(InUse):
                networks.delete(deleting, LOCAL, network.id)
        other.client.post(f"/v1/jobs/{queued.json()['id']}/cancel")
        with other.app.state.parts.sessions() as deleting, ThreadPoolExecutor(1) as pool:
            networks.delete(deleting, LOCAL, network.id)
            waiting = pool.submit(other.client.post, "/v1/jobs", json=body)
            time.sleep(0.3)  # it has seen the model and waits for our row
            deleting.commit()
            answer = waiting.result()
    assert (answer.status_code, code(answer)) == (404, "not-found")
