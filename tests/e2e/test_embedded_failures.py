"""The embedded service killed, stopped and started again on the same folder."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import create_engine, text

from tests.e2e.fleet import (
    PATIENCE_S,
    ROOT,
    Api,
    alive,
    cancel_and_resume,
    computing,
    digits_data,
    digits_model,
    end,
    environment,
    slow_model,
    unlabelled,
    until,
)


@dataclass
class Embedded:
    folder: Path
    process: subprocess.Popen[bytes]
    api: Api


@contextmanager
def embedded(folder: Path) -> Iterator[Embedded]:
    log = folder / "log"
    with log.open("wb") as file:
        process = start(folder, file.fileno())
    try:
        until("its address", lambda: b"ready http" in log.read_bytes() or process.poll() is not None)
        address = log.read_text().partition("ready ")[2].split()[0]
        with httpx.Client(base_url=address, timeout=30) as client:
            yield Embedded(folder, process, Api(client))
    finally:
        process.kill()
        process.wait()


def start(folder: Path, output: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "workers.embedded", "--port", "0", "--data", str(folder)]
    # its own lease is long: what brings the work back is that nobody else can be at work on this folder
    settings = environment(GLOCERT_LEASE_S="3600")
    return subprocess.Popen(command, cwd=ROOT, env=settings, stdout=output, stderr=output)


def unit_states(folder: Path, job_id: str) -> list[tuple[str, int]]:
    return rows(folder, "SELECT status, attempt FROM unit WHERE subject = :id ORDER BY ordinal", job_id)


def rows(folder: Path, sql: str, job_id: str) -> list[Any]:
    engine = create_engine(f"sqlite:///{folder}/glocert.sqlite3")
    try:
        with engine.connect() as connection:
            statement = text(sql)
            return [tuple(row) for row in connection.execute(statement, {"id": job_id})]
    finally:
        engine.dispose()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_a_killed_service_resumes_where_it_was(folder: Path) -> None:
    with embedded(folder) as first:
        model = first.api.upload("models", "digits.onnx", digits_model())
        dataset = first.api.upload("datasets", "digits.npz", digits_data(40))
        job_id = first.api.post_job(model, dataset)
        until("some results", lambda: first.api.done(job_id) >= 10)
        children = until("a child", lambda: computing(first.process))
        first.process.kill()
        first.process.wait()
        until("the end of the child", lambda: not any(map(alive, children)), 10)
    kept = sum(state == "done" for state, _ in unit_states(folder, job_id))
    assert kept >= 10
    with embedded(folder) as second:
        job = second.api.finished(job_id)
        assert job["status"] == "succeeded", job["error"]
        assert second.api.indices(job_id) == list(range(40))
        again = [attempt for _, attempt in unit_states(folder, job_id) if attempt > 1]
        assert len(again) <= 1


def test_sigterm_ends_the_child_and_keeps_the_work(folder: Path) -> None:
    with embedded(folder) as service:
        model = service.api.upload("models", "slow.onnx", slow_model())
        dataset = service.api.upload("datasets", "some.npz", unlabelled(2))
        path = {"type": "brightness", "from": 0.0, "to": 0.5}
        job_id = service.api.post_job(model, dataset, mutation=path, budget={"seconds_per_input": 300})
        children = until("a child", lambda: computing(service.process))
        assert end(service.process, signal.SIGTERM) == 0
        assert not any(map(alive, children))
    assert unit_states(folder, job_id) == [("queued", 0), ("queued", 0)]


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """A service to which nothing is done."""
    with embedded(tmp_path_factory.mktemp("standing")) as service:
        yield service


def test_a_cancelled_job_goes_on_inside_the_input(standing: Embedded) -> None:
    kept = "SELECT count(*) FROM partial_result WHERE job_id = :id"
    cancel_and_resume(standing.api, lambda job_id: rows(standing.folder, kept, job_id)[0][0])


def test_two_services_on_one_folder_are_one_too_many(standing: Embedded) -> None:
    second = start(standing.folder)
    assert second.wait(PATIENCE_S) not in {0, None}
    assert standing.process.poll() is None
    assert standing.api.client.get("/healthz").status_code == 200


def test_the_service_itself_never_loads_torch(standing: Embedded) -> None:
    standing.api.upload("models", "digits.onnx", digits_model())
    mapped = {entry.path for entry in psutil.Process(standing.process.pid).memory_maps()}
    assert not [path for path in mapped if "/torch/" in path or "/onnxruntime/" in path]
    server = psutil.Process(standing.process.pid).children()[0]
    assert [entry.path for entry in server.memory_maps() if "/torch/" in entry.path]
