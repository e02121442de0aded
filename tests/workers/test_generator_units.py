"""Trainings of generators with real children: shown, killed, made, and read back by inspection."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.jobs.generators import GeneratorTraining
from app.units import service
from models import Artifact, Job, JobStatus, Network
from tests.workers.conftest import Bench, kill_children
from tests.workers.test_gloro_units import (
    at_work,
    attempts,
    cancel,
    epochs_of,
    file_of,
    forget_last_epoch,
    wait_for_epochs,
)

SHOWN = {"samples.png", "losses.svg"}
MUTATION = {"mutation": {"type": "rotation", "to": 20}}


def images(seed: int = 0, count: int = 48) -> bytes:
    """Return squares of random places and greys."""
    random = np.random.default_rng(seed)
    found = np.zeros((count, 8, 8), np.uint8)
    for image in found:
        row, column = random.integers(0, 5, 2)
        image[row : row + 3, column : column + 3] = random.integers(100, 256)
    out = io.BytesIO()
    np.savez(out, images=found)
    return out.getvalue()


def training(desk: Bench, dataset: str, **members: Any) -> str:
    asked = {"kind": "generator-training", "dataset_id": dataset, "batch": 16, "latent_dim": 3, "width": 2}
    body = GeneratorTraining.model_validate(asked | members)
    row = Job(
        owner="o", kind=body.kind, spec=body.stored(600.0), dataset_id=dataset, tags={},
        inputs_total=body.total_epochs,
    )  # fmt: skip
    if body.target is not None and hasattr(body.target, "dataset_id"):
        row.validation_dataset_id = body.target.dataset_id
    with desk.sessions() as session, session.begin():
        service.queue_job(session, row, ())
    return row.id


def test_a_killed_training_goes_on_and_ends_with_the_same_generator(bench: Callable[..., Bench]) -> None:
    desk = bench(checkpoint_s=0.001)
    dataset = desk.dataset(images())
    asked: dict[str, Any] = {"epochs": 12, "augment": {"rotation": 20}}
    whole = training(desk, dataset, **asked)
    desk.supervisor.serve(whole)
    killed = training(desk, dataset, **asked)
    with at_work(desk, killed):
        wait_for_epochs(desk, killed, 4)
        assert Image.open(io.BytesIO(file_of(desk, killed, "samples.png"))).format == "PNG"
        kill_children(desk)
    job = desk.read(Job, killed)
    assert (job.status, attempts(desk, killed)) == (JobStatus.SUCCEEDED, 2), job.error
    assert [epoch.number for epoch in epochs_of(desk, killed)] == list(range(1, 13))
    for name in ("generator.onnx", "encoder.onnx"):
        assert file_of(desk, killed, name) == file_of(desk, whole, name)
    card = json.loads(file_of(desk, killed, "card.json"))
    assert card["augmentation"]["extents"] == {"rotation": {"from": -20.0, "to": 20.0, "unit": "degrees"}}
    assert (card["data"]["dataset_id"], card["data"]["images"], card["data"]["held_out"]) == (dataset, 43, 5)
    assert file_of(desk, killed, "losses.svg").startswith(b"<svg")
    for role, shape in (("generator", [3]), ("encoder", [1, 8, 8])):
        network_id = job.summary[f"{role}_id"]
        desk.supervisor.serve(network_id)
        made = desk.read(Network, network_id)
        assert (made.status, made.role, made.inspection["input"]["shape"]) == ("ready", role, shape)
        assert made.inspection["methods"]["segment"]["admitted"] == "exact"
        assert made.card["reconstruction"] == job.summary["reconstruction"]


def test_epochs_that_were_kept_but_not_reported_are_written_down_later(bench: Callable[..., Bench]) -> None:
    desk = bench(checkpoint_s=0.1)
    dataset = desk.dataset(images())
    first, second = training(desk, dataset, epochs=12), training(desk, dataset, epochs=12)
    desk.supervisor.serve(first)  # until the other one has its turn
    forget_last_epoch(desk, first)
    cancel(desk, second)
    desk.supervisor.serve(first)
    job = desk.read(Job, first)
    assert job.status == JobStatus.SUCCEEDED, job.error
    assert [epoch.number for epoch in epochs_of(desk, first)] == list(range(1, 13))


@pytest.mark.parametrize("family", ["gan", "style", "cycle"])
def test_every_family_is_trained_behind_the_wall(bench: Callable[..., Bench], family: str) -> None:
    desk = bench()
    dataset = desk.dataset(images())
    members: dict[str, Any] = {
        "gan": {"family": "gan"},
        "style": {"family": "style", "target": MUTATION},
        "cycle": {"family": "style", "target": {"dataset_id": desk.dataset(images(1))}},
    }[family]
    job_id = training(desk, dataset, epochs=2, **members)
    desk.supervisor.serve(job_id)
    job = desk.read(Job, job_id)
    assert job.status == JobStatus.SUCCEEDED, job.error
    with desk.sessions() as session:
        names = {file.name for file in session.query(Artifact).filter(Artifact.job_id == job_id)}
    assert {"generator.onnx", "encoder.onnx", "card.json", "training.json", *SHOWN} <= names
    generator = job.summary["generator_id"]
    desk.supervisor.serve(generator)
    assert desk.read(Network, generator).inspection["methods"]["segment"]["admitted"] == "exact"


def test_data_that_are_no_images_fail_the_job_in_words(bench: Callable[..., Bench]) -> None:
    desk = bench()
    out = io.BytesIO()
    np.savez(out, images=np.zeros((8, 3, 3), np.uint8))
    job_id = training(desk, desk.dataset(out.getvalue()), epochs=1)
    desk.supervisor.serve(job_id)
    job = desk.read(Job, job_id)
    assert (job.status, job.error["type"]) == (JobStatus.FAILED, "/problems/invalid-spec")
    assert "too small" in job.error["detail"]
