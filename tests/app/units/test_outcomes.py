from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from app.results import repository as results
from app.storage import Blob
from app.units import leases, outcomes, service
from app.units.leases import Lease, LeaseLost
from app.units.outcomes import Answer
from glocert.errors import InspectionFailed, WorkerLost
from models import (
    Artifact,
    Job,
    JobStatus,
    Network,
    PartialResult,
    Result,
    Unit,
    UnitKind,
    UnitStatus,
    UploadStatus,
    now,
)
from tests.app.units.conftest import row

PICTURE = ("path.png", "image/png", Blob("e" * 64, 5))


def claim(desk: Any, subject: str) -> Lease:
    with desk.session() as session:
        lease = leases.claim(session, subject, "w", 30.0)
    assert lease is not None
    return lease


def save(desk: Any, lease: Lease, index: int, verdict: str = "certified") -> None:
    with desk.session() as session:
        until = now() + timedelta(seconds=30)
        outcomes.save_results(session, lease, [Answer(index, row(index, verdict), [PICTURE])], until)


def complete(desk: Any, lease: Lease) -> None:
    with desk.session() as session:
        outcomes.complete(session, lease)


def stolen(desk: Any, job_id: str) -> tuple[Lease, Lease]:
    """Return a stale lease and the fresh one on the same unit."""
    stale = claim(desk, job_id)
    with desk.session() as session:
        leases.release(session, stale, failed=True)
    return stale, claim(desk, job_id)


def test_a_result_is_written_once(desk: Any) -> None:
    job_id = desk.job(2)
    lease = claim(desk, job_id)
    save(desk, lease, 0)
    version = desk.read(Job, job_id).version
    save(desk, lease, 0, "falsified")
    job = desk.read(Job, job_id)
    assert job.inputs_done == 1
    assert job.version >= version
    assert desk.read(Result, (job_id, 0)).verdict == "certified"
    assert desk.read(Artifact, (job_id, 0, "path.png")).sha256 == "e" * 64


def test_of_some_results_only_the_new_ones_count(desk: Any) -> None:
    job_id = desk.job(4)
    lease = claim(desk, job_id)
    save(desk, lease, 1)
    for index in (0, 1):
        keep(desk, lease, index, 0.5)
    other = ("counterexample.png", "image/png", Blob("f" * 64, 5))
    answers = [Answer(index, row(index, "falsified"), [PICTURE, other]) for index in (0, 1, 2)]
    with desk.session() as session:
        outcomes.save_results(session, lease, answers, now() + timedelta(seconds=30))
    assert desk.read(Job, job_id).inputs_done == 3
    assert [desk.read(Result, (job_id, index)).verdict for index in (0, 1, 2)] == [
        "falsified", "certified", "falsified",
    ]  # fmt: skip
    files = [desk.read(Artifact, (job_id, index, "counterexample.png")) for index in (0, 1, 2)]
    assert [file is not None for file in files] == [True, False, True]
    assert [desk.read(PartialResult, (job_id, index)) for index in (0, 1)] == [None, None]


def test_a_stale_worker_writes_nothing(desk: Any) -> None:
    job_id = desk.job(1)
    stale, fresh = stolen(desk, job_id)
    version = desk.read(Job, job_id).version
    with pytest.raises(LeaseLost):
        save(desk, stale, 0)
    with pytest.raises(LeaseLost):
        complete(desk, stale)
    job = desk.read(Job, job_id)
    assert (job.inputs_done, job.units_done, job.version, job.status) == (0, 0, version, JobStatus.RUNNING)
    assert desk.read(Result, (job_id, 0)) is None
    save(desk, fresh, 0)
    complete(desk, fresh)
    assert desk.read(Job, job_id).status == JobStatus.SUCCEEDED


def keep(desk: Any, lease: Lease, index: int, reach: float) -> None:
    with desk.session() as session:
        state = {"question": "q", "proven": {"safe": [[0.0, reach]]}}
        outcomes.save_partial(session, lease, index, state, now() + timedelta(seconds=30))


def kept(desk: Any, job_id: str, indices: list[int]) -> list[tuple[int, float]]:
    with desk.session() as session:
        found = results.partials(session, job_id, indices)
    return [(index, state["proven"]["safe"][0][1]) for index, state in found]


def test_what_is_proven_so_far_is_replaced_and_goes_with_the_answer(desk: Any) -> None:
    job_id, third = desk.job(2), 1 / 3
    lease = claim(desk, job_id)
    version = desk.read(Job, job_id).version
    keep(desk, lease, 0, 0.25)
    keep(desk, lease, 0, third)
    other = claim(desk, job_id)
    keep(desk, other, 1, 0.5)
    assert kept(desk, job_id, [0, 1]) == [(0, third), (1, 0.5)]
    assert kept(desk, job_id, [1]) == [(1, 0.5)]
    assert desk.read(Job, job_id).version == version  # nothing that the job's document shows
    save(desk, lease, 0)
    assert kept(desk, job_id, [0, 1]) == [(1, 0.5)]
    with desk.session() as session:
        session.delete(session.get_one(Result, (job_id, 0)))
        session.query(Artifact).delete()
        session.delete(session.get_one(Job, job_id))
    assert desk.read(PartialResult, (job_id, 1)) is None


