"""Bounds and trainings with real children: killed, paused, cancelled, too late."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from app.jobs.gloro import GloroTraining
from app.storage import BlobStore
from app.units import service
from models import Artifact, Job, JobStatus, LipschitzBound, Network, TrainingEpoch, Unit, now
from tests.e2e.fleet import digits_data, digits_model
from tests.workers.conftest import Bench, kill_children

MOST_S = 60.0
LIPSCHITZ: dict[str, Any] = {
    "kind": "lipschitz-certification", "epsilons": [0.05], "norm": "l2", "method": "global",
    "relaxation": None, "arithmetic": "float32", "budget": {"seconds_per_input": 5.0, "seconds": 600.0},
}  # fmt: skip


def training(desk: Bench, epochs: int, dataset: str, *, seconds: float = 600.0, seed: int = 0) -> str:
    body = {
        "kind": "gloro-training", "dataset_id": dataset, "epsilon": 0.3, "epochs": epochs, "batch": 16,
        "seed": seed,
    }  # fmt: skip
    spec = GloroTraining.model_validate(body).stored(seconds)
    row = Job(owner="o", kind="gloro-training", spec=spec, dataset_id=dataset, tags={}, inputs_total=epochs)
    with desk.sessions() as session, session.begin():
        service.queue_job(session, row, ())
    return row.id


def epochs_of(desk: Bench, job_id: str) -> list[TrainingEpoch]:
    with desk.sessions() as session:
        query = session.query(TrainingEpoch).filter(TrainingEpoch.job_id == job_id)
        return query.order_by(TrainingEpoch.number).all()


def forget_last_epoch(desk: Bench, job_id: str) -> None:
    last = epochs_of(desk, job_id)[-1]
    with desk.sessions() as session, session.begin():
        session.delete(session.merge(last))


def cancel(desk: Bench, job_id: str) -> None:
    with desk.sessions() as session, session.begin():
        service.cancel(session, session.get_one(Job, job_id))


def wait_for_epochs(desk: Bench, job_id: str, count: int) -> None:
    deadline = time.monotonic() + MOST_S
    while len(epochs_of(desk, job_id)) < count:
        assert time.monotonic() < deadline, desk.read(Job, job_id).error
        time.sleep(0.01)


def attempts(desk: Bench, job_id: str) -> int:
    with desk.sessions() as session:
        return session.query(Unit).filter(Unit.subject == job_id).one().attempt


@contextmanager
def at_work(desk: Bench, job_id: str) -> Iterator[None]:
    thread = threading.Thread(target=desk.supervisor.serve, args=(job_id,))
    thread.start()
    try:
        yield
    finally:
        thread.join(MOST_S)
        assert not thread.is_alive()


def file_of(desk: Bench, job_id: str, name: str) -> bytes:
    artifact = desk.read(Artifact, (job_id, -1, name))
    return BlobStore(desk.settings.data_dir).path(artifact.sha256).read_bytes()


def test_a_killed_training_goes_on_from_its_checkpoint_and_ends_with_the_same_network(
    bench: Callable[..., Bench],
) -> None:
    desk = bench(checkpoint_s=0.001)
    dataset = desk.dataset(digits_data(60))
    whole = training(desk, 25, dataset)
    desk.supervisor.serve(whole)
    killed = training(desk, 25, dataset)
    with at_work(desk, killed):
        wait_for_epochs(desk, killed, 5)
        kill_children(desk)
        moment = now()
    job = desk.read(Job, killed)
    assert (job.status, job.inputs_done) == (JobStatus.SUCCEEDED, 25), job.error
    assert attempts(desk, killed) == 2
    curve = epochs_of(desk, killed)
    assert [epoch.number for epoch in curve] == list(range(1, 26))
    assert curve[3].created_at < moment  # it was not trained again
    assert curve[-1].created_at > moment
    losses = [epoch.log["loss"] for epoch in epochs_of(desk, whole)]
    assert [epoch.log["loss"] for epoch in curve] == losses
    assert file_of(desk, killed, "model.onnx") == file_of(desk, whole, "model.onnx")
    made = desk.read(Network, job.summary["model_id"])
    desk.supervisor.serve(made.id)
    made = desk.read(Network, made.id)
    assert made.inspection["methods"]["lipschitz"]["admitted"] == "yes"


def test_trainings_take_turns_and_lose_nothing(bench: Callable[..., Bench]) -> None:
    desk = bench(checkpoint_s=0.1)
    dataset = desk.dataset(digits_data(60))
    first, second = training(desk, 3, dataset), training(desk, 3, dataset, seed=1)
    desk.supervisor.serve(first)
    begun = epochs_of(desk, first)
    assert 0 < len(begun) < 3
    assert (desk.read(Job, first).status, attempts(desk, first)) == (JobStatus.RUNNING, 0)
    turns = 1
    while not desk.read(Job, first).finished_at or not desk.read(Job, second).finished_at:
        desk.supervisor.serve((first, second)[turns % 2])
        turns += 1
    for job_id in (first, second):
        job = desk.read(Job, job_id)
        assert (job.status, attempts(desk, job_id)) == (JobStatus.SUCCEEDED, 1), job.error
    assert turns > 3
    assert epochs_of(desk, first)[0].created_at == begun[0].created_at


def test_epochs_that_were_kept_but_not_reported_are_written_down_later(bench: Callable[..., Bench]) -> None:
    """A child keeps its state before it says so: whoever kills it between the two loses a report."""
    desk = bench(checkpoint_s=0.1)
    dataset = desk.dataset(digits_data(60))
    first, second = training(desk, 12, dataset), training(desk, 12, dataset, seed=1)
    desk.supervisor.serve(first)  # until the other one has its turn
    forget_last_epoch(desk, first)
    cancel(desk, second)
    desk.supervisor.serve(first)
    assert [epoch.number for epoch in epochs_of(desk, first)] == list(range(1, 13))


def test_a_cancelled_training_keeps_what_it_has_learned(bench: Callable[..., Bench]) -> None:
    desk = bench(checkpoint_s=1000.0)
    job_id = training(desk, 2000, desk.dataset(digits_data(60)))
    with at_work(desk, job_id):
        wait_for_epochs(desk, job_id, 2)
        cancel(desk, job_id)
    assert desk.read(Job, job_id).status == JobStatus.CANCELLED
    assert len(file_of(desk, job_id, "checkpoint")) > 10_000


def test_a_training_that_is_too_late_fails_and_keeps_its_checkpoint(bench: Callable[..., Bench]) -> None:
    desk = bench(checkpoint_s=1000.0)
    job_id = training(desk, 2000, desk.dataset(digits_data(60)), seconds=4.0)
    desk.supervisor.serve(job_id)
    job = desk.read(Job, job_id)
    assert (job.status, job.error["type"]) == (JobStatus.FAILED, "/problems/deadline-exceeded")
    assert epochs_of(desk, job_id)
    assert len(file_of(desk, job_id, "checkpoint")) > 10_000


def test_data_that_are_no_images_fail_the_job_in_words(bench: Callable[..., Bench]) -> None:
    desk = bench()
    job_id = training(desk, 3, desk.dataset(tiny_images()))
    desk.supervisor.serve(job_id)
    job = desk.read(Job, job_id)
    assert (job.status, job.error["type"]) == (JobStatus.FAILED, "/problems/invalid-spec")
    assert "are none" in job.error["detail"]


def tiny_images() -> bytes:
    out = io.BytesIO()
    np.savez(out, images=np.zeros((8, 1, 1), np.uint8), labels=np.arange(8) % 2)
    return out.getvalue()


def test_a_bound_is_proven_once_for_all_jobs(bench: Callable[..., Bench]) -> None:
    desk = bench()
    network, dataset = desk.network(digits_model()), desk.dataset(digits_data(6))
    jobs = [desk.job(network, dataset, 6, **LIPSCHITZ | {"mutation": None}) for _ in range(2)]
    seen = []
    for job_id in jobs:
        desk.supervisor.serve(job_id)
        job = desk.read(Job, job_id)
        assert job.status == JobStatus.SUCCEEDED, job.error
        assert 0 < job.summary["vra"]["0.05"] <= job.clean_accuracy
        with desk.sessions() as session:
            seen.append(session.query(LipschitzBound).one().created_at)
    assert seen[0] == seen[1]
    assert file_of(desk, jobs[0], "bound.safetensors") == file_of(desk, jobs[1], "bound.safetensors")
    first, second = (desk.read(Job, job_id).summary for job_id in jobs)
    assert (first["vra"], first["bound"]) == (second["vra"], second["bound"])


def test_a_bound_of_another_release_is_proven_anew(bench: Callable[..., Bench]) -> None:
    desk = bench()
    network, dataset = desk.network(digits_model()), desk.dataset(digits_data(6))
    spec = LIPSCHITZ | {"mutation": None}
    desk.supervisor.serve(desk.job(network, dataset, 6, **spec))
    blob = BlobStore(desk.settings.data_dir).put([b"\x02\x00\x00\x00\x00\x00\x00\x00{}"])
    with desk.sessions() as session, session.begin():
        session.query(LipschitzBound).update({"sha256": blob.sha256, "size_bytes": blob.size_bytes})
    again = desk.job(network, dataset, 6, **spec)
    desk.supervisor.serve(again)
    assert desk.read(Job, again).status == JobStatus.SUCCEEDED, desk.read(Job, again).error
    with desk.sessions() as session:
        assert session.query(LipschitzBound).one().sha256 != blob.sha256


@pytest.mark.parametrize("formats", [["onnx"], ["onnx", "torchscript", "pt2"]])
def test_a_wrapping_is_made_behind_the_wall(bench: Callable[..., Bench], formats: list[str]) -> None:
    desk = bench()
    spec = {"kind": "gloro-wrap", "epsilon": 0.05, "formats": formats, "budget": {"seconds": 600.0}}
    row = Job(owner="o", kind="gloro-wrap", spec=spec, network_id=desk.network(digits_model()), tags={},
              inputs_total=len(formats))  # fmt: skip
    with desk.sessions() as session, session.begin():
        service.queue_job(session, row, ())
    desk.supervisor.serve(row.id)
    job = desk.read(Job, row.id)
    assert job.status == JobStatus.SUCCEEDED, job.error
    assert len(job.summary["artifacts"]) == len(formats) + 1
    assert b'"epsilon"' in file_of(desk, row.id, "manifest.json")


def predicting(desk: Bench, inputs: int, **spec: Any) -> str:
    """Queue a prediction of the digits by their network, which is wrapped first."""
    asked = {
        "kind": "gloro-prediction", "model_id": "mdl", "wrap_job_id": None, "epsilons": [0.05, 0.02],
        "format": "npz", "budget": {"seconds": 600.0}, "mutation": None,
    } | spec  # fmt: skip
    return desk.job(desk.network(digits_model()), desk.dataset(digits_data(inputs)), inputs, **asked)


def test_a_prediction_that_loses_a_worker_loses_one_unit(bench: Callable[..., Bench]) -> None:
    desk = bench()
    job_id = predicting(desk, 4)
    with at_work(desk, job_id):
        deadline = time.monotonic() + MOST_S
        while desk.read(Job, job_id).inputs_done < 1:
            assert time.monotonic() < deadline, desk.read(Job, job_id).error
            time.sleep(0.01)
        kill_children(desk)
    job = desk.read(Job, job_id)
    assert (job.status, job.inputs_done, job.units_total) == (JobStatus.SUCCEEDED, 4, 5), job.error
    with desk.sessions() as session:
        attempts = [unit.attempt for unit in session.query(Unit).filter(Unit.subject == job_id)]
        names = {file.name for file in session.query(Artifact).filter(Artifact.job_id == job_id)}
    assert sorted(attempts) == [1, 1, 1, 1, 2]
    assert names == {"predictions.npz", "wrapped.onnx", "manifest.json"}
    found = np.load(io.BytesIO(file_of(desk, job_id, "predictions.npz")))
    assert found["index"].tolist() == [0, 1, 2, 3]
    assert found["epsilons"].tolist() == [0.05, 0.02]
    assert job.summary["answered"] == {"0.05": int(found["certified"][:, 0].sum()),
                                       "0.02": int(found["certified"][:, 1].sum())}  # fmt: skip
    assert 0 < job.summary["answered"]["0.05"] <= job.summary["answered"]["0.02"]
    assert job.clean_accuracy == job.summary["clean_accuracy"] == (found["best"] == found["label"]).mean()
