"""Requests for mutations through a generator over HTTP: what is filled in, what is refused, what stays."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.jobs import repository as jobs
from app.units.sizing import inputs_per_latent_unit, inputs_per_unit
from models import Direction, Job, JobStatus, Network
from tests.app.serving import Served, code
from tests.app.test_directions import MASK, encoder, generator

VECTOR = [3.0, 0.0, 4.0]
UNIT = [0.6, 0.0, 0.8]


def mutation(served: Served, **members: Any) -> dict[str, Any]:
    body = {"type": "latent", "direction": VECTOR, "extent": 2.0} | members
    body = {name: value for name, value in body.items() if value is not None}
    return (
        body if {"generator_id", "direction_id"} & body.keys() else body | {"generator_id": generator(served)}
    )


def post(served: Served, asked: dict[str, Any], **members: Any) -> httpx.Response:
    body = {
        "kind": "segment-certification", "model_id": served.ready_model(),
        "dataset_id": served.ready_dataset(), "mutation": asked,
    }  # fmt: skip
    return served.client.post("/v1/jobs", json=body | members)


def known(served: Served, generator_id: str, **members: Any) -> str:
    """Insert a direction and return its id."""
    usual = {"mode": "local", "name": "rotation", "vector": UNIT, "extent": 1.5, "energy": 1.0, "mask": MASK,
             "scale": {"unit": "degrees", "per_latent": 12.0}}  # fmt: skip
    with served.session() as session:
        row = Direction(owner="anonymous", generator_id=generator_id, **(usual | members))
        row.owner = session.get_one(Network, generator_id).owner
        session.add(row)
        session.commit()
        return row.id


def test_a_direction_says_everything_else(on_each_database: Served) -> None:
    served = on_each_database
    made = generator(served)
    with served.session() as session:
        session.get_one(Network, made).card = {"prior": "uniform"}
        session.commit()
    one = known(served, made)
    answer = post(served, {"type": "latent", "direction_id": one})
    assert answer.status_code == 202, answer.text
    asked = answer.json()["request"]["mutation"]
    assert asked["generator_id"] == made
    assert (asked["direction"], asked["from"], asked["extent"]) == (UNIT, 0.0, 1.5)
    assert (asked["anchor"], asked["prior"]) == ("residual", "uniform")
    assert asked["scale"] == {"unit": "degrees", "per_latent": 12.0}
    assert asked["mask"]["height"] == 2
    assert (asked["gates"]["psnr"], asked["encoding"]["steps"]) == (20.0, 500)
    again = served.client.get(f"/v1/jobs/{answer.json()['id']}").json()["request"]["mutation"]
    assert again == asked


def test_a_card_says_how_wide_codes_are(served: Served) -> None:
    made = generator(served)
    with served.session() as session:
        session.get_one(Network, made).card = {"prior": "normal", "spreads": [2.0, 1.0, 0.5]}
        session.commit()
    one = known(served, made)
    asked = [
        post(served, {"type": "latent", "direction_id": one, **members}).json()["request"]["mutation"]
        for members in ({}, {"prior": "normal"}, {"spreads": [1.0, 1.0, 3.0]})
    ]
    assert [mutation["spreads"] for mutation in asked] == [[2.0, 1.0, 0.5], None, [1.0, 1.0, 3.0]]


def test_spreads_do_not_go_with_a_card_that_says_uniform(served: Served) -> None:
    made = generator(served)
    with served.session() as session:
        session.get_one(Network, made).card = {"prior": "uniform"}
        session.commit()
    answer = post(served, {"type": "latent", "direction_id": known(served, made), "spreads": [1.0, 1.0, 1.0]})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/mutation/spreads"]


def test_what_a_caller_says_counts_before_the_direction(served: Served) -> None:
    one = known(served, generator(served))
    members = {"extent": -0.5, "prior": "normal", "scale": {"unit": "px", "per_latent": -2.0}}
    answer = post(served, {"type": "latent", "direction_id": one, **members})
    assert answer.status_code == 202, answer.text
    asked = answer.json()["request"]["mutation"]
    assert {name: asked[name] for name in members} == members


def test_vectors_are_brought_to_length_one(served: Served) -> None:
    asked = post(served, mutation(served)).json()["request"]["mutation"]
    assert asked["direction"] == pytest.approx(UNIT)
    assert "direction_id" not in {name for name, value in asked.items() if value is not None}


def test_an_axis_is_a_unit_vector(served: Served) -> None:
    for axis, place in ((0, 0), (-1, 2)):
        asked = post(served, mutation(served, direction=None, axis=axis)).json()["request"]["mutation"]
        assert asked["direction"] == [float(at == place) for at in range(3)]


def test_generator_and_encoder_stay_until_the_end(served: Served) -> None:
    proposes = encoder(served)
    job = post(served, mutation(served, encoder_id=proposes)).json()
    made = job["request"]["mutation"]["generator_id"]
    for one in (made, proposes):
        assert code(served.client.delete(f"/v1/models/{one}")) == "in-use"
    with served.session() as session:
        assert jobs.networks(session, job["id"]) == {"generator": made, "encoder": proposes}
        session.get_one(Job, job["id"]).status = JobStatus.CANCELLED
        session.commit()
    assert served.client.delete(f"/v1/models/{proposes}").status_code == 204
    answer = served.client.post(f"/v1/jobs/{job['id']}/resume")
    assert code(answer) == "job-not-resumable"
    assert "encoder" in answer.json()["detail"]


def test_two_directions_at_once_are_of_one_generator(served: Served) -> None:
    first = mutation(served)
    second = first | {"direction": [0.0, 1.0, 0.0]}
    box = {"type": "box", "mutations": [first, second]}
    assert post(served, box).status_code == 202
    apart = {"type": "box", "mutations": [first, second | {"anchor": "generated"}]}
    assert pointers(post(served, apart)) == {"/mutation/mutations/1/anchor"}
    other = {"type": "box", "mutations": [first, second | {"generator_id": generator(served, b"another")}]}
    assert pointers(post(served, other)) == {"/mutation/mutations/1/generator_id"}
    mixed = {"type": "box", "mutations": [first, {"type": "brightness", "to": 0.1}]}
    assert pointers(post(served, mixed)) == {"/mutation/mutations/1/type"}


def pointers(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 422, answer.text
    assert all(error["detail"] for error in answer.json()["errors"])
    return {error["pointer"] for error in answer.json()["errors"]}


WRONG: dict[str, tuple[dict[str, Any], set[str]]] = {
    "no direction": ({"direction": None}, {"/mutation/direction"}),
    "two directions": ({"direction_id": "DIRECTION"}, {"/mutation/direction"}),
    "a direction that there is not": (
        {"direction": None, "direction_id": "dir_0"}, {"/mutation/direction_id"},
    ),
    "another generator's direction": (
        {"direction": None, "direction_id": "DIRECTION", "generator_id": "OTHER"}, {"/mutation/direction_id"},
    ),
    "a classifier as generator": (
        {"generator_id": "MODEL"}, {"/mutation/generator_id", "/mutation/direction"},
    ),
    "a generator as encoder": ({"encoder_id": "GENERATOR"}, {"/mutation/encoder_id"}),
    "images of another size": (
        {"generator_id": "WIDE"}, {"/mutation/generator_id"},
    ),
    "a direction of another length": ({"direction": [1.0]}, {"/mutation/direction"}),
    "a direction of zeros": ({"direction": [0.0, 0.0, 0.0]}, {"/mutation/direction"}),
    "an axis that there is not": ({"direction": None, "axis": 3}, {"/mutation/axis"}),
    "an axis and a direction": ({"axis": 1}, {"/mutation/direction"}),
    "no extent": ({"extent": None}, {"/mutation/extent"}),
    "a path of no length": ({"from": 2.0}, {"/mutation/extent"}),
    "no way along a known direction": (
        {"direction": None, "direction_id": "DIRECTION", "extent": 0.0}, {"/mutation/extent"},
    ),
    "an anchor that there is not": ({"anchor": "floating"}, {"/mutation/latent/anchor"}),
    "a prior that there is not": ({"prior": "cauchy"}, {"/mutation/latent/prior"}),
    "spreads of another length": ({"spreads": [1.0]}, {"/mutation/spreads"}),
    "spreads of a uniform prior": (
        {"prior": "uniform", "spreads": [1.0, 1.0, 1.0]}, {"/mutation/spreads"},
    ),
    "a spread of zero": ({"spreads": [1.0, 0.0, 1.0]}, {"/mutation/spreads"}),
    "too many steps": ({"encoding": {"steps": 10**6}}, {"/mutation/latent/encoding/steps"}),
    "a unit of nothing": ({"scale": {"unit": "px", "per_latent": 0.0}}, {"/mutation/scale/per_latent"}),
    "another label at the start": (
        {"anchor": "generated", "gates": {"keep_label": False}}, {"/mutation/gates/keep_label"},
    ),
    "a member that there is not": ({"to": 1.0}, {"/mutation/latent/to"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def there(steady: Served) -> dict[str, str]:
    made = generator(steady)
    return {
        "GENERATOR": made, "OTHER": generator(steady, b"other"), "MODEL": steady.ready_model(),
        "WIDE": generator(steady, b"wide", outputs=[{"name": "x", "shape": [1, 5, 5]}]),
        "DIRECTION": known(steady, made),
    }  # fmt: skip


@pytest.mark.parametrize("name", list(WRONG))
def test_what_does_not_fit_is_pointed_at(steady: Served, there: dict[str, str], name: str) -> None:
    members, expected = WRONG[name]
    asked = mutation(steady, **({"generator_id": "GENERATOR"} | members))
    asked = {
        key: there.get(value, value) if isinstance(value, str) else value for key, value in asked.items()
    }
    assert {one.replace("/latent/", "/") for one in pointers(post(steady, asked))} == {
        one.replace("/latent/", "/") for one in expected
    }


def test_a_generator_that_is_not_ready_is_not_gone_through(served: Served) -> None:
    waiting = served.model(b"new", role="generator")["id"]
    assert code(post(served, mutation(served, generator_id=waiting))) == "network-not-ready"
    assert code(post(served, mutation(served, generator_id="mdl_0"))) == "not-found"


def test_nodes_that_forbid_float32_are_told_of_generators_too(served: Served) -> None:
    node = {"where": "tanh", "operator": "Tanh", "detail": "how it is rounded is not specified"}
    methods = {"segment": {"admitted": "enclosure", "unpromised": [node]}}
    asked = mutation(served, generator_id=generator(served, b"smooth", methods=methods))
    assert pointers(post(served, asked, arithmetic="float32")) == {"/arithmetic"}
    assert post(served, asked).status_code == 202


def precheck(served: Served, asked: dict[str, Any]) -> httpx.Response:
    body = {"kind": "precheck", "model_id": served.ready_model(), "dataset_id": served.ready_dataset()}
    return served.client.post("/v1/jobs", json=body | {"mutation": asked})


def test_a_precheck_goes_through_the_generator_and_keeps_it(served: Served) -> None:
    made = generator(served)
    answer = precheck(served, mutation(served, generator_id=made, encoder_id=encoder(served)))
    assert answer.status_code == 202, answer.text
    asked = answer.json()["request"]["mutation"]
    assert (asked["direction"], asked["extent"], asked["prior"]) == (UNIT, 2.0, "normal")
    with served.session() as session:
        assert set(jobs.networks(session, answer.json()["id"])) == {"generator", "encoder"}
    assert code(served.client.delete(f"/v1/models/{made}")) == "in-use"


def test_the_same_precheck_is_not_made_twice(served: Served) -> None:
    asked = mutation(served)
    path = f"/v1/models/{served.ready_model()}/precheck"
    body = {"dataset_id": served.ready_dataset()}
    first, again, other = (
        served.client.post(path, json=body | {"mutation": asked | {"extent": extent}}).json()["id"]
        for extent in (2.0, 2.0, 3.0)
    )
    assert first == again != other


def test_a_precheck_points_at_what_does_not_fit(steady: Served, there: dict[str, str]) -> None:
    wrong = mutation(steady, generator_id=there["WIDE"], direction=[1.0])
    assert pointers(precheck(steady, wrong)) == {"/mutation/generator_id", "/mutation/direction"}


def test_a_step_through_a_generator_is_refused_with_a_way_out(served: Served) -> None:
    answer = post(served, {"type": "composite", "steps": [mutation(served)]})
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/mutation/steps"
    assert "as a box" in error["detail"]
    one = mutation(served)
    way_out = {"type": "box", "mutations": [one, one | {"direction": [0.0, 1.0, 0.0]}]}
    assert post(served, way_out).status_code == 202


def test_codes_take_time_and_units_become_smaller() -> None:
    network = {"nonlinear_units": 1000, "parameters": 10_000}
    made = {"nonlinear_units": 9000, "parameters": 50_000}
    little, much = ({"steps": steps, "restarts": 4, "samples": 256} for steps in (0, 2000))
    sizes = [inputs_per_latent_unit(network, made, one) for one in (little, much)]
    assert inputs_per_unit(network) >= sizes[0] > sizes[1] >= 1
    assert inputs_per_latent_unit(None, None, little) >= 1
