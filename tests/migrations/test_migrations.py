from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.util.exc import CommandError
from sqlalchemy import Engine, inspect

from app.db import make_engine
from app.migrate import ROOT, alembic_config, at_head, run
from app.settings import Settings
from models import Base


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    return Settings(data_dir=tmp_path, database_url=url)


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    engine = make_engine(settings)
    yield engine
    engine.dispose()


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names()) - {"alembic_version"}


def test_up_down_up(engine: Engine) -> None:
    run(engine, "upgrade", "head")
    assert tables(engine) == set(Base.metadata.tables)
    run(engine, "downgrade", "base")
    assert tables(engine) == set()
    run(engine, "upgrade", "head")
    assert tables(engine) == set(Base.metadata.tables)


def test_the_migrations_make_what_the_models_say(engine: Engine) -> None:
    run(engine, "upgrade", "head")
    config = alembic_config()
    config.attributes["engine"] = engine
    command.check(config)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE worker ADD COLUMN surprise INTEGER")
    with pytest.raises(CommandError, match="New upgrade operations detected"):
        command.check(config)


def test_names_of_constraints_are_those_of_the_models(engine: Engine) -> None:
    run(engine, "upgrade", "head")
    found = inspect(engine)
    for table in Base.metadata.sorted_tables:
        named = {constraint["name"] for constraint in found.get_unique_constraints(table.name)}
        named |= {index["name"] for index in found.get_indexes(table.name)}
        named |= {key["name"] for key in found.get_foreign_keys(table.name)}
        assert {index.name for index in table.indexes} <= named


def test_whether_the_schema_is_the_newest(engine: Engine) -> None:
    with engine.connect() as connection:
        assert not at_head(connection)
    run(engine, "upgrade", "head")
    with engine.connect() as connection:
        assert at_head(connection)


def test_two_that_start_at_once_take_turns(settings: Settings) -> None:
    environment = {"GLOCERT_DATA_DIR": str(settings.data_dir), "GLOCERT_DATABASE_URL": settings.database_url}
    command = [sys.executable, "-W", "error", "-m", "app.migrate"]
    starts = [subprocess.Popen(command, cwd=ROOT, env=os.environ | environment) for _ in range(2)]
    assert [start.wait(60) for start in starts] == [0, 0]
    engine = make_engine(settings)
    assert tables(engine) == set(Base.metadata.tables)
    engine.dispose()


def test_nothing_of_the_migration_stays_on_the_connection(engine: Engine) -> None:
    run(engine, "upgrade", "head")
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "0"
