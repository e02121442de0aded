"""A desk with a supervisor and real children on SQLite; messages are called by hand."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.broker import make_celery
from app.db import make_engine, make_sessions
from app.migrate import upgrade
from app.settings import Settings
from app.storage import BlobStore
from app.units import service
from models import Dataset, Job, Network, UnitKind
from workers.children import Nursery
from workers.supervisor import Supervisor

SPEC: dict[str, Any] = {
    "kind": "segment-certification",
    "mutation": {"type": "brightness", "from": 0.0, "to": 0.1},
    "analysis": "complete",
    "arithmetic": "real",
    "margin": 0.0,
    "gap": 0.001,
    "budget": {"seconds_per_input": 60.0, "seconds": 600.0},
    "partition": False,
}


@dataclass
class Bench:
    settings: Settings
    sessions: sessionmaker[Session]
    supervisor: Supervisor

    def put(self, row: Any) -> str:
        with self.sessions() as session, session.begin():
            session.add(row)
        return str(row.id)

    def read(self, kind: type[Any], key: Any) -> Any:
        with self.sessions() as session:
            return session.get(kind, key)

    def network(self, content: bytes) -> str:
        blob = BlobStore(self.settings.data_dir).put([content])
        row = Network(
            owner="o", identity=blob.sha256, name="n", filename="n.onnx", role="classifier",
            sha256=blob.sha256, size_bytes=blob.size_bytes, preprocessing={"scale": True},
        )  # fmt: skip
        return self._inspected(row, UnitKind.INSPECT_NETWORK)

    def dataset(self, content: bytes) -> str:
        blob = BlobStore(self.settings.data_dir).put([content])
        row = Dataset(
            owner="o", name="d", filename="d.npz", sha256=blob.sha256, size_bytes=blob.size_bytes
        )  # fmt: skip
        return self._inspected(row, UnitKind.INSPECT_DATASET)

    def job(self, network: str, dataset: str, inputs: int = 2, **spec: Any) -> str:
        asked = SPEC | spec
        row = Job(owner="o", kind=asked["kind"], spec=asked, network_id=network, dataset_id=dataset, tags={})
        with self.sessions() as session, session.begin():
            service.queue_job(session, row, range(inputs))
        return row.id

    def _inspected(self, row: Any, kind: UnitKind) -> str:
        subject = self.put(row)
        with self.sessions() as session, session.begin():
            service.queue_inspection(session, kind, subject)
        self.supervisor.serve(subject)
        return subject


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    nursery = Nursery(Settings(data_dir=tmp_path_factory.mktemp("nursery"), device="cpu"))
    nursery.warm(wait=True)
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    upgrade(Settings(data_dir=folder))
    return folder / "glocert.sqlite3"


@pytest.fixture
def bench(tmp_path: Path, template: Path, nursery: Nursery) -> Iterator[Callable[..., Bench]]:
    """Make a bench with some settings changed."""
    shutil.copy(template, tmp_path / "glocert.sqlite3")
    opened = []

    def make(**changes: Any) -> Bench:
        settings = Settings(
            data_dir=tmp_path, device="cpu", child_threads=1, unit_inputs=1, beat_s=0.2, **changes
        )
        sessions = make_sessions(make_engine(settings), make_celery(settings))
        opened.append(sessions)
        kinds = list(UnitKind)
        return Bench(settings, sessions, Supervisor(sessions, settings, nursery, name="w", kinds=kinds))

    yield make
    for sessions in opened:
        sessions.kw["bind"].dispose()


def kill_children(desk: Bench) -> None:
    server = desk.supervisor.nursery._server
    assert server is not None
    while not (children := psutil.Process(server.pid).children()):
        time.sleep(0.001)
    for child in children:
        os.kill(child.pid, signal.SIGKILL)
