from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from app.db import make_engine
from app.migrate import upgrade
from app.settings import Settings
from models import now
from models.access import Worker
from workers.health import main


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.setenv("GLOCERT_DATA_DIR", str(tmp_path))
    upgrade(Settings())
    return Settings()


def beat(settings: Settings, name: str, age_s: float) -> None:
    moment = now() - timedelta(seconds=age_s)
    engine = make_engine(settings)
    with Session(engine) as session, session.begin():
        session.add(
            Worker(name=name, queues=[], device="cpu", version="0", started_at=moment, beat_at=moment)
        )
    engine.dispose()


@pytest.mark.parametrize(
    ("name", "age_s", "code"),
    [("one-1", 1.0, 0), ("one-1", 100.0, 1), ("other-1", 1.0, 1), ("oneX1", 1.0, 1)],
)
def test_only_a_fresh_beat_of_this_worker_counts(name, age_s, code, settings):
    beat(settings, name, age_s)
    assert main(["--name", "one-"]) == code


def test_no_worker_at_all(settings):
    assert main([]) == 1


def test_a_database_that_does_not_answer(settings, monkeypatch):
    monkeypatch.setenv("GLOCERT_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none")
    with pytest.raises(SystemExit, match="does not answer"):
        main([])
