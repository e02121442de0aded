from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from app.db import hold, make_engine, make_reading_sessions, make_sessions, store_of
from app.settings import Settings
from models import ApiKey


@pytest.fixture
def on_sqlite(settings: Settings) -> Iterator[sessionmaker[Session]]:
    engine = make_engine(settings)
    yield make_sessions(engine)
    engine.dispose()


@pytest.fixture
def on_postgres(settings: Settings, migrated_postgres_url: str) -> Iterator[sessionmaker[Session]]:
    engine = make_engine(settings.model_copy(update={"database_url": migrated_postgres_url}))
    yield make_sessions(engine)
    engine.dispose()


def key(name: str) -> ApiKey:
    return ApiKey(owner="o", name=name, prefix="p", sha256=name, scopes=[])


def test_sqlite_is_set_up_for_many_readers_and_one_writer(on_sqlite: sessionmaker[Session]) -> None:
    sessions = on_sqlite
    with sessions() as session:
        found = {
            name: session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1}


def test_reading_goes_on_while_somebody_writes(on_sqlite: sessionmaker[Session]) -> None:
    sessions = on_sqlite
    with sessions() as writer:
        writer.add(key("new"))
        writer.flush()
        with make_reading_sessions(sessions)() as reader:
            assert reader.query(ApiKey).count() == 0
        writer.commit()
    with make_reading_sessions(sessions)() as reader:
        assert reader.query(ApiKey).count() == 1


def test_writers_that_read_first_take_turns_and_lose_nothing(on_sqlite: sessionmaker[Session]) -> None:
    sessions = on_sqlite

    def append(number: int) -> None:
        with sessions() as session, session.begin():
            before = session.query(ApiKey).count()  # a deferred transaction would fail at its upgrade here
            session.add(key(f"{before}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(append, range(24)))
    with sessions() as session:
        assert session.query(ApiKey).count() == 24


def test_reading_sessions_cannot_write_on_postgresql(on_postgres: sessionmaker[Session]) -> None:
    sessions = on_postgres
    with make_reading_sessions(sessions)() as reader:
        reader.add(key("new"))
        with pytest.raises(DBAPIError, match="read-only"):
            reader.flush()
    with sessions() as session, session.begin():
        session.add(key("new"))  # the mode stays with the reading sessions, not with the pooled connection


def test_holders_of_one_name_take_turns_on_postgresql(on_postgres: sessionmaker[Session]) -> None:
    sessions = on_postgres
    entered = threading.Event()

    def second() -> None:
        with sessions() as session, session.begin():
            hold(session, "turn")
            entered.set()

    with ThreadPoolExecutor(1) as pool:
        with sessions() as session, session.begin():
            hold(session, "turn")
            waiting = pool.submit(second)
            assert not entered.wait(0.3)
        waiting.result(10)
    assert entered.is_set()


def test_sessions_carry_the_store_of_their_data_folder(settings: Settings) -> None:
    engine = make_engine(settings)
    with make_sessions(engine, "celery")() as session:
        blob = store_of(session).put([b"x"])
        assert session.info["celery"] == "celery"
    assert (settings.data_dir / "blobs" / blob.sha256[:2] / blob.sha256).read_bytes() == b"x"
    engine.dispose()
