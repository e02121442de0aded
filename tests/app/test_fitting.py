from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from app.networks import service as networks
from tests.app.serving import Served, code

LIGHT: dict[str, Any] = {"type": "brightness", "to": 0.1}
BLUR: dict[str, Any] = {"type": "blur", "sigma": 1}


def at_once(*others: dict[str, Any]) -> dict[str, Any]:
    return {"type": "box", "mutations": [LIGHT, *others]}


def cancel(served: Served, answer: httpx.Response) -> None:
    if answer.status_code == 202:
        served.client.post(f"/v1/jobs/{answer.json()['id']}/cancel")


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"colour": 1}, "/colour"),
        ({"mutation": {"type": "rain", "to": 3}}, "/mutation"),
        ({"mutation": {"type": "rotation", "to": 361}}, "/mutation/to"),
        ({"mutation": {"type": "scaling", "from": 0, "to": 2}}, "/mutation/from"),
        ({"mutation": {"type": "shear", "to": 5}}, "/mutation/to"),
        ({"mutation": {"type": "translation", "x": 2000}}, "/mutation/x"),
        ({"mutation": {"type": "translation"}}, "/mutation"),
        ({"mutation": {"type": "blur", "sigma": 0}}, "/mutation/sigma"),
        ({"mutation": {"type": "composite", "steps": []}}, "/mutation/steps"),
        ({"mutation": {"type": "composite", "steps": [{"type": "rain"}]}}, "/mutation/steps/0"),
        (
            {"mutation": {"type": "composite", "steps": [{"type": "chord", "item": 6}]}},
            "/mutation/steps/0/item",
        ),
        (
            {
                "mutation": {
                    "type": "composite",
                    "steps": [{"type": "blur", "sigma": 1}, {"type": "contrast", "from": 0.5, "to": 2}],
                }
            },
            "/mutation/steps/1/from",
        ),
        ({"mutation": {"type": "box"}}, "/mutation/mutations"),
        ({"mutation": {"type": "box", "mutations": [LIGHT]}}, "/mutation/mutations"),
        ({"mutation": {"type": "box", "mutations": [LIGHT] * 4}}, "/mutation/mutations"),
        ({"mutation": at_once({"type": "rain", "to": 1})}, "/mutation/mutations/1"),
        ({"mutation": at_once({"type": "composite", "steps": [LIGHT]})}, "/mutation/mutations/1"),
        ({"mutation": at_once({"type": "box", "mutations": [LIGHT, LIGHT]})}, "/mutation/mutations/1"),
        ({"mutation": at_once({"type": "chord", "item": 3})}, "/mutation/mutations/1/type"),
        ({"mutation": at_once({"type": "fog", "to": 1.5})}, "/mutation/mutations/1/to"),
        ({"mutation": at_once({"type": "translation"})}, "/mutation/mutations/1"),
        ({"mutation": at_once(BLUR, BLUR)}, "/mutation/mutations/2/type"),
        ({"mutation": at_once(BLUR, {"type": "rotation", "to": 3})}, "/mutation/mutations/2/type"),
        ({"mutation": at_once({"type": "shear", "to": 0.1}, BLUR)}, "/mutation/mutations/2/type"),
        ({"mutation": at_once(LIGHT), "partition": True}, "/partition"),
        ({"mutation": at_once(LIGHT), "analysis": "incomplete"}, "/analysis"),
        ({"mutation": at_once(LIGHT), "law": {"type": "beta", "a": 1, "b": 2}}, "/law"),
        ({"mutation": {"type": "brightness"}}, "/mutation/to"),
        ({"mutation": {"type": "brightness", "to": 0.2, "seed": 1}}, "/mutation/seed"),
        ({"mutation": {"type": "brightness", "to": "bright"}}, "/mutation/to"),
        ({"mutation": {"type": "fog", "to": 1.5}}, "/mutation/to"),
        ({"mutation": {"type": "fog", "to": 0.5, "seed": -1}}, "/mutation/seed"),
        ({"mutation": {"type": "noise", "to": 0.5, "seed": 2**32}}, "/mutation/seed"),
        ({"mutation": {"type": "chord", "item": 6}}, "/mutation/item"),
        ({"mutation": {"type": "blend", "to": 1, "overlay": {"item": 6}}}, "/mutation/overlay/item"),
        ({"mutation": {"type": "blend", "to": 1, "overlay": {"png": "?"}}}, "/mutation/overlay/png"),
        ({"inputs": {"limit": 0}}, "/inputs/limit"),
        ({"inputs": {"indices": [0, 0]}}, "/inputs"),
        ({"inputs": {"indices": [0], "limit": 1}}, "/inputs"),
        ({"inputs": {"indices": [0, 6]}}, "/inputs/indices/1"),
        ({"margin": -1}, "/margin"),
        ({"gap": 1.5}, "/gap"),
        ({"arithmetic": "float16"}, "/arithmetic"),
        ({"analysis": "guess"}, "/analysis"),
        ({"analysis": "incomplete", "partition": True}, "/partition"),
        ({"analysis": "incomplete", "method": "local"}, "/method"),
        ({"parts": 0}, "/parts"),
        ({"budget": {"seconds": 1e9}}, "/budget/seconds"),
        ({"budget": {"seconds_per_input": 0}}, "/budget/seconds_per_input"),
        ({"priority": 10}, "/priority"),
        ({"property": {"type": "band"}}, "/property/width"),
        ({"property": {"type": "band", "width": 0}}, "/property/width"),
        ({"property": {"type": "cube"}}, "/property"),
        ({"paired": True}, "/paired"),
        ({"paired": "yes please"}, "/paired"),
        ({"property": {"type": "top_k", "k": 0}}, "/property/k"),
        ({"property": {"type": "top_k", "k": 3}}, "/property/k"),
        ({"property": {"type": "top_k", "k": 2}, "partition": True}, "/partition"),
        ({"property": {"type": "band", "width": 1}, "margin": 0.5}, "/margin"),
        ({"property": {"type": "band", "width": 1}, "partition": True}, "/partition"),
        ({"law": {"type": "cauchy"}}, "/law"),
        ({"law": {"type": "beta", "a": 0, "b": 1}}, "/law/a"),
        ({"law": {"type": "beta", "a": 1.5, "b": 1}}, "/law/a"),
        ({"law": {"type": "truncated-normal", "mean": 0, "std": 0}}, "/law/std"),
        ({"law": {"type": "truncated-normal", "mean": 50, "std": 0.1}}, "/law/mean"),
        ({"law": {"type": "triangular", "mode": -1}}, "/law/mode"),
        ({"law": {"type": "points", "points": [{"value": 9}]}}, "/law/points/0/value"),
        ({"tags": {"a b": "c"}}, "/tags/a b"),
        ({"tags": {"a": "two\nlines"}}, "/tags/a"),
    ],
)
def test_what_is_wrong_is_pointed_to(steady: Served, members: dict[str, Any], pointer: str) -> None:
    answer = steady.client.post("/v1/jobs", json=steady.body(**members))
    assert answer.status_code == 422, answer.text
    assert code(answer) in {"invalid-request", "invalid-spec"}
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_numbers_must_be_finite(steady: Served, number: str) -> None:
    text = json.dumps(steady.body(margin=12345)).replace("12345", number)
    answer = steady.client.post("/v1/jobs", content=text, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/margin")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_0, "\x00", "\ufeff{}", '{"a": ' + "9" * 5000 + "}"])
