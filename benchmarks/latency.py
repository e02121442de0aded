"""How long a small job takes on the embedded service, from POST to verdict: ``python -m benchmarks.latency``.

One input of the shipped digits, one small network, a warm worker; twenty jobs one after the other, each
followed to its end by one long poll. Nothing else should be running.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.service import embedded

ROOT = Path(__file__).parents[1]
DIGITS = ROOT / "examples/digits"
JOBS = 20
TARGET_S = 1.0


def main() -> int:
    """Measure, print and write down."""
    with embedded() as url:
        seconds = _measure(url)
    result = {
        "what": "one-input job on the embedded service, POST to verdict, warm worker",
        "jobs": len(seconds),
        "median_s": round(statistics.median(seconds), 4),
        "min_s": round(min(seconds), 4),
        "max_s": round(max(seconds), 4),
        "seconds": [round(one, 4) for one in seconds],
        "machine": machine(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    print(f"median {result['median_s']} s, min {result['min_s']} s, max {result['max_s']} s, {JOBS} jobs")
    print(result["machine"])
    out = ROOT / "benchmarks/results/latency.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    return 0 if statistics.median(seconds) < TARGET_S else 1


def machine() -> str:
    """Return what the figures were measured on."""
    models = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    cpu = models[0] if models else platform.machine()
    return f"{cpu}, {len(models)} cores, Linux {platform.release()}, Python {platform.python_version()}"


def _measure(url: str) -> list[float]:
    with httpx.Client(base_url=url, timeout=120) as client:
        model = _upload(client, "models", DIGITS / "digits.onnx")
        dataset = _upload(client, "datasets", DIGITS / "digits.npz")
        _job(client, model, dataset, 0)  # the first one warms the fork server
        return [_job(client, model, dataset, index) for index in range(JOBS)]


def _job(client: httpx.Client, model: str, dataset: str, index: int) -> float:
    body = {
        "kind": "segment-certification",
        "model_id": model,
        "dataset_id": dataset,
        "inputs": {"indices": [index]},
        "mutation": {"type": "brightness", "from": 0.0, "to": 0.2},
    }
    began = time.perf_counter()
    job = _ok(client.post("/v1/jobs", json=body))
    job = _ok(client.get(f"/v1/jobs/{job['id']}", params={"wait": 60}))
    took = time.perf_counter() - began
    if job["status"] != "succeeded":
        sys.exit(f"the job ended as {job['status']}: {job['error']}")
    return took


def _upload(client: httpx.Client, kind: str, path: Path) -> str:
    with path.open("rb") as file:
        found = _ok(client.post(f"/v1/{kind}", files={"file": (path.name, file)}))
    while found["status"] == "uploaded":
        time.sleep(0.1)
        found = _ok(client.get(f"/v1/{kind}/{found['id']}"))
    return str(found["id"])


def _ok(answer: httpx.Response) -> Any:
    answer.raise_for_status()
    return answer.json()


if __name__ == "__main__":
    sys.exit(main())
