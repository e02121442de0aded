from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from app.units import leases, outcomes, service
from app.units.leases import Lease
from app.units.outcomes import Answer
from app.units.reaping import Reaper
from models import Job, JobStatus, Network, Unit, UnitKind, UnitStatus, UploadStatus, now
from tests.app.units.conftest import row


@pytest.fixture
def reaper(desk: Any) -> Reaper:
    return Reaper(desk.sessions, desk.settings, [UnitKind.SEGMENT])


def claim(desk: Any, subject: str) -> Lease:
    with desk.session() as session:
        lease = leases.claim(session, subject, "w", 30.0)
    assert lease is not None
    return lease


def change_units(desk: Any, **values: Any) -> None:
    with desk.session() as session:
        session.execute(update(Unit).values(**values))


def ago(seconds: float) -> Any:
    return now() - timedelta(seconds=seconds)


def test_a_silent_workers_unit_goes_back_and_rings(desk: Any, reaper: Reaper) -> None:
    job_id = desk.job(1)
    lease = claim(desk, job_id)
    desk.rung()
    reaper.reap()
    assert desk.read(Unit, lease.unit_id).status == UnitStatus.RUNNING
    change_units(desk, lease_until=ago(1))
    reaper.reap()
    unit = desk.read(Unit, lease.unit_id)
    assert (unit.status, unit.attempt, unit.token) == (UnitStatus.QUEUED, 1, None)
    assert desk.rung() == [job_id]


def test_a_unit_that_loses_its_worker_too_often_fails_the_job(desk: Any, reaper: Reaper) -> None:
    job_id = desk.job(2)
    claim(desk, job_id)
    change_units(desk, lease_until=ago(1), attempt=desk.settings.max_attempts)
    reaper.reap()
    job = desk.read(Job, job_id)
    assert (job.status, job.error["type"]) == (JobStatus.FAILED, "/problems/worker-lost")


def test_an_inspection_that_loses_its_worker_too_often_rejects_the_upload(desk: Any, reaper: Reaper) -> None:
    network = desk.network(UploadStatus.UPLOADED)
    with desk.session() as session:
        service.queue_inspection(session, UnitKind.INSPECT_NETWORK, network)
    claim(desk, network)
    change_units(desk, lease_until=ago(1), attempt=desk.settings.max_attempts)
    reaper.reap()
    found = desk.read(Network, network)
    assert (found.status, found.rejection["type"]) == (UploadStatus.REJECTED, "/problems/inspection-failed")


def test_a_lost_message_is_sent_again_ever_more_rarely(desk: Any, reaper: Reaper) -> None:
    job_id = desk.job(1)
    desk.rung()
    patience = desk.settings.republish_s
    for publications in (1, 2, 3):
        change_units(desk, published_at=ago(patience * 2 ** (publications - 1) - 5))
        reaper.reap()
        assert desk.rung() == []
        change_units(desk, published_at=ago(patience * 2 ** (publications - 1) + 5))
        reaper.reap()
        assert desk.rung() == [job_id]
        with desk.session() as session:
            assert session.scalar(select(Unit.publications)) == publications + 1


def test_an_idle_worker_does_not_wait_that_long(desk: Any, reaper: Reaper) -> None:
    job_id = desk.job(3)
    desk.rung()
    change_units(desk, published_at=ago(desk.settings.reap_s + 1), publications=9)
    reaper.reap()
    assert desk.rung() == []
    reaper.reap(idle=True)
    assert desk.rung() == [job_id]


def test_a_job_that_nobody_finished_is_finished(desk: Any, reaper: Reaper) -> None:
    """The worker died between the last unit and the end of the job: only an old version could leave that."""
    job_id = desk.job(1)
    lease = claim(desk, job_id)
    with desk.session() as session:
        outcomes.save_results(session, lease, [Answer(0, row(0), [])], now())
        session.execute(update(Job).values(units_done=1))
        session.execute(update(Unit).values(status=UnitStatus.DONE))
    reaper.reap()
    assert desk.read(Job, job_id).status == JobStatus.SUCCEEDED


def test_a_cancelled_job_whose_worker_died_is_cancelled(desk: Any, reaper: Reaper) -> None:
    job_id = desk.job(2)
    claim(desk, job_id)
    with desk.session() as session:
        service.cancel(session, session.get(Job, job_id))
    reaper.reap()
    assert desk.read(Job, job_id).status == JobStatus.RUNNING
    change_units(desk, lease_until=ago(1))
    reaper.reap()
    assert desk.read(Job, job_id).status == JobStatus.CANCELLED
    with desk.session() as session:
        assert set(session.scalars(select(Unit.status))) == {UnitStatus.CANCELLED}


def test_a_job_out_of_budget_fails_and_keeps_its_rows(desk: Any, reaper: Reaper) -> None:
    job_id = desk.job(2)
    lease = claim(desk, job_id)
    with desk.session() as session:
        outcomes.save_results(session, lease, [Answer(0, row(0), [])], now() + timedelta(seconds=30))
    reaper.reap()
    assert desk.read(Job, job_id).status == JobStatus.RUNNING
    with desk.session() as session:
        session.get(Job, job_id).started_at = ago(3601)
    reaper.reap()
    job = desk.read(Job, job_id)
    assert (job.status, job.error["type"], job.inputs_done) == (
        JobStatus.FAILED, "/problems/deadline-exceeded", 1
    )  # fmt: skip
    with desk.session() as session:
        assert leases.claim(session, job_id, "w", 30.0) is None


def test_the_only_worker_takes_everything_back_at_its_start(desk: Any, reaper: Reaper) -> None:
    job_id = desk.job(2)
    lease = claim(desk, job_id)
    desk.rung()
    reaper.take_back_all()
    assert desk.read(Unit, lease.unit_id).status == UnitStatus.QUEUED
    assert set(desk.rung()) == {job_id}


def test_a_row_that_cannot_be_repaired_keeps_nobody_waiting(desk: Any, reaper: Reaper) -> None:
    broken, good = desk.job(1), desk.job(1)
    for job_id in (broken, good):
        lease = claim(desk, job_id)
        with desk.session() as session:
            outcomes.save_results(session, lease, [Answer(0, row(0), [])], now())
    with desk.session() as session:
        session.execute(update(Job).values(units_done=1))
        session.execute(update(Unit).values(status=UnitStatus.DONE))
        session.get(Job, broken).spec = {}
    reaper.reap()
    assert desk.read(Job, good).status == JobStatus.SUCCEEDED
    assert desk.read(Job, broken).status == JobStatus.RUNNING


def test_reapers_at_once_ring_no_more_than_one(desk: Any) -> None:
    job_id = desk.job(3)
    desk.rung()
    change_units(desk, published_at=ago(desk.settings.republish_s + 1))
    reapers = [Reaper(desk.sessions, desk.settings) for _ in range(4)]
    threads = [threading.Thread(target=reaper.reap) for reaper in reapers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert desk.rung() == [job_id] * 3