def test_what_is_no_json_is_malformed_or_not_a_request(steady: Served, text: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = steady.client.post("/v1/jobs", content=text.encode(), headers=headers)
    assert code(answer) in {"malformed-request", "invalid-request"}


def test_bytes_that_are_no_text_are_malformed(steady: Served) -> None:
    headers = {"Content-Type": "application/json"}
    assert (
        code(steady.client.post("/v1/jobs", content=b'{"kind": "\xff"}', headers=headers))
        == "malformed-request"
    )
    answer = steady.client.post("/v1/jobs", content=b'{"\\ud800": "\\ud800"}', headers=headers)
    assert code(answer) == "invalid-request"


def test_other_kinds_are_refused_with_what_is_offered(steady: Served) -> None:
    answer = steady.client.post("/v1/jobs", json={"kind": "model-merging", "epochs": 100})
    assert (answer.status_code, code(answer)) == (422, "kind-not-offered")
    assert answer.json()["offered"] == [
        "segment-certification", "precheck", "lipschitz-certification", "gloro-wrap", "gloro-training",
        "gloro-prediction", "direction-mining", "generator-training",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "taken", "layout", "fits"),
    [
        ((6, 4, 4), [1, 4, 4], "NCHW", True),
        ((6, 4, 4), [16], "NCHW", True),
        ((6, 4, 4), [16, 1], "NCHW", True),
        ((6, 4, 4), [4, 4, 1], "NHWC", True),
        ((6, 16), [1, 4, 4], "NCHW", True),
        ((6, 4, 5, 3), [3, 4, 5], "NCHW", True),
        ((6, 3, 4, 5), [3, 4, 5], "NCHW", True),
        ((6, 4, 5, 3), [4, 5, 3], "NHWC", True),
        ((6, 3, 4, 5), [4, 5, 3], "NHWC", True),
        ((6, 4, 5, 3), [60], "NCHW", True),
        ((6, 4, 4), [1, 5, 5], "NCHW", False),
        ((6, 4, 4), [1, 2, 8], "NCHW", False),
        ((6, 4, 5, 3), [3, 5, 4], "NCHW", False),
    ],
)
def test_items_must_fit_the_network(
    steady: Served, shape: tuple[int, ...], taken: list[int], layout: str, fits: bool
) -> None:
    model = steady.ready_model(
        repr((shape, taken, layout)).encode(),
        report={"input": {"name": "x", "shape": taken, "dtype": "float32"}},
        preprocessing=json.dumps({"layout": layout}),
    )
    body = steady.body(model_id=model, dataset_id=steady.ready_dataset(repr(shape).encode(), shape=shape))
    answer = steady.client.post("/v1/jobs", json=body)
    assert (answer.status_code == 202) is fits, answer.text
    cancel(steady, answer)
    if not fits:
        assert code(answer) == "invalid-spec"
        assert str(list(shape[1:])) in answer.json()["detail"]
        assert str(taken) in answer.json()["detail"]


