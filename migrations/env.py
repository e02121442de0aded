"""Alembic's way to the database: an engine or a URL that was handed over, or the one of the settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import context
from sqlalchemy import Connection, Engine, text

from app.db import make_engine
from app.settings import Settings
from models import Base

LOCK_TIMEOUT = "5s"
CHECK = "PRAGMA foreign_key_check"


def run(connection: Connection) -> None:
    """Run the migrations in one transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,  # on SQLite as well: the engine begins every transaction itself
        compare_type=True,
        compare_server_default=True,
        user_module_prefix="models.base.",
    )
    with keys_at_rest(connection), context.begin_transaction():
        if connection.dialect.name == "postgresql":
            take_turns(connection)
        context.run_migrations()
        if connection.dialect.name == "sqlite" and connection.exec_driver_sql(CHECK).first() is not None:
            raise RuntimeError("a row would refer to one that is not there: nothing was migrated")


@contextmanager
def keys_at_rest(connection: Connection) -> Iterator[None]:
    """Let SQLite rebuild tables, as it alters them: dropping one would delete what refers to its rows.

    The switch is without effect inside a transaction. Foreign keys are checked before the commit.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")


def take_turns(connection: Connection) -> None:
    """Let two that start at once go one after the other; give up rather than stop the service over a lock."""
    connection.execute(text("SELECT pg_advisory_xact_lock(7203111)"))
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))


engine: Engine | None = context.config.attributes.get("engine")
owned = engine is None
if engine is None:
    url: str | None = context.config.attributes.get("url")
    engine = make_engine(Settings(database_url=url) if url else Settings())
try:
    with engine.connect() as opened:
        run(opened)
finally:
    if owned:
        engine.dispose()
