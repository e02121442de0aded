"""The real application behind a real server, and rows as inspections and workers leave them."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn
from fastapi import FastAPI
from sqlalchemy.orm import Session

from app.datasets import service as datasets
from app.jobs import service as jobs
from app.main import create_app
from app.networks import service as networks
from app.settings import Settings
from models import Artifact, Job, JobStatus, Result, Unit, UnitStatus

ADMIN_KEY = "glc_admin-key-of-the-tests"
INSPECTION: dict[str, Any] = {
    "format": "onnx",
    "opset": 17,
    "producer": "pytorch",
    "operators": {"Flatten": 1, "Gemm": 2, "Relu": 1},
    "canonical_operators": {"Flatten": 1, "Gemm": 2, "Relu": 1},
    "parameters": 650,
    "nonlinear_units": 20,
    "input": {"name": "x", "shape": [1, 4, 4], "dtype": "float32"},
    "outputs": [{"name": "y", "shape": [3]}],
    "piecewise_linear": True,
    "methods": {"segment": {"admitted": "exact"}, "lipschitz": {"admitted": "no", "because": "not offered"}},
    "notes": [],
    "comparison": {"runtime": "onnxruntime 1.31.1", "samples": 8, "max_abs_difference": 1e-7},
}


@dataclass
class Served:
    """A running service."""

    app: FastAPI
    settings: Settings
    client: httpx.Client
    url: str

    @contextmanager
    def session(self) -> Iterator[Session]:
        with self.app.state.parts.sessions() as session, session.begin():
            yield session

    @property
    def blobs(self) -> list[Path]:
        return [path for path in (self.settings.data_dir / "blobs").rglob("*") if path.is_file()]

    @property
    def incoming(self) -> list[Path]:
        return list((self.settings.data_dir / "incoming").iterdir())

    def model(self, data: bytes = b"onnx", **fields: str) -> dict[str, Any]:
        answer = self.client.post("/v1/models", files={"file": ("net.onnx", data)}, data=fields)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()

    def dataset(self, data: bytes = b"npz", **fields: str) -> dict[str, Any]:
        answer = self.client.post("/v1/datasets", files={"file": ("data.npz", data)}, data=fields)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()

    def ready_model(self, data: bytes = b"onnx", report: dict[str, Any] | None = None, **fields: str) -> str:
        model_id = self.model(data, **fields)["id"]
        graph = self.app.state.parts.store.put([b"graph of ", data]).sha256
        with self.session() as session:
            networks.record_inspection(session, model_id, INSPECTION | (report or {}), None, graph)
            _end_units(session, model_id)
        return model_id

    def ready_dataset(
        self,
        data: bytes = b"npz",
        shape: Sequence[int] = (6, 4, 4),
        labels: Sequence[int] | None = (0, 1, 2, 0, 1, 2),
        dtype: str = "uint8",
    ) -> str:
        dataset_id = self.dataset(data)["id"]
        store = self.app.state.parts.store
        inputs = store.put([_npy(np.arange(np.prod(shape)).reshape(shape).astype(dtype))]).sha256
        labelled = None if labels is None else store.put([_npy(np.array(labels, np.int64))]).sha256
        with self.session() as session:
            datasets.record_inspection(session, dataset_id, {"items": shape[0]}, None, inputs, labelled)
            _end_units(session, dataset_id)
        return dataset_id

    def body(self, **members: Any) -> dict[str, Any]:
        return {
            "kind": "segment-certification",
            "model_id": members.pop("model_id", None) or self.ready_model(),
            "dataset_id": members.pop("dataset_id", None) or self.ready_dataset(),
            "mutation": {"type": "brightness", "from": 0.0, "to": 0.2},
        } | members

    def job(self, **members: Any) -> dict[str, Any]:
        answer = self.client.post("/v1/jobs", json=self.body(**members))
        assert answer.status_code == 202, answer.text
        return answer.json()

    def work(self, job_id: str, rows: Sequence[dict[str, Any]]) -> None:
        """Leave results as workers do, without ending the job."""
        with self.session() as session:
            job = session.get_one(Job, job_id)
            job.status, job.started_at = JobStatus.RUNNING, job.created_at
            for row in rows:
                session.add(Result(job_id=job_id, index=row["index"], verdict=row["verdict"], row=row))
            job.inputs_done += len(rows)
            job.version += 1

    def picture(self, job_id: str, index: int, name: str, content: bytes = b"png") -> None:
        blob = self.app.state.parts.store.put([content])
        file = {"media_type": "image/png", "sha256": blob.sha256, "size_bytes": blob.size_bytes}
        with self.session() as session:
            session.add(Artifact(job_id=job_id, index=index, name=name, **file))

    def finish(self, job_id: str) -> None:
        with self.session() as session:
            jobs.finish(session, session.get_one(Job, job_id))


@contextmanager
def serving(settings: Settings, key: str = "") -> Iterator[Served]:
    """Run the application in a thread of this process."""
    app = create_app(settings)
    config = uvicorn.Config(
        app, port=0, log_config=None, timeout_graceful_shutdown=2, lifespan="on", access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            thread.join(0.005)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
            yield Served(app, settings, client, url)
    finally:
        server.should_exit = True
        thread.join(10)


def row(index: int, verdict: str = "certified", **members: Any) -> dict[str, Any]:
    """Return the row of an input as the engine writes it."""
    lower, upper = {"certified": (1.0, 1.0), "falsified": (0.25, 0.3), "undecided": (0.0, 1.0)}.get(
        verdict, (0.0, 0.0)
    )
    found: dict[str, Any] = {"index": index, "label": 1, "predicted": 1, "verdict": verdict, "seconds": 0.5}
    if verdict != "skipped":
        found |= {
            "robust_mass": {"lower": lower, "upper": upper},
            "min_margin": {"value": 0.5, "t": 0.9},
            "error_radius": 1e-12,
            "pieces": 7,
            "certified_to": {"t": lower, "value": 0.2 * lower, "unit": "intensity"},
        }
    if verdict == "falsified":
        found["counterexample"] = {
            "t": 0.8, "value": 0.16, "predicted": 2, "image": "counterexample.png",
            "confirmed_in": ["torch", "onnxruntime"],
        }  # fmt: skip
    return found | members


def code(answer: httpx.Response) -> str:
    """Return the code of a problem, having checked its shape."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["title"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    return str(problem["type"].removeprefix("/problems/"))


def _end_units(session: Session, subject: str) -> None:
    session.query(Unit).filter(Unit.subject == subject).update({"status": UnitStatus.DONE})


def _npy(array: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
