"""Workers killed, brokers emptied, databases restarted: jobs end by themselves, every result exactly once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import create_engine, text

from app.broker import Task, make_celery
from app.settings import Settings
from tests.e2e.fleet import (
    STEADY,
    Fleet,
    alive,
    cancel_and_resume,
    computing,
    digits_data,
    digits_model,
    end,
    frozen,
    own_fleet,
    slow_model,
    unlabelled,
    until,
)  # fmt: skip

UNITS = 100
SLOW_INPUTS = 12


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with own_fleet(tmp_path_factory.mktemp("fleet")) as running:
        yield running


@pytest.fixture(scope="module")
def uploads(system: Fleet) -> dict[str, str]:
    """The digits, and a network on which one input takes until its budget is used up."""
    system.steady_worker()
    return {
        "digits": system.api.upload("models", "digits.onnx", digits_model()),
        "images": system.api.upload("datasets", "digits.npz", digits_data(UNITS)),
        "slow": system.api.upload("models", "slow.onnx", slow_model()),
        "unlabelled": system.api.upload("datasets", "some.npz", unlabelled(SLOW_INPUTS)),
    }


@pytest.fixture(autouse=True)
def only_the_steady_worker_stays(system: Fleet, uploads: dict[str, str]) -> Iterator[None]:
    yield
    system.kill_workers(but=STEADY)


def digits_job(system: Fleet, uploads: dict[str, str], inputs: int = UNITS, **body: Any) -> str:
    return system.api.post_job(uploads["digits"], uploads["images"], inputs={"limit": inputs}, **body)


def slow_job(system: Fleet, uploads: dict[str, str], **body: Any) -> str:
    budget = {"seconds_per_input": 60, "seconds": 600} | body.pop("budget", {})
    path = {"type": "brightness", "from": 0.0, "to": 0.5}
    return system.api.post_job(uploads["slow"], uploads["unlabelled"], mutation=path, budget=budget, **body)


def rows(system: Fleet, statement: str, **values: Any) -> list[Any]:
    engine = create_engine(system.postgres.url)
    try:
        with engine.begin() as connection:
            return [tuple(row) for row in connection.execute(text(statement), values)]
    finally:
        engine.dispose()


def losses(system: Fleet) -> int:
    """Return how often the steady worker has said that its unit was another one's by then."""
    return system.log(STEADY).count('"end": "lost"')


def assert_exactly_once(system: Fleet, job_id: str, inputs: int) -> None:
    job = system.api.finished(job_id)
    assert job["status"] == "succeeded", job["error"]
    assert system.api.indices(job_id) == list(range(inputs))
    assert job["summary"]["inputs"] == inputs
    counted = "SELECT units_done, units_total, inputs_done FROM job WHERE id = :id"
    assert rows(system, counted, id=job_id) == [(inputs + 1, inputs + 1, inputs)]
    assert rows(system, "SELECT DISTINCT status FROM unit WHERE subject = :id", id=job_id) == [("done",)]


def test_a_killed_worker_costs_one_unit(system: Fleet, uploads: dict[str, str]) -> None:
    victim = system.start_worker("victim")
    with frozen(system.steady_worker()):  # or it has done them all before the other has begun
        job_id = digits_job(system, uploads)
        children = until("a child", lambda: computing(victim))
    until("a quarter", lambda: system.api.done(job_id) > UNITS / 4)
    end(victim, signal.SIGKILL)
    until("the end of the child", lambda: not any(map(alive, children)), 10)
    assert_exactly_once(system, job_id, UNITS)


def test_the_only_worker_is_killed_and_started_again(system: Fleet, uploads: dict[str, str]) -> None:
    victim = system.steady_worker()
    job_id = digits_job(system, uploads, 40)
    until("some", lambda: system.api.done(job_id) > 10)
    end(victim, signal.SIGKILL)
    system.steady_worker()
    assert_exactly_once(system, job_id, 40)


def test_an_emptied_broker_loses_no_job(system: Fleet, uploads: dict[str, str]) -> None:
    system.steady_worker()
    busy = digits_job(system, uploads, UNITS)
    waiting = digits_job(system, uploads, 5)
    until("a quarter", lambda: system.api.done(busy) > UNITS / 4)
    with closing(redis.Redis.from_url(system.redis.url)) as client:
        assert client.dbsize() > 0
        client.flushall()
    assert_exactly_once(system, busy, UNITS)
    assert_exactly_once(system, waiting, 5)


def test_a_job_posted_while_the_broker_is_down_is_done_when_it_is_back(
    system: Fleet, uploads: dict[str, str]
) -> None:
    system.steady_worker()
    system.redis.stop()
    job_id = digits_job(system, uploads, 5)
    system.redis.start(empty=True)
    assert_exactly_once(system, job_id, 5)


def test_a_restarted_database_loses_no_result(system: Fleet, uploads: dict[str, str]) -> None:
    system.steady_worker()
    job_id = digits_job(system, uploads)
    until("a quarter", lambda: system.api.done(job_id) > UNITS / 4)
    system.postgres.stop()
    system.postgres.start()
    assert_exactly_once(system, job_id, UNITS)


