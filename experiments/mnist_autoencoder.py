"""MNIST's autoencoder, with and without the terms of continuity: ``python -m experiments.mnist_autoencoder``.

``--data FOLDER`` holds ``mnist_train_large.npz`` (11,020 images) and ``mnist_test.npz`` (1,000 images, never
trained on); ``--classifier`` is an ONNX file that must answer the rebuilt digits as it does the digits. Both
runs have the same network, the same seed and the same steps; only the weights of continuity differ. A run
that was interrupted goes on when the same command is given again. The result goes to
``experiments/logs/mnist-autoencoder.json``; generators and encoders to ``--out``.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.latency import machine
from experiments.images import samples
from glocert.generators.profile import SAMPLES, everywhere, profile, reconstruction
from glocert.generators.training.families import learner
from glocert.generators.training.training import Training
from glocert.graph.export import to_onnx
from glocert.graph.ir import Graph
from glocert.graph.onnx import read_onnx
from glocert.graph.run import run
from glocert.spec_generator import Continuity, Recipe

LOGS = Path(__file__).parent / "logs"
SHAPE, HELD_OUT = (1, 28, 28), 500
RECIPE = Recipe(
    architecture="skip", codes="scaled", latent_dim=64, width=16, epochs=48, batch=64, rate=3e-3,
    last_rate=3e-5, augment={"rotation": (-30.0, 30.0)},
)  # fmt: skip
CONTINUITY = {
    "continuous": Continuity(bound=1.01, up=0.9, low=0.9, interpolation=0.0, ramp=0.15),
    "free": Continuity(up=0.0, low=0.0, interpolation=0.0),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train both, measure, keep; return 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--classifier", type=Path, required=True, help="ONNX, of MNIST digits in [0, 1]")
    parser.add_argument("--out", type=Path, default=Path(".glocert/experiments"), help="for checkpoints")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=RECIPE.epochs)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    recipe = replace(RECIPE, epochs=options.epochs)
    images = samples(options.data / "mnist_train_large.npz").images
    test = samples(options.data / "mnist_test.npz")
    classifier = read_onnx(options.classifier.read_bytes()).graph
    runs = {}
    for name, continuity in CONTINUITY.items():
        trained = _trained(
            replace(recipe, continuity=continuity), images, options.out / f"autoencoder-{name}"
        )
        runs[name] = _measured(trained, test.images, test.classes, classifier)
        print(name, json.dumps(runs[name]), flush=True)
    result = {
        "machine": machine(), "threads": options.threads, "date": time.strftime("%Y-%m-%d"),
        "images": f"{len(images) - HELD_OUT} of the 11,020 of mnist_train_large.npz",
        "test": "mnist_test.npz, 1,000 images", "classifier": options.classifier.name, "runs": runs,
        "narrower": {side: _narrower(runs, side) for side in ("upper", "lower")},
    }  # fmt: skip
    LOGS.mkdir(exist_ok=True)
    (LOGS / "mnist-autoencoder.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0


def _trained(recipe: Recipe, images: Tensor, folder: Path) -> Training:
    """Train, or go on with what is in the folder; leave both networks there."""
    folder.mkdir(parents=True, exist_ok=True)
    trained = Training.start(learner(recipe, SHAPE))
    if (folder / "checkpoint").exists():
        trained.load(folder / "checkpoint")
    for epoch in trained.epochs(images[HELD_OUT:], images[:HELD_OUT]):
        trained.save(folder / "checkpoint")
        parts = {name: round(value, 5) for name, value in epoch.parts.items()}
        print(f"{epoch.number} {parts} {epoch.psnr:.2f} dB {epoch.seconds:.1f} s", flush=True)
    for name, graph in zip(("generator", "encoder"), trained.learner.graphs(), strict=True):
        (folder / f"{name}.onnx").write_bytes(to_onnx(graph))
    return trained


@torch.no_grad()
def _measured(trained: Training, images: Tensor, labels: Tensor, classifier: Graph) -> dict[str, Any]:
    generator, encoder = trained.learner.graphs()
    rebuilt = run(generator, run(encoder, images))
    pair = (images, rebuilt)
    before, after = (run(classifier, x.reshape(-1, *classifier.input_shape)).argmax(1) for x in pair)
    draw = torch.Generator().manual_seed(1)
    where = everywhere(trained.learner.codes(SAMPLES, draw), draw)
    return {
        "recipe": trained.learner.recipe.to_json(),
        "seconds": sum(epoch.seconds for epoch in trained.log),
        "relus": sum(
            math.prod(generator.shapes[node.output]) for node in generator.nodes if node.operator == "Relu"
        ),
        "reconstruction": reconstruction(images, rebuilt),
        "label_kept": float((before == after).float().mean()),
        "right": {
            "digits": float((before == labels).float().mean()),
            "rebuilt": float((after == labels).float().mean()),
        },
        "continuity": profile(lambda codes: run(generator, codes), where, draw),
    }


def _narrower(runs: dict[str, Any], side: str) -> dict[str, float]:
    """Return how much less the gain strays from its median: of the ratio's logarithm, and beyond one."""
    free, held = (runs[name]["continuity"][side] for name in ("free", "continuous"))
    return {"logarithm": math.log(free) / math.log(held), "beyond_one": (free - 1) / (held - 1)}


if __name__ == "__main__":
    sys.exit(main())