def test_a_stale_worker_keeps_nothing(desk: Any) -> None:
    job_id = desk.job(1)
    stale, fresh = stolen(desk, job_id)
    keep(desk, fresh, 0, 0.5)
    with pytest.raises(LeaseLost):
        keep(desk, stale, 0, 0.75)
    with desk.session() as session:
        outcomes.fail_job(session, job_id, WorkerLost("It was ended.").to_problem())
    with pytest.raises(LeaseLost):
        keep(desk, fresh, 0, 0.75)
    assert kept(desk, job_id, [0]) == [(0, 0.5)]


def test_the_last_unit_finishes_the_job(desk: Any) -> None:
    job_id = desk.job(2)
    for index in range(2):
        lease = claim(desk, job_id)
        save(desk, lease, index)
        assert desk.read(Job, job_id).status == JobStatus.RUNNING
        complete(desk, lease)
    job = desk.read(Job, job_id)
    assert (job.status, job.units_done, job.inputs_done) == (JobStatus.SUCCEEDED, 2, 2)
    assert job.summary["certified"] == 2
    assert job.certificate_sha256 is not None


def test_completing_again_counts_once(desk: Any) -> None:
    job_id = desk.job(2)
    lease = claim(desk, job_id)
    save(desk, lease, 0)
    complete(desk, lease)
    complete(desk, lease)
    assert desk.read(Job, job_id).units_done == 1


def test_workers_that_complete_at_once_finish_the_job_once(desk: Any) -> None:
    job_id = desk.job(8)
    held = [claim(desk, job_id) for _ in range(8)]
    errors: list[Exception] = []

    def work(lease: Lease) -> None:
        try:
            save(desk, lease, lease.indices[0])
            complete(desk, lease)
        except Exception as error:  # noqa: BLE001  # to be shown by the test
            errors.append(error)

    threads = [threading.Thread(target=work, args=(lease,)) for lease in held]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    job = desk.read(Job, job_id)
    assert errors == []
    assert (job.status, job.units_done, job.inputs_done) == (JobStatus.SUCCEEDED, 8, 8)
    with desk.session() as session:
        assert session.scalar(select(func.count()).select_from(Result)) == 8


def test_accuracy_is_recorded_under_the_same_fence(desk: Any) -> None:
    job_id = desk.job(1, labelled=True)
    stale, fresh = stolen(desk, job_id)
    outcome = {"clean_accuracy": 0.25, "inputs": 4, "correct": 1, "warning": "near chance"}
    with pytest.raises(LeaseLost), desk.session() as session:
        outcomes.save_accuracy(session, stale, outcome, now())
    with desk.session() as session:
        outcomes.save_accuracy(session, fresh, outcome, now() + timedelta(seconds=30))
    job = desk.read(Job, job_id)
    assert (job.clean_accuracy, job.warnings) == (0.25, ["near chance"])


def test_a_unit_that_fails_too_often_fails_its_job_and_keeps_the_rows(desk: Any) -> None:
    job_id = desk.job(2)
    save(desk, claim(desk, job_id), 0)
    for attempt in range(1, 4):
        lease = claim(desk, job_id)
        assert lease.attempt == attempt
        with desk.session() as session:
            outcomes.fail_attempt(session, lease, WorkerLost("It was ended."), 3)
    job = desk.read(Job, job_id)
    assert (job.status, job.error["type"]) == (JobStatus.FAILED, "/problems/worker-lost")
    assert desk.read(Result, (job_id, 0)) is not None
    with desk.session() as session:
        assert set(session.scalars(select(Unit.status))) == {UnitStatus.CANCELLED}


def inspection(desk: Any) -> tuple[str, Lease]:
    network = desk.network(UploadStatus.UPLOADED)
    with desk.session() as session:
        service.queue_inspection(session, UnitKind.INSPECT_NETWORK, network)
    return network, claim(desk, network)


def test_an_inspection_is_recorded(desk: Any) -> None:
    network, lease = inspection(desk)
    with desk.session() as session:
        outcomes.record_inspection(session, lease, {"format": "onnx"}, None, {"graph": "f" * 64})
    found = desk.read(Network, network)
    assert (found.status, found.graph_sha256) == (UploadStatus.READY, "f" * 64)
    assert desk.read(Unit, lease.unit_id).status == UnitStatus.DONE


def test_an_inspection_that_dies_twice_rejects_the_upload(desk: Any) -> None:
    network, lease = inspection(desk)
    error = InspectionFailed("It was ended by signal SIGSEGV.")
    with desk.session() as session:
        outcomes.fail_attempt(session, lease, error, 2)
    assert desk.read(Network, network).status == UploadStatus.UPLOADED
    lease = claim(desk, network)
    with desk.session() as session:
        outcomes.fail_attempt(session, lease, error, 2)
    found = desk.read(Network, network)
    assert (found.status, found.rejection["type"]) == (UploadStatus.REJECTED, "/problems/inspection-failed")


def test_a_stale_inspection_changes_nothing(desk: Any) -> None:
    network, stale = inspection(desk)
    with desk.session() as session:
        leases.release(session, stale)
    claim(desk, network)
    with pytest.raises(LeaseLost), desk.session() as session:
        outcomes.record_inspection(session, stale, {"format": "onnx"}, None, {"graph": "f" * 64})
    assert desk.read(Network, network).status == UploadStatus.UPLOADED
