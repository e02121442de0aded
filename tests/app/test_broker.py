from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.broker import Task, make_celery, ring_after_commit
from app.db import make_engine, make_sessions
from app.settings import Settings
from tests.app.units.conftest import Desk, open_desk


@pytest.fixture
def desk(settings: Settings) -> Desk:
    return open_desk(settings)


def test_messages_leave_after_the_commit(desk: Desk) -> None:
    with desk.sessions() as session:
        with session.begin():
            ring_after_commit(session, Task.CERTIFY, "job_1", 3, times=2)
            session.execute(text("select 1"))
            assert desk.rung() == []
        assert desk.rung() == ["job_1", "job_1"]
        with session.begin():
            session.execute(text("select 1"))
        assert desk.rung() == []


def test_a_rollback_rings_nobody(desk: Desk) -> None:
    with desk.sessions() as session:
        session.execute(text("select 1"))
        ring_after_commit(session, Task.CERTIFY, "job_1", 3)
        session.rollback()
        session.execute(text("select 1"))
        session.commit()
    assert desk.rung() == []


def test_a_savepoint_is_no_commit(desk: Desk) -> None:
    with desk.sessions() as session, session.begin():
        session.execute(text("select 1"))
        with session.begin_nested():
            session.execute(text("select 1"))
            ring_after_commit(session, Task.INSPECT, "mdl_1", 9)
        assert desk.rung() == []
        savepoint = session.begin_nested()
        session.execute(text("select 1"))
        savepoint.rollback()
        assert desk.rung() == []
    assert desk.rung() == ["mdl_1"]


def test_a_broker_that_is_down_fails_no_request(settings: Settings) -> None:
    desk = open_desk(settings)
    dead = make_celery(settings.model_copy(update={"broker_url": "redis://127.0.0.1:1/0"}))
    finished = threading.Event()

    def request() -> None:
        with make_sessions(make_engine(settings), dead)() as session, session.begin():
            session.execute(text("create table proof (x integer)"))
            ring_after_commit(session, Task.CERTIFY, "job_1", 3, times=8)
        finished.set()

    thread = threading.Thread(target=request, daemon=True)
    thread.start()
    thread.join(20)
    assert finished.is_set()
    with desk.session() as session:
        assert session.execute(text("select * from proof")).all() == []


def test_urgent_work_is_received_first(redis_url: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, broker_url=redis_url)
    celery = make_celery(settings)
    for priority in (0, 3, 9, 6, 0, 9):
        assert celery.ring(Task.CERTIFY, f"p{priority}", priority)
    received: list[Any] = []
    with celery.connection_for_read() as connection:
        channel = connection.default_channel
        while (message := channel.basic_get("certification")) is not None:
            message.ack()
            received.append(message.payload[0][0])
    assert received == ["p9", "p9", "p6", "p3", "p0", "p0"]


def test_messages_carry_an_id_and_nothing_else(redis_url: str, tmp_path: Path) -> None:
    celery = make_celery(Settings(data_dir=tmp_path, broker_url=redis_url))
    celery.ring(Task.INSPECT, "mdl_1", 9)
    with celery.connection_for_read() as connection:
        message = connection.default_channel.basic_get("inspection")
    assert message.content_type == "application/json"
    assert message.payload[:2] == [["mdl_1"], {}]


def test_a_session_without_a_broker_cannot_queue(settings: Settings) -> None:
    with make_sessions(make_engine(settings))() as session:
        ring_after_commit(session, Task.CERTIFY, "job_1", 3)
        with pytest.raises(RuntimeError, match="without a broker"):
            session.commit()