@pytest.mark.parametrize(
    ("shape", "taken", "layout", "count", "fits"),
    [
        ((6, 4, 5, 3), [3, 4, 5], "NCHW", 3, True),
        ((6, 4, 5, 3), [3, 4, 5], "NCHW", 4, False),
        ((6, 4, 5, 3), [4, 5, 3], "NHWC", 3, True),
        ((6, 4, 5, 3), [4, 5, 3], "NCHW", 3, False),
        ((6, 4, 5, 3), [60], "NCHW", 3, True),
        ((6, 4, 4), [16], "NCHW", 1, True),
        ((6, 4, 4), [16], "NCHW", 16, False),
        ((6, 16), [16], "NCHW", 16, True),
    ],
)
def test_means_must_be_one_per_channel(
    steady: Served, shape: tuple[int, ...], taken: list[int], layout: str, count: int, fits: bool
) -> None:
    model = steady.ready_model(
        repr((shape, taken, layout)).encode(),
        report={"input": {"name": "x", "shape": taken, "dtype": "float32"}},
        preprocessing=json.dumps({"layout": layout, "mean": [0.5] * count}),
    )
    body = steady.body(model_id=model, dataset_id=steady.ready_dataset(repr(shape).encode(), shape=shape))
    answer = steady.client.post("/v1/jobs", json=body)
    assert (answer.status_code == 202) is fits, answer.text
    cancel(steady, answer)


def test_labels_must_be_classes_of_the_network_where_they_are_used(served: Served) -> None:
    dataset = served.ready_dataset(labels=[0, 1, 2, 0, 3, 1])
    body = served.body(dataset_id=dataset)
    answer = served.client.post("/v1/jobs", json=body)
    assert (answer.status_code, code(answer)) == (422, "invalid-spec")
    assert "Row 4 has label 3" in answer.json()["detail"]
    assert served.client.post("/v1/jobs", json=body | {"inputs": {"limit": 4}}).status_code == 202


def test_model_and_data_must_be_ready(served: Served) -> None:
    model, dataset = served.model(b"fresh")["id"], served.dataset(b"fresh")["id"]
    answer = served.client.post("/v1/jobs", json=served.body(model_id=model))
    assert (answer.status_code, code(answer)) == (409, "network-not-ready")
    answer = served.client.post("/v1/jobs", json=served.body(dataset_id=dataset))
    assert (answer.status_code, code(answer)) == (409, "dataset-not-ready")
    with served.session() as session:
        networks.record_inspection(session, model, None, {"title": "no"}, None)
    answer = served.client.post("/v1/jobs", json=served.body(model_id=model))
    assert answer.json()["rejection"] == {"title": "no"}
    assert code(served.client.post("/v1/jobs", json=served.body(model_id="mdl_none"))) == "not-found"


def test_executions_that_nobody_promises_are_refused_by_name(served: Served) -> None:
    nodes = [{"where": f"/act{i}", "operator": "Sigmoid", "detail": "it is not specified"} for i in range(2)]
    methods = {"segment": {"admitted": "enclosure", "unpromised": nodes}}
    model = served.ready_model(report={"methods": methods})
    assert served.client.post("/v1/jobs", json=served.body(model_id=model)).status_code == 202
    answer = served.client.post("/v1/jobs", json=served.body(model_id=model, arithmetic="float32"))
    assert (answer.status_code, code(answer)) == (422, "invalid-spec")
    errors = answer.json()["errors"]
    assert [error["pointer"] for error in errors] == ["/arithmetic"] * 3
    assert [node["where"] in error["detail"] for node, error in zip(nodes, errors[1:], strict=True)] == [
        True
    ] * 2
    assert all("real" in error["way_out"] for error in errors)
    known = served.ready_model(b"known", report={"methods": {"segment": {"admitted": "exact"}}})
    job = served.client.post("/v1/jobs", json=served.body(model_id=known, arithmetic="float32"))
    assert (job.status_code, job.json()["request"]["arithmetic"]) == (202, "float32")


def test_a_model_that_the_method_does_not_admit_is_refused(served: Served) -> None:
    methods = {"segment": {"admitted": "no", "because": "node /act is a Sigmoid"}}
    body = served.body(model_id=served.ready_model(report={"methods": methods}))
    answer = served.client.post("/v1/jobs", json=body)
    assert (answer.status_code, code(answer)) == (422, "invalid-spec")
    assert "node /act is a Sigmoid" in answer.json()["detail"]
    encoder = served.ready_model(b"encoder", role="encoder")
    answer = served.client.post("/v1/jobs", json=served.body(model_id=encoder))
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/model_id")
