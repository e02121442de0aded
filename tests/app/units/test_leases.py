from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

from sqlalchemy import text, update

from app.units import leases, service
from app.units.leases import Lease, Pulse
from models import Job, JobStatus, Unit, UnitStatus, now


def claim(desk: Any, subject: str, worker: str = "w") -> Lease | None:
    with desk.session() as session:
        return leases.claim(session, subject, worker, 30.0)


def test_units_are_claimed_in_order_and_the_job_starts(desk: Any) -> None:
    job_id = desk.job(2, labelled=True)
    version = desk.read(Job, job_id).version
    first = claim(desk, job_id)
    assert first is not None
    assert (first.kind, first.attempt, first.indices) == ("accuracy", 1, [0, 1])
    job = desk.read(Job, job_id)
    assert (job.status, job.version) == (JobStatus.RUNNING, version + 1)
    assert job.started_at is not None
    assert [claim(desk, job_id).indices for _ in range(2)] == [[0], [1]]
    assert claim(desk, job_id) is None
    unit = desk.read(Unit, first.unit_id)
    assert (unit.status, unit.token, unit.worker) == (UnitStatus.RUNNING, first.token, "w")
    assert unit.lease_until > now()


def test_the_budget_of_the_job_comes_with_the_lease(desk: Any) -> None:
    job_id = desk.job(2, budget={"seconds_per_input": 1.0, "seconds": 100.0})
    with desk.session() as session:
        session.get(Job, job_id).started_at = now() - timedelta(seconds=70)
        session.get(Job, job_id).status = JobStatus.RUNNING
    lease = claim(desk, job_id)
    assert lease is not None
    assert 20 < lease.seconds_left <= 30


def test_workers_at_once_never_get_the_same_unit(desk: Any) -> None:
    job_id, got = desk.job(40), []

    def work(name: str) -> None:
        while (lease := claim(desk, job_id, name)) is not None:
            got.append(lease.unit_id)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 40
    assert max(Counter(got).values()) == 1


def test_a_claim_does_not_wait_for_another(desk: Any) -> None:
    """PostgreSQL: the row that another transaction holds is passed over."""
    if desk.sessions.kw["bind"].dialect.name != "postgresql":
        return  # SQLite has one writer at a time by design
    job_id = desk.job(2)
    claim(desk, desk.job(1))
    with desk.session() as session:
        session.execute(update(Job).where(Job.id == job_id).values(status=JobStatus.RUNNING))
    with desk.session() as one, desk.session() as other:
        other.execute(text("SET LOCAL lock_timeout = '2s'"))
        mine = leases.claim(one, job_id, "a", 30.0)
        theirs = leases.claim(other, job_id, "b", 30.0)
    assert mine is not None
    assert theirs is not None
    assert mine.unit_id != theirs.unit_id


def test_a_heartbeat_extends_the_lease(desk: Any) -> None:
    lease = claim(desk, desk.job(1))
    before = desk.read(Unit, lease.unit_id).lease_until
    with desk.session() as session:
        assert leases.beat(session, lease, 60.0) is Pulse.GO_ON
    assert desk.read(Unit, lease.unit_id).lease_until > before + timedelta(seconds=20)


def test_a_heartbeat_with_a_stale_token_is_refused(desk: Any) -> None:
    job_id = desk.job(1)
    stale = claim(desk, job_id)
    with desk.session() as session:
        leases.release(session, stale)
    fresh = claim(desk, job_id, "other")
    with desk.session() as session:
        assert leases.beat(session, stale, 600.0) is Pulse.LOST
        assert leases.beat(session, fresh, 30.0) is Pulse.GO_ON
    assert desk.read(Unit, fresh.unit_id).lease_until < now() + timedelta(seconds=60)


def test_a_heartbeat_of_a_failed_job_says_that_it_is_over(desk: Any) -> None:
    job_id = desk.job(1)
    lease = claim(desk, job_id)
    with desk.session() as session:
        session.get(Job, job_id).status = JobStatus.FAILED
    with desk.session() as session:
        assert leases.beat(session, lease, 30.0) is Pulse.LOST


def test_a_unit_given_back_costs_no_attempt_and_rings(desk: Any) -> None:
    job_id = desk.job(1)
    lease = claim(desk, job_id)
    desk.rung()
    with desk.session() as session:
        leases.release(session, lease)
    unit = desk.read(Unit, lease.unit_id)
    assert (unit.status, unit.attempt, unit.token, unit.worker) == (UnitStatus.QUEUED, 0, None, None)
    assert desk.rung() == [job_id]


def test_a_failed_attempt_is_counted(desk: Any) -> None:
    job_id = desk.job(1)
    with desk.session() as session:
        leases.release(session, claim_in(session, job_id), failed=True)
    again = claim(desk, job_id)
    assert again is not None
    assert again.attempt == 2


def claim_in(session: Any, subject: str) -> Lease:
    lease = leases.claim(session, subject, "w", 30.0)
    assert lease is not None
    return lease


def test_a_stale_worker_cannot_give_back_what_is_not_its_own(desk: Any) -> None:
    job_id = desk.job(1)
    stale = claim(desk, job_id)
    with desk.session() as session:
        leases.release(session, stale)
    fresh = claim(desk, job_id, "other")
    with desk.session() as session:
        leases.release(session, stale)
    assert desk.read(Unit, fresh.unit_id).token == fresh.token


def test_cancelling_while_nobody_works_needs_no_worker(desk: Any) -> None:
    job_id = desk.job(2)
    lease = claim(desk, job_id)
    with desk.session() as session:
        leases.release(session, lease)
        service.cancel(session, session.get(Job, job_id))
    assert desk.read(Job, job_id).status == JobStatus.CANCELLED
