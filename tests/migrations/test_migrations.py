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
from sqlalchemy.orm import Session

from app.db import make_engine
from app.migrate import ROOT, alembic_config, at_head, run
from app.settings import Settings
from models import Base, Direction, Job, JobNetwork, Network, Result, Unit


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


def test_going_back_from_directions_leaves_what_the_older_release_knows(engine: Engine) -> None:
    run(engine, "upgrade", "0006")
    rows = {"owner": "o", "spec": {}, "tags": {}, "warnings": []}
    generator = Network(
        id="mdl_g", owner="o", identity="g", name="g", filename="g", role="generator", sha256="g",
        size_bytes=1, preprocessing={}, card={"prior": "normal"},
    )  # fmt: skip
    with Session(engine) as session, session.begin():
        session.add(generator)
        session.flush()
        for name, kind in (
            ("a", "segment-certification"),
            ("b", "segment-certification"),
            ("c", "direction-mining"),
        ):
            session.add(Job(id=name, kind=kind, network_id="mdl_g", **rows))
        session.flush()
        session.add(JobNetwork(job_id="b", role="generator", network_id="mdl_g"))
        for name in ("a", "b"):
            session.add(Result(job_id=name, index=0, verdict="certified", row={}))
        session.add(Unit(kind="direction-mining", subject="c"))
        session.add(
            Direction(
                owner="o",
                generator_id="mdl_g",
                job_id="c",
                mode="global",
                vector=[1.0],
                extent=1.0,
                energy=1.0,
            )
        )
    run(engine, "downgrade", "0005")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT id FROM job").scalars().all() == ["a"]
        assert connection.exec_driver_sql("SELECT id FROM network").scalars().all() == ["mdl_g"]
        assert connection.exec_driver_sql("SELECT count(*) FROM unit").scalar() == 0
        assert connection.exec_driver_sql("SELECT job_id FROM result").scalars().all() == ["a"]
        if engine.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    run(engine, "downgrade", "0002")
    run(engine, "upgrade", "head")  # rebuilds the table of jobs on SQLite
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT job_id FROM result").scalars().all() == ["a"]


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
