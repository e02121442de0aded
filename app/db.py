"""Engine and sessions, the same for the API and the workers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from sqlite3 import Connection as SqliteConnection
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from app.settings import Settings
from app.storage import BlobStore

PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000", "foreign_keys=ON")
READING = "glocert_reading"


def make_engine(settings: Settings) -> Engine:
    """Return the engine of the database that the settings name; nothing is connected yet."""
    options: dict[str, Any] = {"execution_options": {"glocert_data_dir": settings.data_dir}}
    if not settings.sqlalchemy_url.startswith("sqlite"):
        return create_engine(
            settings.sqlalchemy_url, pool_pre_ping=True, pool_size=20, max_overflow=20, **options
        )
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = create_engine(settings.sqlalchemy_url, connect_args={"timeout": 30}, pool_size=20, **options)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def make_sessions(engine: Engine, celery: Any = None) -> sessionmaker[Session]:
    """Return the maker of sessions; each carries the Celery application and the blob store in ``info``."""
    store = BlobStore(engine.get_execution_options()["glocert_data_dir"])
    return sessionmaker(engine, expire_on_commit=False, info={"celery": celery, "store": store})


def make_reading_sessions(sessions: sessionmaker[Session]) -> sessionmaker[Session]:
    """Return a maker of sessions that only read: no lock on SQLite, refused writes on PostgreSQL."""
    engine: Engine = sessions.kw["bind"]
    options: dict[str, Any] = {READING: True}
    if engine.dialect.name == "postgresql":
        options["postgresql_readonly"] = True
    return sessionmaker(**{**sessions.kw, "bind": engine.execution_options(**options)})


def store_of(session: Session) -> BlobStore:
    """Return the blob store that belongs to the database."""
    store: BlobStore = session.info["store"]
    return store


def hold(session: Session, name: str) -> None:
    """Make transactions that hold the same ``name`` run one after the other until they end.

    On SQLite every writing transaction does so already.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


def put(
    session: Session, table: Any, row: dict[str, Any], key: Sequence[str], kept: Collection[str] = ()
) -> None:
    """Insert a row, or replace the one with the same key, whose columns ``kept`` stay."""
    statement = _dialect(session).insert(table).values(**row)
    fresh = {name: value for name, value in row.items() if name not in {*key, *kept}}
    session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=fresh))


def insert_new(session: Session, table: Any, rows: Sequence[dict[str, Any]], told: str) -> list[Any]:
    """Insert the rows that are not there yet; return one column of those that were new."""
    if not rows:
        return []
    assert isinstance(table, Table)
    statement = _dialect(session).insert(table).on_conflict_do_nothing().returning(table.c[told])
    return list(session.execute(statement, list(rows)).scalars())


def _prepare_sqlite(connection: SqliteConnection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = (
        None  # the driver's own BEGIN is deferred: its upgrade to a write can deadlock
    )
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get(READING, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _dialect(session: Session) -> Any:
    return postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
