"""Lipschitz certifications over HTTP, with bounds and rows as workers leave them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.units import leases, making, outcomes
from app.units.leases import Lease
from app.units.outcomes import Answer
from glocert.spec_lipschitz import LipschitzRow
from models import LipschitzBound, Unit, UnitKind, UnitStatus, now
from tests.app.serving import Served, code

ADMITTED = {"methods": {"segment": {"admitted": "exact"}, "lipschitz": {"admitted": "yes"}}}
REPORT: dict[str, Any] = {"parts": [], "features": 2.0, "scores": 3.0, "pairs": {"median": 1.5}}


def ask(served: Served, **members: Any) -> dict[str, Any]:
    body = {
        "kind": "lipschitz-certification",
        "model_id": members.pop("model_id", None) or served.ready_model(report=ADMITTED),
        "dataset_id": members.pop("dataset_id", None) or served.ready_dataset(),
        "epsilons": [0.1, 0.5],
    } | members
    answer = served.client.post("/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()


def claim(served: Served, job_id: str) -> Lease:
    with served.session() as session:
        lease = leases.claim(session, job_id, "w", 30)
    assert lease is not None
    return lease


def end(served: Served, lease: Lease) -> None:
    with served.session() as session:
        outcomes.complete(session, lease)


def bound_it(served: Served, job_id: str, content: bytes | None = b"constants", key: str = "k") -> None:
    """Carry out the first unit; without content the constants are those of another job."""
    lease = claim(served, job_id)
    assert lease.kind is UnitKind.LIPSCHITZ_BOUND
    found = None if content is None else (REPORT, served.app.state.parts.store.put([content]))
    with served.session() as session:
        outcomes.save_accuracy(session, lease, {"clean_accuracy": 5 / 6, "warning": "look again"}, now())
        making.save_bound(session, lease, key, found, now())
    end(served, lease)


def row(index: int, radius: float, *, right: bool = True) -> LipschitzRow:
    certified = {"0.1": radius > 0.1, "0.5": radius > 0.5}
    robust = {key: holds and right for key, holds in certified.items()}
    reason = ("" if all(robust.values()) else "radius") if right else "misclassified"
    return LipschitzRow(
        index, 1, 1 if right else 2, radius, certified, robust, "global", 0.5, reason=reason, next_step="wait"
    )


ROWS = [row(0, 0.7), row(1, float("inf")), row(2, 0.3), row(3, 0.05), row(4, 0.9, right=False), row(5, 0.0)]


def answer_rows(served: Served, job_id: str) -> None:
    lease = claim(served, job_id)
    assert lease.kind is UnitKind.LIPSCHITZ
    with served.session() as session:
        for index in lease.indices:
            outcomes.save_results(session, lease, [Answer(index, ROWS[index].to_json(), [])], now())
    end(served, lease)


def units(served: Served, job_id: str) -> list[tuple[str, list[int]]]:
    with served.session() as session:
        found = session.query(Unit).filter(Unit.subject == job_id).order_by(Unit.ordinal).all()
        return [(unit.kind, unit.payload["indices"]) for unit in found]


def test_inputs_wait_for_the_bound_and_become_a_certificate(on_each_database: Served) -> None:
    served = on_each_database
    job = ask(served)
    assert job["request"]["norm"] == "l2"
    assert job["request"]["budget"] == {"seconds_per_input": 5.0, "seconds": 3600.0}
    assert units(served, job["id"]) == [(UnitKind.LIPSCHITZ_BOUND, list(range(6)))]
    bound_it(served, job["id"])
    assert units(served, job["id"])[1:] == [(UnitKind.LIPSCHITZ, list(range(6)))]
    shown = served.client.get(f"/v1/jobs/{job['id']}").json()
    assert (shown["status"], shown["summary"], shown["clean_accuracy"]) == ("running", None, 5 / 6)
    answer_rows(served, job["id"])
    done = served.client.get(f"/v1/jobs/{job['id']}").json()
    assert done["status"] == "succeeded", done["error"]
    summary = done["summary"]
    assert summary["vra"] == {"0.1": 3 / 6, "0.5": 2 / 6}
    assert summary["rejection_rate"] == {"0.1": 2 / 6, "0.5": 3 / 6}
    assert summary["certified_but_wrong"] == {"0.1": 1 / 6, "0.5": 1 / 6}
    assert (summary["certified"], summary["undecided"], summary["skipped"]) == (2, 3, 1)
    assert (summary["clean_accuracy"], summary["certified_rate"]) == (5 / 6, 2 / 6)
    assert (summary["bound"], summary["method"], summary["seconds"]) == (REPORT, "global", 3.0)
    assert summary["usefulness"]["verdict"] == "useful"
    assert done["warnings"] == ["look again"]
    check_files(served, job["id"])
    check_certificate(served, done)


def check_files(served: Served, job_id: str) -> None:
    found = served.client.get(f"/v1/jobs/{job_id}/artifacts?limit=100").json()["items"]
    types = {file["name"]: file["media_type"] for file in found}
    assert types == {
        "bound.safetensors": "application/octet-stream",
        "radius-curve.json": "application/json",
        "radius-curve.svg": "image/svg+xml",
    }
    drawn = served.client.get(f"/v1/jobs/{job_id}/artifacts/radius-curve.json")
    assert json.loads(drawn.content) == {"radii": [0.05, 0.3, 0.7], "shares": [4 / 6, 3 / 6, 2 / 6, 1 / 6]}
    assert served.client.get(f"/v1/jobs/{job_id}/artifacts/radius-curve.svg").text.startswith("<svg")


def check_certificate(served: Served, job: dict[str, Any]) -> None:
    statement = served.client.get(f"/v1/jobs/{job['id']}/certificate").json()
    assert statement["predicateType"] == "urn:glocert:certificate:lipschitz:v1"
    predicate = statement["predicate"]
    assert predicate["property"]["epsilons"] == [0.1, 0.5]
    assert predicate["method"]["bound"] == REPORT
    assert predicate["method"]["arithmetic"] == "float32"
    assert [one["radius"] for one in predicate["results"]] == [0.7, None, 0.3, 0.05, 0.9, 0]
    assert predicate["results"][0]["certified"] == {"0.1": True, "0.5": True}
    assert predicate["aggregate"]["vra"] == {"0.1": 3 / 6, "0.5": 2 / 6}
    assert predicate["warnings"] == ["look again"]
    assert "seconds" not in predicate["aggregate"]


def test_rows_are_filtered_by_what_holds_at_the_largest_epsilon(served: Served) -> None:
    job = ask(served)
    bound_it(served, job["id"])
    answer_rows(served, job["id"])

    def indices(verdict: str) -> list[int]:
        found = served.client.get(f"/v1/jobs/{job['id']}/results?verdict={verdict}").json()["items"]
        return [one["index"] for one in found]

    assert indices("certified") == [0, 1]
    assert indices("undecided") == [2, 3, 5]
    assert indices("skipped") == [4]
    assert indices("falsified") == []
    shown = served.client.get(f"/v1/jobs/{job['id']}/results/1").json()
    assert (shown["radius"], shown["robust"], shown["correct"]) == (None, {"0.1": True, "0.5": True}, True)


def test_constants_are_kept_for_the_next_job_and_replaced_by_better_ones(on_each_database: Served) -> None:
    served = on_each_database
    first, second = ask(served), None
    bound_it(served, first["id"])
    same = {"model_id": first["model_id"], "dataset_id": first["dataset_id"]}
    second = ask(served, **same, epsilons=[0.2])
    bound_it(served, second["id"], content=None)
    found = served.client.get(f"/v1/jobs/{second['id']}/artifacts").json()["items"]
    assert served.client.get(found[0]["href"]).content == b"constants"
    third = ask(served, **same)
    bound_it(served, third["id"], b"better constants")
    with served.session() as session:
        (kept,) = session.query(LipschitzBound).all()
        assert kept.size_bytes == len(b"better constants")


def test_a_cancelled_job_queues_no_inputs(served: Served) -> None:
    job = ask(served)
    lease = claim(served, job["id"])
    assert served.client.post(f"/v1/jobs/{job['id']}/cancel").json()["cancel_requested"]
    end(served, lease)
    assert units(served, job["id"]) == [(UnitKind.LIPSCHITZ_BOUND, list(range(6)))]
    assert served.client.get(f"/v1/jobs/{job['id']}").json()["status"] == "cancelled"


def test_a_useless_bound_is_a_warning_with_the_way_out(served: Served) -> None:
    job = ask(served, epsilons=[100.0])
    bound_it(served, job["id"])
    lease = claim(served, job["id"])
    with served.session() as session:
        for index in lease.indices:
            useless = LipschitzRow(
                index,
                1,
                1,
                0.5,
                {"100": False},
                {"100": False},
                "global",
                0.5,
                reason="radius",
                next_step="x",
            )
            outcomes.save_results(session, lease, [Answer(index, useless.to_json(), [])], now())
    end(served, lease)
    done = served.client.get(f"/v1/jobs/{job['id']}").json()
    assert done["summary"]["usefulness"]["verdict"] == "vacuous"
    assert any("vacuous" in warning for warning in done["warnings"])
    assert any("gloro-training" in step for step in done["summary"]["usefulness"]["next_steps"])


def test_units_are_as_large_as_the_method_allows(served: Served) -> None:
    job = ask(served, method="local", budget={"seconds_per_input": 10})
    bound_it(served, job["id"])
    assert [len(indices) for _, indices in units(served, job["id"])[1:]] == [3, 3]
    with served.session() as session:
        waiting = session.query(Unit).filter(Unit.subject == job["id"], Unit.status == UnitStatus.QUEUED)
        assert waiting.count() == 2


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"epsilons": []}, "/epsilons"),
        ({"epsilons": [-0.1]}, "/epsilons/0"),
        ({"epsilons": [0.1, 0.1]}, "/epsilons"),
        ({"epsilons": [1.0] * 65}, "/epsilons"),
        ({"norm": "l3"}, "/norm"),
        ({"method": "guess"}, "/method"),
        ({"arithmetic": "float16"}, "/arithmetic"),
        ({"relaxation": {"top_k": 3}}, "/relaxation/top_k"),
        ({"relaxation": {"affinity": [[0, 1], [3]]}}, "/relaxation/affinity/1"),
        ({"inputs": {"indices": [6]}}, "/inputs/indices/0"),
        ({"budget": {"seconds_per_input": 1e9}}, "/budget/seconds_per_input"),
        ({"margin": 1.0}, "/margin"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_queued(
    steady: Served, members: dict[str, Any], pointer: str
) -> None:
    body = {
        "kind": "lipschitz-certification", "model_id": steady.ready_model(report=ADMITTED),
        "dataset_id": steady.ready_dataset(), "epsilons": [0.1],
    } | members  # fmt: skip
    answer = steady.client.post("/v1/jobs", json=body)
    assert answer.status_code == 422, answer.text
    found = {error.get("pointer") or error.get("where") for error in answer.json()["errors"]}
    assert any(str(one).startswith(pointer) for one in found), found


def test_a_model_without_a_bound_is_refused_by_node(steady: Served) -> None:
    nodes = [{"where": "attention_3", "operator": "MatMul", "detail": "it multiplies two activations"}]
    methods = {"lipschitz": {"admitted": "no", "because": "no constant for MatMul", "nodes": nodes}}
    body = {
        "kind": "lipschitz-certification", "model_id": steady.ready_model(b"attentive", {"methods": methods}),
        "dataset_id": steady.ready_dataset(), "epsilons": [0.1],
    }  # fmt: skip
    answer = steady.client.post("/v1/jobs", json=body)
    assert (answer.status_code, code(answer)) == (422, "invalid-spec")
    assert any("attention_3" in error["detail"] for error in answer.json()["errors"])
