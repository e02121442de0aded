"""Alembic's way to the database: an engine or a URL that was handed over, or the one of the settings."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, Engine, text

from app.db import make_engine
from app.settings import Settings
from models import Base

LOCK_TIMEOUT = "5s"


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
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            take_turns(connection)
        context.run_migrations()


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
