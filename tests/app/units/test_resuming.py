"""Jobs that go on after an interruption, and workers of before it that wake up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.units import leases, outcomes, service
from app.units.leases import Lease, LeaseLost, Pulse
from app.units.outcomes import Answer
from app.units.reaping import Reaper, deadline_problem, fail_overdue
from glocert.errors import WorkerLost
from models import Job, JobStatus, PartialResult, Result, now
from tests.app.units.conftest import row


def claim(desk: Any, job_id: str) -> Lease:
    with desk.session() as session:
        lease = leases.claim(session, job_id, "w", 30.0)
    assert lease is not None
    return lease


def answer(desk: Any, lease: Lease) -> None:
    with desk.session() as session:
        for index in lease.indices:
            outcomes.save_results(
                session, lease, [Answer(index, row(index), [])], now() + timedelta(seconds=30)
            )
    with desk.session() as session:
        outcomes.complete(session, lease)


def interrupt(desk: Any, job_id: str) -> None:
    with desk.session() as session:
        outcomes.fail_job(session, job_id, deadline_problem())


def resume(desk: Any, job_id: str) -> bool:
    with desk.session() as session:
        return service.resume(session, session.get_one(Job, job_id))


def resumed(desk: Any) -> tuple[str, Lease]:
    """Return a job that was interrupted and goes on, and the stale lease of before."""
    job_id = desk.job(2)
    stale = claim(desk, job_id)
    interrupt(desk, job_id)
    assert resume(desk, job_id)
    return job_id, stale


def test_the_rest_is_done_once_and_the_counts_are_right(desk: Any) -> None:
    job_id = desk.job(3)
    answer(desk, claim(desk, job_id))
    claim(desk, job_id)
    interrupt(desk, job_id)
    desk.rung()
    assert resume(desk, job_id)
    assert desk.rung() == [job_id] * 2
    job = desk.read(Job, job_id)
    assert (job.units_done, job.units_total, job.inputs_done) == (1, 3, 1)
    for _ in range(2):
        answer(desk, claim(desk, job_id))
    job = desk.read(Job, job_id)
    assert (job.status, job.units_done, job.inputs_done, job.inputs_done_before) == ("succeeded", 3, 3, 1)
    assert (job.error, job.summary["certified"]) == (None, 3)


def test_what_was_proven_of_an_input_is_still_there(desk: Any) -> None:
    job_id = desk.job(1)
    lease = claim(desk, job_id)
    with desk.session() as session:
        outcomes.save_partial(session, lease, 0, {"proven": {}}, now() + timedelta(seconds=30))
    interrupt(desk, job_id)
    resume(desk, job_id)
    assert desk.read(PartialResult, (job_id, 0)).state == {"proven": {}}


def test_the_budget_of_the_whole_job_begins_anew(desk: Any) -> None:
    job_id = desk.job(2, budget={"seconds_per_input": 30.0, "seconds": 100.0})
    claim(desk, job_id)
    with desk.session() as session:
        session.get_one(Job, job_id).started_at = now() - timedelta(seconds=200)
    with desk.session() as session:
        fail_overdue(session, job_id)
    assert desk.read(Job, job_id).status == JobStatus.FAILED
    resume(desk, job_id)
    with desk.session() as session:
        fail_overdue(session, job_id)  # a reaper that looked before
    assert desk.read(Job, job_id).status == JobStatus.QUEUED
    assert claim(desk, job_id).seconds_left == pytest.approx(100, abs=20)


def test_a_job_that_runs_is_left_alone(desk: Any) -> None:
    job_id = desk.job(1)
    claim(desk, job_id)
    assert not resume(desk, job_id)
    assert desk.read(Job, job_id).status == JobStatus.RUNNING


def test_a_stale_worker_changes_nothing(desk: Any) -> None:
    job_id, stale = resumed(desk)
    with desk.session() as session:
        assert leases.beat(session, stale, 30.0) is Pulse.LOST
    with desk.session() as session:
        leases.withdraw(session, stale)
    with desk.session() as session:
        service.settle_cancelled(session, job_id)
    lost = WorkerLost("It was ended.")
    for end in (
        lambda session: outcomes.fail_held_job(session, stale, deadline_problem()),
        lambda session: outcomes.fail_attempt(session, stale, lost, 1),
        lambda session: outcomes.give_up(session, stale.unit_id, stale.kind, job_id, stale.token, 3),
        lambda session: outcomes.complete(session, stale),
        lambda session: outcomes.save_results(session, stale, [Answer(0, row(0), [])], now()),
    ):
        with pytest.raises(LeaseLost), desk.session() as session:
            end(session)
    Reaper(desk.sessions, desk.settings).reap()
    job = desk.read(Job, job_id)
    assert (job.status, job.units_done, job.inputs_done) == (JobStatus.QUEUED, 0, 0)
    assert desk.read(Result, (job_id, 0)) is None
    for _ in range(2):
        answer(desk, claim(desk, job_id))
    assert desk.read(Job, job_id).status == JobStatus.SUCCEEDED


def test_it_can_be_cancelled_again(desk: Any) -> None:
    job_id, _ = resumed(desk)
    with desk.session() as session:
        service.cancel(session, session.get_one(Job, job_id))
    assert desk.read(Job, job_id).status == JobStatus.CANCELLED
    assert resume(desk, job_id)
    with desk.session() as session:
        assert not session.get_one(Job, job_id).cancel_requested
