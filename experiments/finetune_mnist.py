"""Ordinary networks fine-tuned towards a certificate: ``python -m experiments.finetune_mnist --data FOLDER``.

``FOLDER`` holds ``models`` and ``datasets``. Each network starts from its uploaded weights and learns from
``mnist_train_large.npz`` (11,020 images) with the default recipe of ``glocert.gloro.finetune``; accuracy and
certified radius before and after are those of ``mnist_test.npz``. Log and result go to ``experiments/logs``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.latency import machine
from experiments.images import samples
from glocert.gloro.finetune import fine_tuning, recipe
from glocert.gloro.outcome import outcome
from glocert.gloro.samples import Samples, split
from glocert.gloro.training import Training
from glocert.graph.imported import as_classifier
from glocert.graph.ir import Graph
from glocert.graph.onnx import read_onnx
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.spec import Preprocessing

LOGS = Path(__file__).parent / "logs"
STANDARD = Preprocessing(mean=(0.1307,), std=(0.3081,))
NETWORKS: dict[str, tuple[Preprocessing, float]] = {
    "mnist_relu_6_100": (Preprocessing(), 0.3),
    "mnist_conv_small": (STANDARD, 0.7),
    "mnist_lenet_maxpool": (STANDARD, 0.3),
    "mnist_fc_3layer": (Preprocessing(), 0.6),
    "mnist_cnn_small": (Preprocessing(), 0.3),
    "mnist_fc_256x2": (Preprocessing(), 0.3),
}
"""Network -> its preprocessing and the radius that it is trained for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Fine-tune, measure, keep; return 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(NETWORKS), metavar="NAME")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    LOGS.mkdir(exist_ok=True)
    learnt = samples(options.data / "datasets" / "mnist_train_large.npz")
    test = samples(options.data / "datasets" / "mnist_test.npz")
    for name in options.names:
        model = (options.data / "models" / f"{name}.onnx").read_bytes()
        preprocessing, epsilon = NETWORKS[name]
        graph = prepend_preprocessing(as_classifier(read_onnx(model).graph), (1, 28, 28), preprocessing)
        result = {"network": name, "threads": options.threads} | _run(graph, epsilon, learnt, test)
        print(_line(result), flush=True)
        (LOGS / f"finetune-{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0


def _run(graph: Graph, epsilon: float, learnt: Samples, test: Samples) -> dict[str, Any]:
    wanted = recipe(epsilon)
    before = outcome(graph, test, epsilon)
    began = time.monotonic()
    run = Training.start(fine_tuning(graph, wanted.seed), wanted)
    for epoch in run.epochs(*split(learnt, 0.1, wanted.seed)):
        print(
            f"{epoch.number} loss {epoch.loss:.4f} radius {epoch.radius:.3f} accuracy {epoch.accuracy:.4f} "
            f"robust (estimated) {epoch.robust:.4f} {epoch.seconds:.1f} s",
            flush=True,
        )
    seconds = time.monotonic() - began
    after = outcome(run.network.graph(), test, epsilon)
    return {
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d"),
        "recipe": wanted.to_json(),
        "seconds": seconds,
        "median_ratio": after.median / max(before.median, 1e-30),
        "accuracy_lost": before.accuracy - after.accuracy,
        "before": before.to_json([epsilon]),
        "after": after.to_json([epsilon]),
        "epochs": [epoch.to_json() for epoch in run.log],
    }


def _line(result: dict[str, Any]) -> str:
    before, after, epsilon = result["before"], result["after"], str(result["recipe"]["epsilon"])
    return (
        f"{result['network']}: accuracy {before['clean_accuracy']:.1%} -> {after['clean_accuracy']:.1%}, "
        f"median certified radius {before['radius_quantiles']['0.5']:.4f} -> "
        f"{after['radius_quantiles']['0.5']:.4f} (x {result['median_ratio']:.1f}), VRA({epsilon}) "
        f"{before['real']['vra'][epsilon]:.1%} -> {after['real']['vra'][epsilon]:.1%}, "
        f"{result['seconds']:.0f} s with {result['threads']} threads"
    )


if __name__ == "__main__":
    sys.exit(main())
