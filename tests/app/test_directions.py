"""Minings and directions over HTTP, with what workers leave behind."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import ValidationError

from app.jobs import repository as jobs
from app.jobs.mining import MASK_BYTES, MaskPicture
from app.units import leases, making, outcomes
from models import Direction, Unit, UnitKind, now
from tests.app.serving import Served, code

LATENT = 3
GENERATOR: dict[str, Any] = {
    "input": {"name": "z", "shape": [LATENT], "dtype": "float32"},
    "outputs": [{"name": "x", "shape": [1, 4, 4]}],
}
ENCODER: dict[str, Any] = {
    "input": {"name": "x", "shape": [1, 4, 4], "dtype": "float32"},
    "outputs": [{"name": "z", "shape": [LATENT]}],
}
MASK = {"type": "rectangle", "top": 0, "left": 0, "height": 2, "width": 2}
TURN = {"type": "rotation", "from": 0.0, "to": 20.0}


def generator(served: Served, data: bytes = b"generator", **report: Any) -> str:
    return served.ready_model(data, GENERATOR | report, role="generator")


def encoder(served: Served, **report: Any) -> str:
    return served.ready_model(b"encoder", ENCODER | report, role="encoder")


def post(served: Served, **members: Any) -> httpx.Response:
    body = {"kind": "direction-mining", "mode": "global"} | members
    body = body if "generator_id" in body else body | {"generator_id": generator(served)}
    return served.client.post("/v1/jobs", json=body)


def mined(served: Served, **members: Any) -> dict[str, Any]:
    answer = post(served, **members)
    assert answer.status_code == 202, answer.text
    return answer.json()


def found(place: int, **members: Any) -> dict[str, Any]:
    return {
        "name": "rotation", "vector": np.eye(LATENT)[place].tolist(), "extent": 2.0, "leakage": None,
        "scale": {"unit": "degrees", "per_latent": 10.0}, "energy": 1.0 / (1 + place),
        "preview": f"direction-{place}.png", "measures": {"alike": []},
    } | members  # fmt: skip


def finish(served: Served, job: dict[str, Any], *directions: dict[str, Any]) -> None:
    """End a mining as a worker does."""
    store = served.app.state.parts.store
    outcome = {
        "mode": job["request"]["mode"], "codes": {"from": "prior", "count": 8},
        "shared": {"energy_share": 0.9},
        "directions": list(directions), "warnings": ["mind the prior"],
    }  # fmt: skip
    files = [("directions.json", "application/json", store.put([b"{}"]))]
    files += [
        (str(one["preview"]), "image/png", store.put([f"{job['id']} {place}".encode()]))
        for place, one in enumerate(directions)
        if one["preview"]
    ]
    with served.session() as session:
        lease = leases.claim(session, job["id"], "w", 30)
        assert lease is not None
        assert lease.kind is UnitKind.DIRECTION_MINING
        making.save_made(session, lease, outcome, files, now())
    with served.session() as session:
        outcomes.complete(session, lease)


def test_a_mining_is_one_unit_whose_directions_are_kept(on_each_database: Served) -> None:
    served = on_each_database
    job = mined(served, mode="local", mask=MASK, count=2)
    assert (job["kind"], job["model_id"], job["dataset_id"]) == (
        "direction-mining", job["request"]["generator_id"], None,
    )  # fmt: skip
    assert job["progress"] == {"done": 0, "total": 4, "unit": "stages", "rate": None, "eta_s": None}
    assert (job["request"]["method"], job["request"]["samples"]) == ("subspace", 32)
    finish(served, job, found(0, leakage=0.02), found(1, name=None, scale=None, preview=None))
    done = served.client.get(f"/v1/jobs/{job['id']}").json()
    assert (done["status"], done["progress"]["done"], done["warnings"]) == (
        "succeeded",
        4,
        ["mind the prior"],
    )
    summary = done["summary"]
    assert [one["name"] for one in summary["directions"]] == ["rotation", None]
    assert [file["name"] for file in summary["artifacts"]] == ["direction-0.png", "directions.json"]
    first = served.client.get(f"/v1/directions/{summary['directions'][0]['id']}").json()
    assert {name: first[name] for name in ("generator_id", "job_id", "position", "mode", "mask")} == {
        "generator_id": job["model_id"], "job_id": job["id"], "position": 0, "mode": "local",
        "mask": MASK | {"of": None},
    }  # fmt: skip
    assert (first["vector"], first["extent"], first["leakage"]) == ([1.0, 0.0, 0.0], 2.0, 0.02)
    assert first["scale"] == {"unit": "degrees", "per_latent": 10.0}
    picture = served.client.get(summary["directions"][0]["preview"])
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    assert picture.content == f"{job['id']} 0".encode()
    second = summary["directions"][1]
    assert second["preview"] is None
    assert code(served.client.get(f"/v1/directions/{second['id']}/preview.png")) == "not-found"


def test_directions_are_listed_by_generator_job_and_name(served: Served) -> None:
    first = mined(served)
    finish(served, first, found(0), found(1, name="brightness"))
    other = mined(served, generator_id=generator(served, b"other"))
    finish(served, other, found(2))

    def listed(**query: str) -> list[tuple[str, int]]:
        items, cursor = [], {}
        while True:
            page = served.client.get("/v1/directions", params=query | {"limit": "1"} | cursor)
            items += page.json()["items"]
            cursor = {"cursor": page.json()["next"]}
            if cursor["cursor"] is None:
                return [(one["job_id"], one["position"]) for one in items]

    assert sorted(listed()) == sorted([(first["id"], 0), (first["id"], 1), (other["id"], 0)])
    assert listed(generator_id=other["model_id"]) == [(other["id"], 0)]
    assert sorted(listed(job_id=first["id"])) == [(first["id"], 0), (first["id"], 1)]
    assert listed(name="brightness") == [(first["id"], 1)]
    assert listed(name="snow") == []


def test_directions_go_with_a_request_and_with_their_generator(on_each_database: Served) -> None:
    served = on_each_database
    job = mined(served)
    finish(served, job, found(0), found(1))
    ids = [one["id"] for one in served.client.get("/v1/directions").json()["items"]]
    before = len(served.blobs)
    assert served.client.delete(f"/v1/directions/{ids[0]}").status_code == 204
    assert code(served.client.delete(f"/v1/directions/{ids[0]}")) == "not-found"
    assert len(served.blobs) == before  # the job lists the picture among its files
    assert served.client.delete(f"/v1/models/{job['model_id']}").status_code == 204
    assert served.client.get("/v1/directions").json()["items"] == []
    with served.session() as session:
        assert session.query(Direction).count() == 0
    kept = served.client.get(f"/v1/jobs/{job['id']}").json()
    assert len(kept["summary"]["directions"]) == 2


def test_pictures_that_nobody_else_needs_go_with_their_generator(on_each_database: Served) -> None:
    served = on_each_database
    model = generator(served)
    picture = served.app.state.parts.store.put([b"picture"]).sha256
    row = {"vector": [1.0, 0.0, 0.0], "extent": 1.0, "energy": 1.0, "mode": "global"}
    with served.session() as session:
        session.add(Direction(owner="local", generator_id=model, preview_sha256=picture, **row))
    assert picture in {path.name for path in served.blobs}
    assert served.client.delete(f"/v1/models/{model}").status_code == 204
    assert picture not in {path.name for path in served.blobs}


def test_directions_are_their_owners(keyed: Served) -> None:
    job = mined(keyed)
    finish(keyed, job, found(0))
    (one,) = keyed.client.get("/v1/directions").json()["items"]
    other = {"name": "other", "owner": "someone", "scopes": ["models:read", "models:write"]}
    key = keyed.client.post("/v1/api-keys", json=other).json()["key"]
    with httpx.Client(base_url=keyed.url, headers={"Authorization": f"Bearer {key}"}) as stranger:
        assert stranger.get("/v1/directions").json()["items"] == []
        for path in ("", "/preview.png"):
            assert code(stranger.get(f"/v1/directions/{one['id']}{path}")) == "not-found"
        assert code(stranger.delete(f"/v1/directions/{one['id']}")) == "not-found"


def test_a_generator_stays_while_it_is_mined(served: Served) -> None:
    job = mined(served)
    assert code(served.client.delete(f"/v1/models/{job['model_id']}")) == "in-use"


def test_an_encoder_stays_until_the_mining_has_ended(on_each_database: Served) -> None:
    served = on_each_database
    proposes = encoder(served)
    data = served.ready_dataset()
    job = mined(served, encoder_id=proposes, dataset_id=data, samples=4)
    assert (job["request"]["steps"], job["dataset_id"]) == (0, data)
    assert code(served.client.delete(f"/v1/models/{proposes}")) == "in-use"
    with served.session() as session:
        assert jobs.networks(session, job["id"]) == {"encoder": proposes}
        assert session.query(Unit).filter(Unit.subject == job["id"]).one().payload == {
            "indices": [0, 1, 2, 3]
        }
    finish(served, job, found(0))
    assert served.client.delete(f"/v1/models/{proposes}").status_code == 204


def test_inputs_without_an_encoder_are_refined(served: Served) -> None:
    job = mined(served, dataset_id=served.ready_dataset(), inputs={"indices": [5, 1]})
    assert job["request"]["steps"] == 200
    listed = served.client.get("/v1/jobs", params={"model_id": job["model_id"]}).json()["items"]
    assert [one["id"] for one in listed] == [job["id"]]


def test_given_directions_are_told_by_id_or_as_vectors(served: Served) -> None:
    first = mined(served)
    finish(served, first, found(1))
    (one,) = served.client.get("/v1/directions").json()["items"]
    job = mined(served, orthogonal_to=[one["id"], [1.0, 0.0, 2.0]])
    assert job["request"]["orthogonal_to"] == [[0.0, 1.0, 0.0], [1.0, 0.0, 2.0]]
    answer = post(served, generator_id=generator(served, b"other"), orthogonal_to=["dir_0", one["id"]])
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/orthogonal_to/0", "/orthogonal_to/1"]


WRONG: dict[str, tuple[dict[str, Any], set[str]]] = {
    "a mask that is missing": ({"mode": "local"}, {"/mask"}),
    "a mask of nothing": ({"mask": MASK | {"height": 0}}, {"/mask/height"}),
    "a mask of another kind": ({"mask": {"type": "circle"}}, {"/mask"}),
    "a mask that is no picture": ({"mask": {"type": "picture", "png": "AAAA"}}, {"/mask/png"}),
    "no mutation": ({"mode": "derivative"}, {"/mutation"}),
    "a mutation too many": ({"mutation": TURN}, {"/mutation"}),
    "no inputs": ({"mode": "pair", "mutation": TURN}, {"/dataset_id"}),
    "no inputs and no groups": ({"mode": "attribute"}, {"/dataset_id", "/groups"}),
    "a mutation that starts elsewhere": (
        {"mode": "derivative", "mutation": TURN | {"from": 3.0}}, {"/mutation/from"},
    ),
    "a mutation that goes nowhere": (
        {"mode": "derivative", "mutation": TURN | {"to": 0.0}}, {"/mutation/to"},
    ),
    "a chord": ({"mode": "derivative", "mutation": {"type": "chord", "item": 1}}, {"/mutation/type"}),
    "a mutation of steps": (
        {"mode": "derivative", "mutation": {"type": "composite", "steps": [TURN]}}, {"/mutation"},
    ),
    "a translation by nothing": (
        {"mode": "derivative", "mutation": {"type": "translation"}}, {"/mutation"},
    ),
    "a method of another mode": ({"method": "ratio"}, {"/method"}),
    "a method of a mode that has none": (
        {"mode": "derivative", "mutation": TURN, "method": "eigen"}, {"/method"},
    ),
    "a sparsity of no use": ({"sparsity": 0.1}, {"/sparsity"}),
    "a name for many": ({"name": "smile"}, {"/name"}),
    "a mode that there is not": ({"mode": "vertical"}, {"/mode"}),
    "a member that there is not": ({"direction": 1}, {"/direction"}),
    "too many codes": ({"samples": 1000, "neighbours": 64}, {"/samples"}),
    "too many directions": ({"count": 1000}, {"/count"}),
    "too long a budget": ({"budget": {"seconds": 1e9}}, {"/budget/seconds"}),
    "vectors of another length": ({"orthogonal_to": [[1.0]]}, {"/orthogonal_to/0"}),
    "a vector of zeros": ({"orthogonal_to": [[0.0, 0.0, 0.0]]}, {"/orthogonal_to/0"}),
    "vectors that leave nothing": ({"orthogonal_to": np.eye(LATENT).tolist()}, {"/orthogonal_to"}),
    "an encoder without inputs": ({"encoder_id": "ENCODER"}, {"/encoder_id"}),
    "a generator as encoder": ({"encoder_id": "GENERATOR", "dataset_id": "DATA"}, {"/encoder_id"}),
    "an encoder as generator": (
        {"generator_id": "ENCODER"}, {"/generator_id"},
    ),
    "data of another size": ({"dataset_id": "WIDE"}, {"/dataset_id"}),
    "an item that there is not": (
        {"dataset_id": "DATA", "inputs": {"indices": [0, 6]}}, {"/inputs/indices/1"},
    ),
    "labels where there are none": (
        {"mode": "attribute", "dataset_id": "BARE", "groups": {"positive": [1]}}, {"/groups/by"},
    ),
    "a group of one": (
        {"mode": "attribute", "dataset_id": "DATA", "groups": {"by": "item", "positive": [1]}},
        {"/groups/positive"},
    ),
    "a label that there is not": (
        {"mode": "attribute", "dataset_id": "DATA", "groups": {"positive": [1], "negative": [7]}},
        {"/groups/negative"},
    ),
    "items in both groups": (
        {"mode": "attribute", "dataset_id": "DATA",
         "groups": {"by": "item", "positive": [1, 2], "negative": [2, 3]}},
        {"/groups/negative"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def known(steady: Served) -> dict[str, str]:
    return {
        "GENERATOR": generator(steady), "ENCODER": encoder(steady), "DATA": steady.ready_dataset(),
        "WIDE": steady.ready_dataset(b"wide", (6, 5, 5)), "BARE": steady.ready_dataset(b"bare", labels=None),
    }  # fmt: skip


@pytest.mark.parametrize("name", list(WRONG))
def test_what_does_not_fit_is_pointed_at(steady: Served, known: dict[str, str], name: str) -> None:
    members, pointers = WRONG[name]
    body = {"generator_id": "GENERATOR", **members}
    body = {key: known.get(value, value) if isinstance(value, str) else value for key, value in body.items()}
    answer = post(steady, **body)
    assert answer.status_code == 422, answer.text
    errors = answer.json()["errors"]
    assert {error["pointer"] for error in errors} == pointers, errors
    assert all(error["detail"] for error in errors)


def test_a_mask_may_not_be_as_large_as_an_overlay() -> None:
    picture = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(MASK_BYTES)).decode()
    with pytest.raises(ValidationError, match="at most"):
        MaskPicture(type="picture", png=picture)
    assert MaskPicture(type="picture", png=picture[:1000]).png == picture[:1000]


def test_models_that_are_not_ready_are_not_mined(served: Served) -> None:
    waiting = served.model(b"new", role="generator")["id"]
    assert code(post(served, generator_id=waiting)) == "network-not-ready"
    assert code(post(served, generator_id="mdl_0")) == "not-found"
    assert code(post(served, dataset_id="dat_0")) == "not-found"


def test_flat_data_has_no_mask_and_no_rotation(served: Served) -> None:
    flat = generator(served, b"flat", outputs=[{"name": "x", "shape": [16]}])
    answer = post(served, generator_id=flat, mode="derivative", mutation=TURN, mask=MASK)
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/mask", "/mutation/type"}


def test_how_many_directions_an_owner_keeps_is_limited(served: Served) -> None:
    served.app.state.parts.settings = served.settings.model_copy(update={"max_kept_directions": 6})
    job = mined(served, count=5)
    finish(served, job, found(0), found(1))
    answer = post(served, generator_id=job["model_id"], count=5)
    assert (code(answer), answer.json()["setting"]) == ("limit-exceeded", "max_kept_directions")
    assert post(served, generator_id=job["model_id"], count=4).status_code == 202
