"""A service on real servers, with worker processes to be killed, stopped and frozen."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import psutil
from onnx import TensorProto, helper, numpy_helper

from app.migrate import upgrade
from app.settings import Settings
from tests.postgres_servers import open_own_postgres
from tests.redis_servers import open_own_redis
from tests.servers import Service, free_port

ROOT = Path(__file__).parents[2]
PATIENCE_S = 90.0
SHORT = {
    "GLOCERT_LEASE_S": "3",
    "GLOCERT_BEAT_S": "0.3",
    "GLOCERT_REAP_S": "0.5",
    "GLOCERT_REPUBLISH_S": "2",
    "GLOCERT_SLICE_S": "2",
    "GLOCERT_PARTIAL_S": "0.2",
    "GLOCERT_STOP_S": "8",
    "GLOCERT_UNIT_INPUTS": "1",
    "GLOCERT_CHILD_THREADS": "1",
    "GLOCERT_DEVICE": "cpu",
}
STEADY = "steady"
FINAL = {"succeeded", "failed", "cancelled"}


def environment(**settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GLOCERT_")}
    return kept | SHORT | settings


def until(what: str, look: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Return the first true answer of ``look``."""
    deadline = time.monotonic() + patience_s
    while not (answer := look()):
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.05)
    return answer


@dataclass
class Api:
    """What a user does, over HTTP; a service that is away for a moment is asked again."""

    client: httpx.Client

    def get(self, path: str, **query: Any) -> Any:
        return until(f"an answer about {path}", lambda: self._answer(path, query)).json()

    def _answer(self, path: str, query: dict[str, Any]) -> httpx.Response | None:
        with suppress(httpx.TransportError):
            answer = self.client.get(path, params=query)
            if answer.status_code < 500:
                assert answer.status_code == 200, answer.text
                return answer
        return None

    def upload(self, kind: str, name: str, content: bytes, **form: str) -> str:
        answer = self.client.post(f"/v1/{kind}", files={"file": (name, content)}, data=form)
        assert answer.status_code in {200, 201}, answer.text
        path = f"/v1/{kind}/{answer.json()['id']}"
        found = until("the inspection", lambda: self._inspected(path))
        assert found["status"] == "ready", found
        return str(found["id"])

    def post_job(self, model: str, dataset: str, *, key: str = "", **body: Any) -> str:
        request = {
            "kind": "segment-certification",
            "model_id": model,
            "dataset_id": dataset,
            "mutation": {"type": "brightness", "from": 0.0, "to": 0.05},
        } | body
        answer = self.client.post("/v1/jobs", json=request, headers={"Idempotency-Key": key} if key else {})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> Any:
        return self.get(f"/v1/jobs/{job_id}")

    def done(self, job_id: str) -> int:
        return int(self.job(job_id)["progress"]["done"])

    def finished(self, job_id: str) -> Any:
        def ended() -> Any:
            job = self.job(job_id)
            return job if job["status"] in FINAL else None

        return until("the end of the job", ended)

    def tell(self, job_id: str, verb: str) -> None:
        """Cancel or resume a job."""
        answer = self.client.post(f"/v1/jobs/{job_id}/{verb}")
        assert answer.status_code == 202, answer.text

    def indices(self, job_id: str) -> list[int]:
        """Return the index of every row of results."""
        return [row["index"] for row in self.rows(job_id)]

    def rows(self, job_id: str) -> list[Any]:
        """Return all rows of results."""
        found, cursor = [], None
        while True:
            page = self.get(f"/v1/jobs/{job_id}/results", limit=200, **({"cursor": cursor} if cursor else {}))
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                return found

    def _inspected(self, path: str) -> Any:
        found = self.get(path)
        return found if found["status"] != "uploaded" else None


@dataclass
class Fleet:
    """API and workers on one PostgreSQL and one Redis."""

    folder: Path
    postgres: Service
    redis: Service
    api: Api = field(init=False)
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _api: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        port = free_port()
        self.environment = environment(
            GLOCERT_DATABASE_URL=self.postgres.url,
            GLOCERT_BROKER_URL=self.redis.url,
            GLOCERT_DATA_DIR=str(self.folder),
            GLOCERT_PORT=str(port),
        )
        upgrade(Settings(data_dir=self.folder, database_url=self.postgres.url))
        serve = ["uvicorn", "--factory", "app.main:from_environment", "--port", str(port), "--no-access-log"]
        self._api = self._start("api", *serve)
        self.api = Api(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30))
        until("the API", self._answers)

    def start_worker(self, name: str) -> subprocess.Popen[bytes]:
        self.workers[name] = self._start(name, "workers", "--name", name)
        return self.workers[name]

    def steady_worker(self) -> subprocess.Popen[bytes]:
        """Return a worker that lives from test to test, as long as none does it harm."""
        worker = self.workers.get(STEADY)
        return worker if worker is not None and worker.poll() is None else self.start_worker(STEADY)

    def kill_workers(self, *, but: str = "") -> None:
        """End workers without giving them a chance."""
        for name in [name for name in self.workers if name != but]:
            worker = self.workers.pop(name)
            worker.kill()
            worker.wait()

    def close(self) -> None:
        self.kill_workers()
        self._api.kill()
        self._api.wait()
        self.api.client.close()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *command], cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )

    def _answers(self) -> bool:
        assert self._api.poll() is None, self.log("api")
        with suppress(httpx.TransportError):
            return self.api.client.get("/healthz").status_code == 200
        return False