def test_cancelling_kills_the_child(system: Fleet, uploads: dict[str, str]) -> None:
    worker = system.steady_worker()
    job_id = slow_job(system, uploads)
    children = until("a child", lambda: computing(worker))
    until("the job", lambda: system.api.job(job_id)["status"] == "running")
    assert system.api.client.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
    job = system.api.finished(job_id)
    assert job["status"] == "cancelled"
    until("the end of the child", lambda: not any(map(alive, children)), 5)
    assert system.api.indices(job_id) == []
    assert worker.poll() is None
    assert_exactly_once(system, digits_job(system, uploads, 3), 3)


def test_a_job_out_of_budget_fails_and_its_rows_stay(system: Fleet, uploads: dict[str, str]) -> None:
    system.steady_worker()
    job_id = slow_job(system, uploads, budget={"seconds_per_input": 1, "seconds": 5})
    job = system.api.finished(job_id)
    assert job["status"] == "failed"
    assert job["error"]["type"] == "/problems/deadline-exceeded"
    assert 0 < len(system.api.indices(job_id)) < SLOW_INPUTS


def test_a_cancelled_job_goes_on_inside_the_input(system: Fleet) -> None:
    system.steady_worker()
    kept = "SELECT count(*) FROM partial_result WHERE job_id = :id"
    cancel_and_resume(system.api, lambda job_id: rows(system, kept, id=job_id)[0][0])


def test_sigterm_gives_the_unit_back(system: Fleet, uploads: dict[str, str]) -> None:
    worker = system.steady_worker()
    job_id = slow_job(system, uploads)
    children = until("a child", lambda: computing(worker))
    assert end(worker, signal.SIGTERM) == 0
    assert not any(map(alive, children))
    state = "SELECT status, attempt, token FROM unit WHERE subject = :id ORDER BY ordinal LIMIT 1"
    assert rows(system, state, id=job_id) == [("queued", 0, None)]
    assert rows(system, "SELECT name FROM worker WHERE name = :name", name=STEADY) == []
    second = system.steady_worker()
    until("another child", lambda: computing(second))
    system.api.client.post(f"/v1/jobs/{job_id}/cancel")
    system.api.finished(job_id)


def test_a_frozen_worker_that_wakes_up_writes_nothing(system: Fleet, uploads: dict[str, str]) -> None:
    """Its child has the result at hand when it wakes up, but the unit is another worker's by then."""
    sleeper = system.steady_worker()
    job_id = slow_job(system, uploads, inputs={"limit": 1}, budget={"seconds_per_input": 5})
    until("a child", lambda: computing(sleeper))
    holder = "SELECT worker, status FROM unit WHERE subject = :id"
    lost = losses(system)
    with frozen(sleeper):
        until("the lease to end", lambda: rows(system, holder, id=job_id)[0][1] == "queued")
        other = system.start_worker("other")
        until("the other", lambda: rows(system, holder, id=job_id)[0][0] == "other")
    until("the loss to be noticed", lambda: losses(system) > lost)
    assert rows(system, holder, id=job_id) == [("other", "running")]
    job = system.api.finished(job_id)
    assert job["status"] == "succeeded"
    assert system.api.indices(job_id) == [0]
    assert other.poll() is None
    assert sleeper.poll() is None


def test_a_repeated_request_makes_no_second_job(system: Fleet, uploads: dict[str, str]) -> None:
    system.steady_worker()
    first = digits_job(system, uploads, 2, key="the-same")
    assert digits_job(system, uploads, 2, key="the-same") == first
    assert_exactly_once(system, first, 2)
    assert digits_job(system, uploads, 2, key="the-same") == first


def test_urgent_jobs_go_first(system: Fleet, uploads: dict[str, str]) -> None:
    with frozen(system.steady_worker()):
        jobs = {priority: digits_job(system, uploads, 4, priority=priority) for priority in (0, 3, 9, 6)}
    ends = {priority: system.api.finished(job_id)["finished_at"] for priority, job_id in jobs.items()}
    assert sorted(ends, key=lambda priority: ends[priority]) == [9, 6, 3, 0]


def test_an_urgent_job_overtakes_a_long_one(system: Fleet, uploads: dict[str, str]) -> None:
    system.steady_worker()
    long = digits_job(system, uploads, UNITS, priority=1)
    until("its start", lambda: system.api.done(long) > 0)
    urgent = digits_job(system, uploads, 2, priority=8)
    assert system.api.finished(urgent)["status"] == "succeeded"
    assert system.api.job(long)["status"] == "running"
    system.api.client.post(f"/v1/jobs/{long}/cancel")
    assert system.api.finished(long)["status"] == "cancelled"


def test_doubled_messages_do_no_harm(system: Fleet, uploads: dict[str, str], tmp_path: Path) -> None:
    system.start_worker("second")
    job_id = digits_job(system, uploads, 20)
    celery = make_celery(Settings(data_dir=tmp_path, broker_url=system.redis.url))
    for _ in range(10):
        celery.ring(Task.CERTIFY, job_id, 3)
        celery.ring(Task.INSPECT, uploads["digits"], 3)
    system.steady_worker()
    assert_exactly_once(system, job_id, 20)
