from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from kombu import Connection
from sqlalchemy.orm import Session, sessionmaker

from app.broker import QUEUES, Doorbells, make_celery
from app.db import make_engine, make_sessions
from app.settings import Settings
from app.units import service
from models import Dataset, Job, Network, UploadStatus

SPEC: dict[str, Any] = {
    "kind": "segment-certification",
    "mutation": {"type": "brightness", "from": 0.0, "to": 0.2},
    "analysis": "complete",
    "arithmetic": "real",
    "margin": 0.0,
    "gap": 0.001,
    "budget": {"seconds_per_input": 30.0, "seconds": 3600.0},
    "partition": False,
}


@dataclass
class Desk:
    """Sessions on a migrated database, a broker, and rows as the API makes them."""

    settings: Settings
    celery: Doorbells
    sessions: sessionmaker[Session]

    @contextmanager
    def session(self) -> Iterator[Session]:
        with self.sessions() as session, session.begin():
            yield session

    def network(self, status: UploadStatus = UploadStatus.READY) -> str:
        with self.session() as session:
            network = Network(
                owner="o", identity=secrets.token_hex(8), name="n", filename="n.onnx", role="classifier",
                sha256="a" * 64, size_bytes=1, graph_sha256="b" * 64, status=status,
                preprocessing={"scale": True, "mean": [], "std": [], "layout": "NCHW", "domain": [0.0, 1.0]},
                inspection={"nonlinear_units": 10, "parameters": 100, "format": "onnx",
                            "input": {"name": "x", "shape": [4], "dtype": "float32"},
                            "outputs": [{"name": "y", "shape": [2]}]},
            )  # fmt: skip
            session.add(network)
        return network.id

    def dataset(self, *, labelled: bool = True) -> str:
        with self.session() as session:
            dataset = Dataset(
                owner="o", name="d", filename="d.npz", sha256=secrets.token_hex(32), size_bytes=1, items=50,
                status=UploadStatus.READY, inputs_sha256="c" * 64,
                labels_sha256="d" * 64 if labelled else None, inspection={"shape": [4], "dtype": "float32"},
            )  # fmt: skip
            session.add(dataset)
        return dataset.id

    def job(self, inputs: int = 4, *, priority: int = 3, labelled: bool = False, **spec: Any) -> str:
        network, dataset = self.network(), self.dataset(labelled=labelled)
        with self.session() as session:
            job = Job(
                owner="o", kind=SPEC["kind"], spec=SPEC | spec, network_id=network, dataset_id=dataset,
                tags={}, priority=priority, inputs_total=inputs,
            )  # fmt: skip
            session.add(job)
            session.flush()
            service.queue_job(session, job, range(inputs))
        return job.id

    def read(self, kind: type[Any], key: Any) -> Any:
        with self.session() as session:
            return session.get(kind, key)

    def rung(self) -> list[str]:
        """Take every message out of the broker and return the subjects, in order."""
        subjects = []
        with Connection(self.settings.broker_url) as connection:
            channel = connection.default_channel
            for queue in QUEUES.values():
                while (message := channel.basic_get(queue)) is not None:
                    message.ack()
                    subjects.append(message.payload[0][0])
        return subjects


def open_desk(settings: Settings) -> Desk:
    celery = make_celery(settings)
    desk = Desk(settings, celery, make_sessions(make_engine(settings), celery))
    desk.rung()  # the broker in memory is shared by all tests of this process
    return desk


@pytest.fixture(params=["sqlite", "postgresql"])
def desk(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Desk]:
    """On both databases; one input per unit."""
    changes: dict[str, Any] = {"unit_inputs": 1}
    if request.param == "postgresql":
        changes["database_url"] = request.getfixturevalue("migrated_postgres_url")
    desk = open_desk(settings.model_copy(update=changes))
    yield desk
    desk.sessions.kw["bind"].dispose()
    desk.celery.close()


def row(index: int, verdict: str = "certified") -> dict[str, Any]:
    return {
        "index": index, "label": 1, "predicted": 1, "verdict": verdict, "seconds": 0.5,
        "robust_mass": {"lower": 1.0, "upper": 1.0}, "min_margin": {"value": 1.0, "t": 0.0},
        "error_radius": 1e-9, "pieces": 3, "certified_to": {"t": 1.0, "value": 0.2, "unit": "intensity"},
    }  # fmt: skip