def computing(worker: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the children that compute for a worker: those of its fork server."""
    with suppress(psutil.NoSuchProcess):
        servers = psutil.Process(worker.pid).children()
        return [child for server in servers for child in server.children()]
    return []


@contextmanager
def frozen(worker: subprocess.Popen[bytes]) -> Iterator[None]:
    """Stop a worker, as a pause of its machine would, and have it go on in the end."""
    worker.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        worker.send_signal(signal.SIGCONT)


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def digits_model() -> bytes:
    return (ROOT / "examples/digits/digits.onnx").read_bytes()


def digits_data(items: int) -> bytes:
    """Return the shipped digits, over and over: their order is not the question here."""
    with np.load(ROOT / "examples/digits/digits.npz") as shipped:
        rows = np.arange(items) % len(shipped["images"])
        out = io.BytesIO()
        np.savez(out, images=shipped["images"][rows], labels=shipped["labels"][rows])
    return out.getvalue()


def slow_model(folds: int = 17, width: int = 512) -> bytes:
    """Return a network on which one input keeps the engine busy for long, however cleverly it begins.

    Each layer folds the brightness of one pixel once more, so the score of the first class goes up and down
    ``2 ** folds`` times; it wins everywhere, and nothing but every single piece shows it. Rounding plays no
    part: all numbers are dyadic. The other units are one and lead nowhere: they only cost time, which units
    that are off would not.
    """
    nodes, tensors = [helper.make_node("Flatten", ["x"], ["h0"])], []
    for layer in range(folds + 1):
        last = layer == folds
        weight = np.zeros((10 if last else width, width if layer else 64), np.float32)
        bias = np.full(len(weight), -1 if last else 1, np.float32)
        weight[0, :2] = (2, -4) if layer else (1, 0)
        if not last:
            weight[1] = weight[0]
        bias[:2] = (4, 0) if last else (0, -0.5)
        tensors += [numpy_helper.from_array(weight, f"w{layer}"), numpy_helper.from_array(bias, f"b{layer}")]
        end = "y" if last else f"z{layer}"
        nodes.append(helper.make_node("Gemm", [f"h{layer}", f"w{layer}", f"b{layer}"], [end], transB=1))
        if not last:
            nodes.append(helper.make_node("Relu", [end], [f"h{layer + 1}"]))
    graph = helper.make_graph(
        nodes, "slow",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])], tensors,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(onnx.load_from_string(model.SerializeToString()).SerializeToString())


def unlabelled(items: int) -> bytes:
    rng = np.random.default_rng(1)
    out = io.BytesIO()
    np.savez(out, images=rng.integers(0, 120, (items, 8, 8), dtype=np.uint8))
    return out.getvalue()


def cancel_and_resume(api: Api, proven: Callable[[str], int]) -> None:
    """Interrupt a job inside an input, have it go on, and hold it against one that nobody interrupted.

    Args:
        api: of a service that works.
        proven: how many unfinished inputs of a job something is kept of.
    """
    model = api.upload("models", "long.onnx", slow_model(16, 768))
    dataset = api.upload("datasets", "two.npz", unlabelled(2))
    path = {"type": "brightness", "from": 0.0, "to": 0.5}
    whole, cut = (api.post_job(model, dataset, mutation=path) for _ in range(2))
    until("something proven", lambda: proven(cut))
    api.tell(cut, "cancel")
    assert api.finished(cut)["status"] == "cancelled"
    kept = len(api.rows(cut))
    assert kept < 2
    assert proven(cut) > 0
    api.tell(cut, "resume")
    plain, resumed = api.finished(whole), api.finished(cut)
    assert (plain["status"], resumed["status"]) == ("succeeded", "succeeded")
    assert [_said(row) for row in api.rows(cut)] == [_said(row) for row in api.rows(whole)]
    assert resumed["certificate"] is not None
    counts = ("inputs", "certified", "falsified", "undecided", "robust_mass")
    assert [resumed["summary"][name] for name in counts] == [plain["summary"][name] for name in counts]
    assert proven(cut) == 0


def _said(row: Any) -> Any:
    """Return what a row says, without how much work it was."""
    members = ("index", "label", "predicted", "verdict", "robust_mass", "certified_to")
    return {name: row[name] for name in members}


@contextmanager
def fleet(folder: Path, postgres: Service, redis: Service) -> Iterator[Fleet]:
    running = Fleet(folder, postgres, redis)
    try:
        yield running
    finally:
        running.close()


@contextmanager
def own_fleet(folder: Path) -> Iterator[Fleet]:
    """Run a fleet on a database and a broker of its own, which may be stopped."""
    with (
        closing(open_own_postgres()) as postgres,
        closing(open_own_redis()) as redis,
        fleet(folder, postgres, redis) as running,
    ):
        yield running


def end(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> int:
    process.send_signal(how)
    return process.wait(PATIENCE_S)
