from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import rfc8785

from tests.app.serving import Served, code, row


def certified(served: Served, **members: Any) -> dict[str, Any]:
    job = served.job(inputs={"indices": [5, 1, 2]}, **members)
    rows = [
        row(1),
        row(2, "falsified"),
        row(5, "undecided", reason="budget", min_margin={"value": float("inf"), "t": 0.1}),
    ]
    served.work(job["id"], rows)
    served.picture(job["id"], 2, "counterexample.png", b"\x89PNG")
    served.finish(job["id"])
    return served.client.get(f"/v1/jobs/{job['id']}").json()


def test_the_bytes_are_canonical_and_have_the_digest_of_the_job(served: Served) -> None:
    job = certified(served)
    answer = served.client.get(job["certificate"]["href"])
    digest = hashlib.sha256(answer.content)
    assert answer.headers["content-type"] == "application/vnd.in-toto+json"
    assert job["certificate"]["sha256"] == digest.hexdigest()
    assert answer.headers["etag"] == f'"{digest.hexdigest()}"'
    assert answer.headers["content-digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert rfc8785.dumps(json.loads(answer.content)) == answer.content
    same = served.client.get(job["certificate"]["href"] + ".json")
    assert (same.content, same.headers["content-type"]) == (answer.content, "application/json")
    unchanged = served.client.get(
        job["certificate"]["href"], headers={"If-None-Match": answer.headers["etag"]}
    )
    assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_it_says_what_was_shown_about_what(served: Served) -> None:
    job = certified(served, margin=0.25, mutation={"type": "fog", "to": 0.5, "seed": 7})
    statement = served.client.get(job["certificate"]["href"]).json()
    model = served.client.get(f"/v1/models/{job['model_id']}").json()
    dataset = served.client.get(f"/v1/datasets/{job['dataset_id']}").json()
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert [subject["digest"]["sha256"] for subject in statement["subject"]] == [
        hashlib.sha256(b"onnx").hexdigest(), model["graph_sha256"],
    ]  # fmt: skip
    predicate = statement["predicate"]
    assert (predicate["property"]["kind"], predicate["property"]["margin"]) == ("stability", 0.25)
    domain = predicate["domain"]
    assert domain["dataset"]["sha256"] == hashlib.sha256(b"npz").hexdigest()
    assert domain["dataset"]["inputs_sha256"] == dataset["inputs_sha256"]
    assert domain["indices"] == [1, 2, 5]
    assert domain["mutation"] == {"type": "fog", "from": 0.0, "to": 0.5, "seed": 7, "unit": "density"}
    assert domain["preprocessing"] == model["preprocessing"]
    assert (predicate["method"]["arithmetic"], predicate["method"]["analysis"]) == ("real", "complete")
    assert predicate["reproducibility"]["seeds"] == {"mutation": 7}
    assert predicate["reproducibility"]["versions"]["torch"]
    assert predicate["claims_not_made"]


def test_several_mutations_at_once_have_a_parameter_each(served: Served) -> None:
    parts = [{"type": "rotation", "to": 10}, {"type": "fog", "to": 0.5, "seed": 7}]
    job = served.job(inputs={"indices": [2]}, mutation={"type": "box", "mutations": parts})
    there = [
        {"type": "rotation", "t": 0.5, "value": 5.0, "unit": "degrees"},
        {"type": "fog", "t": 1.0, "value": 0.5, "unit": "density"},
    ]
    found = {"t": None, "value": None, "parameters": there, "predicted": 2, "image": "counterexample.png",
             "confirmed_in": ["torch", "onnxruntime"]}  # fmt: skip
    reached = {"t": 0.0, "value": 0.0, "unit": "share", "parameters": there}
    served.work(job["id"], [row(2, "falsified", counterexample=found, certified_to=reached)])
    served.finish(job["id"])
    (shown,) = served.client.get(f"/v1/jobs/{job['id']}/results").json()["items"]
    assert shown["counterexample"]["parameters"] == shown["certified_to"]["parameters"] == there
    assert (shown["counterexample"]["t"], shown["counterexample"]["value"]) == (None, None)
    predicate = served.client.get(f"/v1/jobs/{job['id']}/certificate").json()["predicate"]
    assert "every t in [0, 1]^2" in predicate["property"]["formula"]
    assert "share of t in [0, 1]^2" in predicate["property"]["robust_mass"]
    mutation = predicate["domain"]["mutation"]
    assert [one["unit"] for one in mutation["mutations"]] == ["degrees", "density"]
    assert (mutation["unit"], predicate["domain"]["t"]) == ("share", [[0.0, 1.0]] * 2)
    assert predicate["results"][0]["counterexample"]["parameters"] == there
    assert predicate["reproducibility"]["seeds"] == {"mutation.mutations[1]": 7}
    assert "error_radius" not in predicate["method"]["error_budget"]


def test_it_says_which_executions_it_covers(served: Served) -> None:
    def predicate(**body: object) -> dict[str, Any]:
        return served.client.get(certified(served, **body)["certificate"]["href"]).json()["predicate"]

    real, executed = predicate(), predicate(arithmetic="float32")
    assert (real["method"]["execution"], executed["method"]["arithmetic"]) == ("real numbers", "float32")
    assert "every float32 execution" in executed["method"]["execution"]
    assert any("a runtime that rounds may differ" in claim for claim in real["claims_not_made"])
    assert not any("a runtime that rounds may differ" in claim for claim in executed["claims_not_made"])
    assert any("Winograd" in claim for claim in executed["claims_not_made"])


def test_its_results_are_the_rows(served: Served) -> None:
    predicate = served.client.get(certified(served)["certificate"]["href"]).json()["predicate"]
    one, two, five = predicate["results"]
    assert (one["verdict"], one["robust_mass"], one["error_radius"]) == (
        "certified",
        {"lower": 1, "upper": 1},
        1e-12,
    )
    assert two["counterexample"] == {
        "t": 0.8, "value": 0.16, "predicted": 2, "confirmed_in": ["torch", "onnxruntime"],
        "image_sha256": hashlib.sha256(b"\x89PNG").hexdigest(),
    }  # fmt: skip
    assert (five["reason"], five["min_margin"]) == ("budget", {"value": None, "t": 0.1})
    assert predicate["aggregate"]["certified"] == 1
    assert "seconds" not in json.dumps(predicate)


def test_the_same_work_gives_the_same_statement_but_for_ids_and_moments(served: Served) -> None:
    first, second = (served.client.get(certified(served)["certificate"]["href"]).json() for _ in range(2))
    assert first != second
    for statement in (first, second):
        statement["predicate"]["job"].pop("id")
        statement["predicate"].pop("times")
    assert first == second


def test_it_outlives_the_model_and_the_data(served: Served) -> None:
    job = certified(served)
    before = served.client.get(job["certificate"]["href"]).content
    assert served.client.delete(f"/v1/models/{job['model_id']}").status_code == 204
    assert served.client.delete(f"/v1/datasets/{job['dataset_id']}").status_code == 204
    assert served.client.get(job["certificate"]["href"]).content == before


def test_there_is_none_before_the_job_succeeded(served: Served) -> None:
    job = served.job()
    answer = served.client.get(f"/v1/jobs/{job['id']}/certificate")
    assert (answer.status_code, code(answer)) == (409, "certificate-not-issued")
    served.client.post(f"/v1/jobs/{job['id']}/cancel")
    assert code(served.client.get(f"/v1/jobs/{job['id']}/certificate.json")) == "certificate-not-issued"
