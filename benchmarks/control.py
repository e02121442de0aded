"""The control networks of the shared data, which have no labelled inputs: ``python3 dev.py bench control``.

Random unlabelled inputs through the running service, each network's own answer as the label, then the same
dense sampling as ``benchmarks.models``, in float64.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.models import contradictions
from benchmarks.paths import Float64
from benchmarks.service import ROOT, embedded
from glocert.graph.onnx import read_onnx
from glocert.graph.run import run
from glocert_client import Client, Preprocessing

NETWORKS = {"acasxu_1_1": 5, "acasxu_3_3": 5, "rl_cartpole": 4}
INPUTS, POINTS = 20, 10_000
MUTATIONS = ({"type": "brightness", "from": 0.0, "to": 0.2}, {"type": "chord", "item": 2 * INPUTS - 1})


def main() -> int:
    """Measure and print; 1 when a sample contradicts an answer."""
    shared = Path(os.environ.get("GLOCERT_SHARED_DATA", ROOT.parent / "shared" / "data"))
    with tempfile.TemporaryDirectory() as folder, embedded() as url, Client(url) as client:
        found = [
            _measure(client, shared / "models" / f"{name}.onnx", features, Path(folder))
            for name, features in NETWORKS.items()
        ]
    return 1 if any(found) else 0


def _measure(client: Client, network: Path, features: int, folder: Path) -> int:
    """Return how many samples contradict an answer about one network."""
    items = np.random.default_rng(1).uniform(-0.5, 0.5, (2 * INPUTS, features)).astype(np.float32)
    np.save(folder / f"{network.stem}.npy", items)
    model = client.wait_ready(client.upload_model(network, preprocessing=Preprocessing(domain=(-1.0, 1.0))))
    data = client.wait_ready(client.upload_dataset(folder / f"{network.stem}.npy"))
    graph, total = read_onnx(network.read_bytes()).graph, 0
    for mutation in MUTATIONS:
        job = client.certify(model, data, mutation, limit=INPUTS, partition=True).wait()
        wrong = 0
        for row in job.results():
            t = np.random.default_rng(row["index"]).random(POINTS)
            points = _points(mutation, row["index"], items.astype(np.float64), t)
            scores = run(graph, torch.from_numpy(points.reshape(-1, *graph.input_shape)))
            wrong += contradictions(row, t, scores.argmax(1).numpy())
        counts = "/".join(
            str(job.summary[name]) for name in ("certified", "falsified", "undecided", "skipped")
        )
        print(f"{network.stem:12} {mutation['type']:10} {counts:12} contradictions {wrong}/{INPUTS * POINTS}")
        total += wrong
    return total


def _points(mutation: Mapping[str, Any], item: int, items: Float64, t: Float64) -> Float64:
    stop = items[mutation["item"]] if mutation["type"] == "chord" else items[item] + mutation["to"]
    return np.clip(items[item] + t[:, None] * (stop - items[item]), -1.0, 1.0)


if __name__ == "__main__":
    sys.exit(main())
