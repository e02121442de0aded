"""Bring the schema of the database to the newest revision: ``python -m app.migrate``."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from app.db import make_engine
from app.settings import Settings

ONE_AT_A_TIME = threading.Lock()
"""Alembic keeps its state in a module: two threads would mix it up."""
ROOT = Path(__file__).resolve().parent.parent


def alembic_config() -> Config:
    """Return Alembic's configuration, wherever the process was started."""
    config = Config(ROOT / "alembic.ini")
    config.set_main_option("script_location", str(ROOT / "migrations"))
    return config


def upgrade(settings: Settings, revision: str = "head") -> None:
    """Bring the schema to a revision; a database that is there already is left as it is."""
    engine = make_engine(settings)
    try:
        run(engine, "upgrade", revision)
    finally:
        engine.dispose()


def run(engine: Engine, direction: str, revision: str) -> None:
    """Run ``upgrade`` or ``downgrade`` on the engine's database."""
    config = alembic_config()
    config.attributes["engine"] = engine
    with ONE_AT_A_TIME:
        getattr(command, direction)(config, revision)


def at_head(connection: Connection) -> bool:
    """Whether the schema is the newest one."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    return MigrationContext.configure(connection).get_current_revision() == head


if __name__ == "__main__":
    upgrade(Settings())
