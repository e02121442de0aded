from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.jobs import repository as jobs
from app.networks import service
from models import Job
from tests.app.serving import Served, code

PREPROCESSING = '{"mean": [0.1307], "std": [0.3081]}'


def test_an_upload_is_stored_under_its_digest_and_queued(served: Served) -> None:
    answer = served.client.post("/v1/models", files={"file": ("net.onnx", b"bytes")}, data={"name": "mine"})
    model = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/models/{model['id']}")
    assert (model["status"], model["name"], model["filename"]) == ("uploaded", "mine", "net.onnx")
    assert (model["sha256"], model["size_bytes"]) == (hashlib.sha256(b"bytes").hexdigest(), 5)
    assert [path.name for path in served.blobs] == [model["sha256"]]
    assert 'glocert_units{status="queued"} 1.0' in served.client.get("/metrics").text


def test_the_same_upload_is_the_same_model_and_another_setting_another(served: Served) -> None:
    first = served.model(preprocessing=PREPROCESSING)
    again = served.client.post(
        "/v1/models", files={"file": ("other-name.onnx", b"onnx")},
        data={"preprocessing": '{"std": [0.3081], "mean": 0.1307, "scale": true}'},
    )  # fmt: skip
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert served.model()["id"] != first["id"]
    assert served.model(role="encoder", preprocessing=PREPROCESSING)["id"] != first["id"]
    assert len(served.blobs) == 1


def test_two_uploads_at_once_make_one_model(on_each_database: Served) -> None:
    with ThreadPoolExecutor(6) as pool:
        ids = list(pool.map(lambda _: on_each_database.model(b"x" * 30_000)["id"], range(6)))
    assert len(set(ids)) == 1
    assert len(on_each_database.client.get("/v1/models").json()["items"]) == 1
    assert on_each_database.incoming == []


def test_inspection_shows_on_the_model(served: Served) -> None:
    model_id = served.ready_model()
    model = served.client.get(f"/v1/models/{model_id}").json()
    assert (model["status"], model["format"], model["opset"]) == ("ready", "onnx", 17)
    assert model["operators"] == {"Flatten": 1, "Gemm": 2, "Relu": 1}
    assert model["graph_sha256"] == hashlib.sha256(b"graph of onnx").hexdigest()
    assert model["input"]["shape"] == [1, 4, 4]


def test_a_rejection_shows_on_the_model_and_is_final(served: Served) -> None:
    model_id = served.model()["id"]
    problem = {"type": "/problems/unsupported-operators", "title": "t", "errors": [{"where": "/conv/Tanh"}]}
    with served.session() as session:
        service.record_inspection(session, model_id, None, problem, None)
        service.record_inspection(session, model_id, {}, None, "0" * 64)
    model = served.client.get(f"/v1/models/{model_id}").json()
    assert (model["status"], model["rejection"], model["graph_sha256"]) == ("rejected", problem, None)


def test_waiting_ends_with_the_inspection_and_not_before(served: Served) -> None:
    model_id = served.model()["id"]
    begin = time.monotonic()
    answer = served.client.get(f"/v1/models/{model_id}", params={"wait": 0.3})
    assert answer.json()["status"] == "uploaded"
    assert time.monotonic() - begin >= 0.3
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(served.client.get, f"/v1/models/{model_id}", params={"wait": 30})
        time.sleep(0.1)
        assert not waiting.done()
        served.ready_model()
        assert waiting.result().json()["status"] == "ready"


def test_the_file_comes_back_as_it_was(served: Served) -> None:
    model = served.model(b"\x00\xff" * 500)
    answer = served.client.get(f"/v1/models/{model['id']}/file")
    assert answer.content == b"\x00\xff" * 500
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == 'attachment; filename="net.onnx"'


def test_lists_filter_and_page_from_the_newest(on_each_database: Served) -> None:
    served = on_each_database
    ids = [served.model(bytes([n]), name=f"m{n % 2}")["id"] for n in range(5)]
    served.ready_model(bytes([3]))
    first = served.client.get("/v1/models", params={"limit": 2}).json()
    assert [model["id"] for model in first["items"]] == [ids[4], ids[3]]
    served.client.delete(f"/v1/models/{ids[3]}")  # the row that the cursor stands on
    second = served.client.get("/v1/models", params={"limit": 2, "cursor": first["next"]}).json()
    assert [model["id"] for model in second["items"]] == [ids[2], ids[1]]
    third = served.client.get("/v1/models", params={"limit": 2, "cursor": second["next"]}).json()
    assert ([model["id"] for model in third["items"]], third["next"]) == ([ids[0]], None)
    named = served.client.get("/v1/models", params={"name": "m1", "status": "uploaded"}).json()
    assert [model["id"] for model in named["items"]] == [ids[1]]


def test_a_page_is_never_larger_than_the_settings_say(served: Served) -> None:
    for n in range(5):
        served.model(bytes([n]))
    assert len(served.client.get("/v1/models", params={"limit": 1000}).json()["items"]) == 3


