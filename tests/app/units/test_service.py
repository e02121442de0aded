from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from app.units import leases, outcomes, service
from app.units.sizing import LARGEST, inputs_per_unit
from models import Job, JobStatus, Unit, UnitKind, UnitStatus, UploadStatus


def units_of(desk: Any, subject: str) -> list[Unit]:
    with desk.session() as session:
        return list(session.scalars(select(Unit).where(Unit.subject == subject).order_by(Unit.ordinal)))


def test_a_job_is_cut_into_units_and_accuracy_comes_first(desk: Any) -> None:
    job_id = desk.job(3, labelled=True, priority=7)
    units = units_of(desk, job_id)
    assert [(unit.ordinal, unit.kind) for unit in units] == [
        (0, UnitKind.ACCURACY), (1, UnitKind.SEGMENT), (2, UnitKind.SEGMENT), (3, UnitKind.SEGMENT)
    ]  # fmt: skip
    assert units[0].payload["indices"] == [0, 1, 2]
    assert [unit.payload["indices"] for unit in units[1:]] == [[0], [1], [2]]
    assert {unit.priority for unit in units} == {7}
    job = desk.read(Job, job_id)
    assert (job.units_total, job.inputs_total, job.status) == (4, 3, JobStatus.QUEUED)
    assert desk.rung() == [job_id] * 4


def test_unlabelled_data_has_no_accuracy(desk: Any) -> None:
    job_id = desk.job(2)
    assert {unit.kind for unit in units_of(desk, job_id)} == {UnitKind.SEGMENT}


def test_a_long_job_rings_no_more_than_eight_times(desk: Any) -> None:
    job_id = desk.job(20)
    assert desk.rung() == [job_id] * service.MAX_DOORBELLS


def test_an_upload_is_queued_for_inspection(desk: Any) -> None:
    network = desk.network(UploadStatus.UPLOADED)
    with desk.session() as session:
        service.queue_inspection(session, UnitKind.INSPECT_NETWORK, network)
    assert desk.rung() == [network]
    assert [unit.kind for unit in units_of(desk, network)] == [UnitKind.INSPECT_NETWORK]


def test_a_job_that_is_rolled_back_leaves_nothing_and_rings_nobody(desk: Any) -> None:
    network, dataset = desk.network(), desk.dataset()
    job = Job(owner="o", kind="k", spec={}, network_id=network, dataset_id=dataset, tags={})

    def fail() -> None:
        with desk.session() as session:
            service.queue_job(session, job, [0, 1])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert desk.rung() == []
    with desk.session() as session:
        assert session.scalars(select(Unit)).all() == []


def cancel(desk: Any, job_id: str) -> None:
    with desk.session() as session:
        service.cancel(session, session.get(Job, job_id))


def test_a_queued_job_is_cancelled_at_once(desk: Any) -> None:
    job_id = desk.job(2)
    before = desk.read(Job, job_id).version
    cancel(desk, job_id)
    job = desk.read(Job, job_id)
    assert job.status == JobStatus.CANCELLED
    assert job.finished_at is not None
    assert job.version > before
    assert {unit.status for unit in units_of(desk, job_id)} == {UnitStatus.CANCELLED}


def test_a_job_is_cancelled_by_the_unit_that_ends_after_the_request(desk: Any) -> None:
    job_id = desk.job(3)
    with desk.session() as session:
        lease = leases.claim(session, job_id, "w", 30)
    cancel(desk, job_id)
    with desk.session() as session:
        outcomes.complete(session, lease)
    assert desk.read(Job, job_id).status == JobStatus.CANCELLED


def test_a_running_job_is_cancelled_when_its_worker_lets_go(desk: Any) -> None:
    job_id = desk.job(3)
    with desk.session() as session:
        lease = leases.claim(session, job_id, "w", 30)
    cancel(desk, job_id)
    assert desk.read(Job, job_id).status == JobStatus.RUNNING
    with desk.session() as session:
        assert leases.claim(session, job_id, "w2", 30) is None
        assert leases.beat(session, lease, 30) is leases.Pulse.CANCEL
        leases.withdraw(session, lease)
    assert desk.read(Job, job_id).status == JobStatus.CANCELLED


def test_a_finished_job_stays_as_it_is(desk: Any) -> None:
    job_id = desk.job(1)
    with desk.session() as session:
        session.get(Job, job_id).status = JobStatus.SUCCEEDED
    cancel(desk, job_id)
    job = desk.read(Job, job_id)
    assert (job.status, job.cancel_requested) == (JobStatus.SUCCEEDED, False)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (None, lambda size: size == LARGEST),
        ({"nonlinear_units": 800, "parameters": 9802}, lambda size: 8 <= size <= LARGEST),
        ({"nonlinear_units": 100_000, "parameters": 10_000_000}, lambda size: size == 1),
    ],
)
def test_large_networks_get_small_units(facts: Any, expected: Callable[[int], bool]) -> None:
    assert expected(inputs_per_unit(facts))
