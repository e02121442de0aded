"""The supervisor with real children on SQLite; messages are called by hand."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import pytest
import structlog

from app.storage import BlobStore
from app.units import service
from models import (
    Artifact,
    Dataset,
    Job,
    JobStatus,
    Network,
    PartialResult,
    Result,
    Unit,
    UnitStatus,
    UploadStatus,
)
from tests.e2e.fleet import digits_data, digits_model, slow_model, unlabelled
from tests.workers.conftest import Bench, kill_children
from workers import notes
from workers.crew import sweep_scratch


def test_uploads_become_results(bench: Callable[..., Bench]) -> None:
    desk = bench()
    network, dataset = desk.network(digits_model()), desk.dataset(digits_data(5))
    assert desk.read(Network, network).status == UploadStatus.READY
    layers = desk.read(Network, network).inspection["sandbox"]
    assert all(state.startswith("on") for state in layers.values()), layers
    job_id = desk.job(network, dataset, 3)
    desk.supervisor.serve(job_id)
    job = desk.read(Job, job_id)
    assert job.status == JobStatus.SUCCEEDED, job.error
    assert job.clean_accuracy is not None
    row = desk.read(Result, (job_id, 2)).row
    assert row["verdict"] in {"certified", "falsified", "undecided", "skipped"}
    picture = desk.read(Artifact, (job_id, 0, "path.png"))
    assert BlobStore(desk.settings.data_dir).path(picture.sha256).read_bytes().startswith(b"\x89PNG")
    assert list((desk.settings.data_dir / "scratch").iterdir()) == []


def test_hostile_bytes_are_rejected_with_a_reason(bench: Callable[..., Bench]) -> None:
    desk = bench()
    network = desk.read(Network, desk.network(b"\x00 not a model"))
    assert (network.status, network.rejection["type"]) == (
        UploadStatus.REJECTED,
        "/problems/unreadable-model",
    )
    dataset = desk.read(Dataset, desk.dataset(b"not an array"))
    assert (dataset.status, dataset.rejection["type"]) == (
        UploadStatus.REJECTED,
        "/problems/unreadable-dataset",
    )


def test_an_inspection_that_takes_too_long_is_tried_twice(bench: Callable[..., Bench]) -> None:
    desk = bench(inspection_s=0.1)
    network = desk.network(slow_model())
    assert desk.read(Network, network).rejection["type"] == "/problems/inspection-failed"
    assert "longer than" in desk.read(Network, network).rejection["detail"]
    with desk.sessions() as session:
        assert [unit.attempt for unit in session.query(Unit)] == [2]


def test_an_inspection_that_takes_too_much_memory_is_not_repeated(bench: Callable[..., Bench]) -> None:
    desk = bench(inspection_bytes=2**20)
    network = desk.network(digits_model())
    assert desk.read(Network, network).rejection["type"] == "/problems/inspection-failed"
    assert "MiB" in desk.read(Network, network).rejection["detail"]
    with desk.sessions() as session:
        assert [unit.attempt for unit in session.query(Unit)] == [1]


def test_a_child_that_outgrows_its_memory_fails_the_job(bench: Callable[..., Bench]) -> None:
    desk = bench()
    network, dataset = desk.network(digits_model()), desk.dataset(digits_data(2))
    small = bench(child_bytes=2**20)
    job_id = small.job(network, dataset)
    small.supervisor.serve(job_id)
    job = small.read(Job, job_id)
    assert (job.status, job.error["type"]) == (JobStatus.FAILED, "/problems/worker-lost")
    assert "MiB" in job.error["detail"]


def test_a_child_that_dies_again_and_again_fails_the_job(bench: Callable[..., Bench]) -> None:
    desk = bench(max_attempts=2)
    network, dataset = desk.network(digits_model()), desk.dataset(digits_data(2))
    graph = desk.read(Network, network).graph_sha256
    BlobStore(desk.settings.data_dir).delete(graph)
    job_id = desk.job(network, dataset)
    desk.supervisor.serve(job_id)
    job = desk.read(Job, job_id)
    assert (job.status, job.error["type"]) == (JobStatus.FAILED, "/problems/worker-lost")
    with desk.sessions() as session:
        units = session.query(Unit).filter(Unit.subject == job_id).order_by(Unit.ordinal).all()
    assert units[0].attempt == 2
    assert {unit.status for unit in units} == {UnitStatus.CANCELLED}


def test_one_killed_child_costs_nothing_but_time(bench: Callable[..., Bench]) -> None:
    desk = bench()
    network, dataset = desk.network(slow_model(12)), desk.dataset(digits_data(2))
    job_id = desk.job(network, dataset, 1, mutation={"type": "brightness", "from": 0.0, "to": 0.5})
    thread = threading.Thread(target=desk.supervisor.serve, args=(job_id,))
    thread.start()
    folder = desk.settings.data_dir / "scratch"
    while not list(folder.glob("*/*")):
        time.sleep(0.001)
    kill_children(desk)
    thread.join()
    job = desk.read(Job, job_id)
    assert job.status == JobStatus.SUCCEEDED, job.error
    with desk.sessions() as session:
        assert sum(unit.attempt for unit in session.query(Unit).filter(Unit.subject == job_id)) == 3


def long_jobs(desk: Bench, folds: int, count: int = 1) -> list[str]:
    """Queue jobs of one input that takes long; ``folds`` sets how long."""
    network, dataset = desk.network(slow_model(folds)), desk.dataset(unlabelled(1))
    path = {"type": "brightness", "from": 0.0, "to": 0.5}
    return [desk.job(network, dataset, 1, mutation=path) for _ in range(count)]


def begin(desk: Bench, job_id: str) -> threading.Thread:
    """Start working, and return once something is proven of the first input."""
    thread = threading.Thread(target=desk.supervisor.serve, args=(job_id,))
    thread.start()
    while desk.read(PartialResult, (job_id, 0)) is None:
        assert thread.is_alive()
        time.sleep(0.01)
    return thread


def test_a_killed_child_s_input_goes_on_from_what_was_proven(bench: Callable[..., Bench]) -> None:
    desk, mark = bench(partial_s=0.1), 10**6
    first, second = long_jobs(desk, 15, 2)
    desk.supervisor.serve(first)
    plain = desk.read(Result, (first, 0)).row
    thread = begin(desk, second)
    desk.supervisor.stop.set()
    kill_children(desk)
    thread.join()
    with desk.sessions() as session, session.begin():
        kept = session.get_one(PartialResult, (second, 0))
        proven = kept.state["proven"]
        before = proven["pieces"]
        kept.state = kept.state | {"proven": proven | {"pieces": before + mark}}
    desk.supervisor.stop.clear()
    desk.supervisor.serve(second)
    row = desk.read(Result, (second, 0)).row
    assert (row["verdict"], row["robust_mass"]) == (plain["verdict"], plain["robust_mass"])
    assert row["verdict"] == "certified"
    assert 0 < row["pieces"] - mark - before <= plain["pieces"] - before / 2
    assert desk.read(PartialResult, (second, 0)) is None


def test_a_job_that_lost_its_worker_is_resumed_inside_the_input(bench: Callable[..., Bench]) -> None:
    desk, mark = bench(partial_s=0.1, max_attempts=1), 10**6
    (job_id,) = long_jobs(desk, 15)
    thread = begin(desk, job_id)
    kill_children(desk)
    thread.join()
    assert desk.read(Job, job_id).error["type"] == "/problems/worker-lost"
    with desk.sessions() as session, session.begin():
        kept = session.get_one(PartialResult, (job_id, 0))
        kept.state = kept.state | {"proven": kept.state["proven"] | {"pieces": mark}}
    with desk.sessions() as session, session.begin():
        assert service.resume(session, session.get_one(Job, job_id))
    desk.supervisor.serve(job_id)
    job = desk.read(Job, job_id)
    assert (job.status, job.error, job.inputs_done) == (JobStatus.SUCCEEDED, None, 1)
    row = desk.read(Result, (job_id, 0)).row
    assert (row["verdict"], row["pieces"] > mark) == ("certified", True)


def test_cancelling_keeps_what_was_proven_and_takes_a_moment(bench: Callable[..., Bench]) -> None:
    desk = bench(partial_s=0.1)
    (job_id,) = long_jobs(desk, 17)
    thread = begin(desk, job_id)
    with desk.sessions() as session, session.begin():
        service.cancel(session, session.get_one(Job, job_id))
    thread.join()
    assert desk.read(Job, job_id).status == JobStatus.CANCELLED
    assert desk.read(Result, (job_id, 0)) is None
    assert desk.read(PartialResult, (job_id, 0)).state["proven"]["pieces"] > 0


def test_too_much_is_not_kept(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "PARTIAL_BYTES", 10)
    desk = bench(partial_s=0.1)
    (job_id,) = long_jobs(desk, 15)
    with structlog.testing.capture_logs() as logs:
        desk.supervisor.serve(job_id)
    assert desk.read(Job, job_id).status == JobStatus.SUCCEEDED
    assert "partial.too_large" in {entry["event"] for entry in logs}


def test_a_request_that_does_not_fit_fails_at_once(bench: Callable[..., Bench]) -> None:
    desk = bench()
    network, dataset = desk.network(digits_model()), desk.dataset(digits_data(2))
    job_id = desk.job(network, dataset, 9)
    desk.supervisor.serve(job_id)
    job = desk.read(Job, job_id)
    assert (job.status, job.error["type"]) == (JobStatus.FAILED, "/problems/invalid-spec")


def test_a_resumed_unit_skips_what_is_answered(bench: Callable[..., Bench]) -> None:
    desk = bench()
    network, dataset = desk.network(digits_model()), desk.dataset(digits_data(4))
    many = bench()
    many.settings = many.settings.model_copy(update={"unit_inputs": 4})
    job_id = desk.job(network, dataset, 3)
    mark = {"verdict": "certified", "index": 1, "seconds": 0.0, "label": 0, "predicted": 0, "mark": True,
            "robust_mass": {"lower": 1.0, "upper": 1.0}}  # fmt: skip
    with desk.sessions() as session, session.begin():
        session.add(Result(job_id=job_id, index=1, verdict="certified", row=mark))
        session.get(Job, job_id).inputs_done = 1
    desk.supervisor.serve(job_id)
    job = desk.read(Job, job_id)
    assert (job.status, job.inputs_done) == (JobStatus.SUCCEEDED, 3)
    assert desk.read(Result, (job_id, 1)).row["mark"] is True


def test_a_copy_of_a_message_does_nothing(bench: Callable[..., Bench]) -> None:
    desk = bench()
    network, dataset = desk.network(digits_model()), desk.dataset(digits_data(2))
    job_id = desk.job(network, dataset)
    desk.supervisor.serve(job_id)
    version = desk.read(Job, job_id).version
    desk.supervisor.serve(job_id)
    desk.supervisor.serve(network)
    desk.supervisor.serve("job_that_never_was")
    assert desk.read(Job, job_id).version == version


def test_a_stopped_supervisor_takes_nothing(bench: Callable[..., Bench]) -> None:
    desk = bench()
    network, dataset = desk.network(digits_model()), desk.dataset(digits_data(2))
    job_id = desk.job(network, dataset)
    desk.supervisor.stop.set()
    desk.supervisor.serve(job_id)
    assert desk.read(Job, job_id).status == JobStatus.QUEUED


def test_folders_of_killed_workers_are_removed_in_the_end(bench: Callable[..., Bench]) -> None:
    desk = bench()
    old, young = (desk.settings.data_dir / "scratch" / name for name in ("old", "young"))
    for folder in (old, young):
        (folder / "unit").mkdir(parents=True)
    os.utime(old, (0, 0))
    sweep_scratch(desk.settings)
    assert not old.exists()
    assert young.exists()