def test_deleting_takes_the_blobs_that_nobody_else_needs(on_each_database: Served) -> None:
    served = on_each_database
    first, second = served.ready_model(b"one"), served.ready_model(b"one", role="encoder")
    for path in served.blobs:
        os.utime(path, (0, 0))
    assert served.client.delete(f"/v1/models/{first}").status_code == 204
    assert len(served.blobs) == 2
    assert served.client.delete(f"/v1/models/{second}").status_code == 204
    assert served.blobs == []
    assert code(served.client.get(f"/v1/models/{second}")) == "not-found"


def test_deleting_is_refused_while_a_job_needs_the_model(on_each_database: Served) -> None:
    served = on_each_database
    job = served.job(inputs={"limit": 1})
    answer = served.client.delete(f"/v1/models/{job['model_id']}")
    assert (answer.status_code, code(answer), answer.json()["jobs"]) == (409, "in-use", [job["id"]])
    served.client.post(f"/v1/jobs/{job['id']}/cancel")
    assert served.client.delete(f"/v1/models/{job['model_id']}").status_code == 204
    assert served.client.get(f"/v1/jobs/{job['id']}").json()["model_id"] == job["model_id"]


def test_a_model_that_a_job_needs_besides_stays_until_the_job_has_ended(on_each_database: Served) -> None:
    served = on_each_database
    generator = served.ready_model(b"generator", role="generator")
    job = served.job(inputs={"limit": 1})
    with served.session() as session:
        jobs.add_network(session, job["id"], "generator", generator)
        assert jobs.networks(session, job["id"]) == {"generator": generator}
    answer = served.client.delete(f"/v1/models/{generator}")
    assert (answer.status_code, code(answer), answer.json()["jobs"]) == (409, "in-use", [job["id"]])
    served.client.post(f"/v1/jobs/{job['id']}/cancel")
    assert served.client.delete(f"/v1/models/{generator}").status_code == 204
    with served.session() as session:
        assert jobs.networks(session, job["id"]) == {}


def test_a_job_that_came_in_since_anyone_looked_keeps_its_model(on_each_database: Served) -> None:
    served = on_each_database
    job = served.job(inputs={"limit": 1})
    with served.session() as session:
        jobs.forget_network(session, job["model_id"])
        jobs.forget_dataset(session, job["dataset_id"])
    with served.session() as session:
        kept = session.get_one(Job, job["id"])
        assert (kept.network_id, kept.dataset_id) == (job["model_id"], job["dataset_id"])


def test_deleting_and_queueing_at_once_never_crash(on_each_database: Served) -> None:
    """Whoever is second is told so: the model is in use, or it is not there."""
    served = on_each_database
    seen = set()
    for n in range(6):
        body = served.body(model_id=served.ready_model(bytes([n])), inputs={"limit": 1})
        with ThreadPoolExecutor(2) as pool:
            queued = pool.submit(served.client.post, "/v1/jobs", json=body)
            deleted = pool.submit(served.client.delete, f"/v1/models/{body['model_id']}")
        seen.add((queued.result().status_code, deleted.result().status_code))
        for job in served.client.get("/v1/jobs", params={"status": "queued"}).json()["items"]:
            served.client.post(f"/v1/jobs/{job['id']}/cancel")
        served.client.delete(f"/v1/models/{body['model_id']}")
    assert seen <= {(202, 409), (404, 204)}


def test_the_number_of_models_is_limited(served: Served) -> None:
    for n in range(5):
        served.model(bytes([n]))
    answer = served.client.post("/v1/models", files={"file": ("f", b"more")})
    assert (answer.status_code, code(answer)) == (409, "limit-exceeded")
    assert (answer.json()["limit"], answer.json()["setting"]) == (5, "max_models")
    assert len(served.blobs) == 5
    assert served.model(bytes([1]))["status"] == "uploaded"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"preprocessing": "{"}, "preprocessing"),
        ({"preprocessing": '{"gamma": 1}'}, "preprocessing"),
        ({"preprocessing": '{"std": [0]}'}, "preprocessing"),
        ({"preprocessing": '{"mean": [1, 2], "std": [1, 2, 3]}'}, "preprocessing"),
        ({"preprocessing": '{"domain": [1, 1]}'}, "preprocessing"),
        ({"preprocessing": '{"mean": [NaN]}'}, "preprocessing"),
        ({"input_shape": "[0]"}, "input_shape"),
        ({"classes": '["only"]'}, "classes"),
        ({"role": "judge"}, "role"),
        ({"format": "tflite"}, "format"),
        ({"threshold": "half"}, "threshold"),
        ({"threshold": "NaN"}, "threshold"),
        ({"threshold": "0.5", "decision": "min"}, "threshold"),
        ({"threshold": "0.5", "classes": '["a", "b", "c"]'}, "threshold"),
        ({"threshold": "0.5", "role": "regressor"}, "threshold"),
        ({"decision": "min", "role": "generator"}, "decision"),
        ({"decision": "best"}, "decision"),
        ({"name": "two\nlines"}, "name"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_fields_that_are_not_valid_are_named(steady: Served, fields: dict[str, str], field: str) -> None:
    answer = steady.client.post("/v1/models", files={"file": ("f", b"x")}, data=fields)
    assert (answer.status_code, code(answer)) == (422, "invalid-request")
    assert field in {error["field"] for error in answer.json()["errors"]}
    assert (steady.blobs, steady.incoming) == ([], [])
