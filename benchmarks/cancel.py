"""How long a running job takes to stop: ``python -m benchmarks.cancel``.

A job of thousands of inputs on the embedded service is cancelled in the middle of its work, at five different
points of the heartbeat; measured from the request to the status ``cancelled``, which is written after the
child that computed has been killed.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.latency import machine
from benchmarks.service import ROOT, embedded
from glocert_client import Client, Job

TRIALS = 5
TARGET_S = 2.0
INPUTS = 4000
STATUS = "cancelled"


def main() -> int:
    """Measure, print and write down."""
    with tempfile.TemporaryDirectory() as folder, embedded() as url, Client(url) as client:
        images = np.random.default_rng(0).integers(0, 256, (INPUTS, 8, 8), dtype=np.uint8)
        np.save(Path(folder) / "noise.npy", images)
        model = client.wait_ready(client.upload_model(ROOT / "examples/digits/digits.onnx"))
        data = client.wait_ready(client.upload_dataset(Path(folder) / "noise.npy"))
        path = {"type": "noise", "to": 1.0, "seed": 1}
        seconds = [_stop(client.certify(model, data, path), client, 0.2 * trial) for trial in range(TRIALS)]
    result = {
        "what": "a running job, from the request to cancel to the status cancelled",
        "median_s": round(statistics.median(seconds), 3),
        "min_s": round(min(seconds), 3),
        "max_s": round(max(seconds), 3),
        "trials": TRIALS,
        "machine": machine(),
    }
    print(f"median {result['median_s']} s, min {result['min_s']} s, max {result['max_s']} s, {TRIALS} trials")
    (ROOT / "benchmarks/results/cancel.json").write_text(json.dumps(result, indent=2) + "\n")
    return 0 if max(seconds) < TARGET_S else 1


def _stop(job: Job, client: Client, delay_s: float) -> float:
    """Cancel a job ``delay_s`` after its first answers; return the seconds until it has stopped."""
    while not job.data["progress"]["done"]:
        time.sleep(0.02)
        job = client.job(job.id)
    time.sleep(delay_s)
    began = time.perf_counter()
    job.cancel()
    while client.job(job.id).status != STATUS:
        time.sleep(0.01)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
