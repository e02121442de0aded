"""Trainings of generators over HTTP, with files and epochs as workers leave them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.jobs.generators import GeneratorTraining
from app.units import leases, making, outcomes
from glocert.spec_generator import Recipe
from models import Network, UnitKind, now
from tests.app.serving import Served, code

MADE: dict[str, Any] = {
    "recipe": {"family": "autoencoder"}, "family": "autoencoder", "epochs": 3, "seconds_per_epoch": 0.5,
    "trained_on": 5, "device": "cpu", "warnings": ["blurred"],
    "reconstruction": {"psnr_db": {"mean": 21.0}}, "continuity": {"index": 1.5},
    "card": {"prior": "normal", "image": [1, 8, 8], "latent_dim": 4},
}  # fmt: skip


def post(served: Served, **members: Any) -> httpx.Response:
    return served.client.post("/v1/jobs", json={"kind": "generator-training"} | members)


def test_a_training_makes_two_models_with_their_card(on_each_database: Served) -> None:
    served = on_each_database
    data = served.ready_dataset()
    job = post(served, dataset_id=data, epochs=3, name="digits", augment={"rotation": 30}).json()
    assert (job["model_id"], job["request"]["architecture"], job["request"]["width"]) == (None, "conv", 8)
    assert (job["progress"]["total"], job["progress"]["unit"]) == (3, "epochs")
    with served.session() as session:
        lease = leases.claim(session, job["id"], "w", 30)
    assert lease is not None
    assert lease.kind is UnitKind.GENERATOR_TRAINING
    store = served.app.state.parts.store
    shown = [("samples.png", "image/png", store.put([b"early"]))]
    with served.session() as session:
        making.save_epoch(session, lease, 1, {"number": 1, "parts": {"reconstruction": 0.5}}, now())
        making.save_files(session, lease, shown, now())
    href = f"/v1/jobs/{job['id']}/artifacts/samples.png"
    assert served.client.get(href).content == b"early"
    with served.session() as session:
        making.save_files(session, lease, [("samples.png", "image/png", store.put([b"later"]))], now())
    assert served.client.get(href).content == b"later"
    kept = [path.read_bytes() for path in served.blobs]
    assert b"early" not in kept
    assert served.client.get(f"/v1/jobs/{job['id']}").json()["progress"]["done"] == 1
    names = ("generator.onnx", "encoder.onnx")
    files = [(name, "application/octet-stream", store.put([name.encode()])) for name in names]
    with served.session() as session:
        making.save_made(session, lease, MADE, files, now())
    with served.session() as session:
        outcomes.complete(session, lease)
    done = served.client.get(f"/v1/jobs/{job['id']}").json()
    assert done["status"] == "succeeded", done["error"]
    summary = done["summary"]
    assert (summary["reconstruction"], summary["continuity"]) == (MADE["reconstruction"], MADE["continuity"])
    assert "card" not in summary
    for role, title in (("generator", "digits"), ("encoder", "digits, encoder")):
        model = served.client.get(f"/v1/models/{summary[f'{role}_id']}").json()
        assert (model["role"], model["name"], model["status"]) == (role, title, "uploaded")
        assert served.client.get(model["links"]["file"]).content == f"{role}.onnx".encode()
        card = model["card"]
        assert (card["prior"], card["role"], card["job_id"]) == ("normal", role, job["id"])
        assert (card["generator_id"], card["encoder_id"]) == (summary["generator_id"], summary["encoder_id"])


def test_defaults_follow_the_family() -> None:
    def of(**members: Any) -> GeneratorTraining:
        return GeneratorTraining.model_validate({"kind": "generator-training", "dataset_id": "d"} | members)

    gan = of(family="gan", epochs=10)
    assert (gan.recipe()["architecture"], gan.recipe()["rate"], gan.total_epochs) == ("dcgan", 2e-4, 13)
    rotation = {"mutation": {"type": "rotation", "to": 20}}
    style = of(family="style", target=rotation, augment={"brightness": [-0.1, 0.2]})
    assert style.recipe()["mutation"] == {"type": "rotation", "from": 0.0, "to": 20.0}
    for body in (of(), gan, style, of(family="style", target={"dataset_id": "e"})):
        recipe = Recipe.from_json(body.recipe())
        assert recipe.total_epochs == body.total_epochs
        again = GeneratorTraining.model_validate(body.stored(60.0))
        assert again.recipe() == body.recipe()
    own = set(Recipe().to_json()) - {"mutation"}
    assert own <= set(GeneratorTraining.model_fields)


@pytest.mark.parametrize(
    ("members", "where"),
    [
        pytest.param({"family": "vae"}, "/family", id="family"),
        pytest.param({"family": "style"}, "", id="no-target"),
        pytest.param({"target": {"dataset_id": "dat_1"}}, "", id="no-style"),
        pytest.param({"augment": {"vortex": 3}}, "/augment", id="mutation"),
        pytest.param({"augment": {"rotation": [30, -30]}}, "", id="order"),
        pytest.param({"family": "gan", "patience": 3}, "", id="patience"),
        pytest.param({"encoder_epochs": 3}, "", id="encoder"),
        pytest.param({"continuity": {"bound": 1}}, "/continuity/bound", id="bound"),
        pytest.param(
            {"family": "style", "target": {"mutation": {"type": "brightness", "from": 0.1, "to": 0.2}}},
            "/target", id="start",
        ),
        pytest.param({"latent_dim": 10**6}, "/latent_dim", id="latent"),
        pytest.param({"width": 10**6}, "/width", id="width"),
        pytest.param({"epochs": 10**6}, "/epochs", id="epochs"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused(served: Served, members: dict[str, Any], where: str) -> None:
    answer = post(served, dataset_id=served.ready_dataset(), **members)
    assert answer.status_code == 422, answer.text
    pointers = [error.get("pointer", error.get("where", "")) for error in answer.json()["errors"]]
    assert any(pointer.startswith(where) for pointer in pointers), answer.json()


def test_both_models_must_have_a_place(served: Served) -> None:
    for number in range(4):
        served.model(b"model %d" % number)
    answer = post(served, dataset_id=served.ready_dataset())
    assert (answer.status_code, code(answer)) == (409, "limit-exceeded")
    assert "4 models, and 5 is the limit" in answer.json()["detail"]


def test_a_generator_says_its_prior(served: Served) -> None:
    plain = served.model(b"one", role="generator")
    uniform = served.model(b"one", role="generator", prior="uniform")
    assert (plain["card"], uniform["card"]) == ({"prior": "normal"}, {"prior": "uniform"})
    assert plain["id"] != uniform["id"]
    assert served.model(b"one")["card"] is None
    answer = served.client.post("/v1/models", files={"file": ("n.onnx", b"x")}, data={"prior": "normal"})
    assert answer.status_code == 422
    with served.session() as session:
        assert session.get_one(Network, uniform["id"]).card == {"prior": "uniform"}
