"""MNIST with certified l2 balls: ``python -m experiments.gloro_mnist --epsilon 0.3 --data FOLDER``.

``FOLDER`` holds ``mnist_train_large.npz`` (11,020 images; the papers trained on 60,000) and
``mnist_test.npz`` (1,000 images, never trained on). One image in twenty is held out for validation. A run
that was interrupted goes on when the same command is given again; one that has ended is measured again. Log
and result go to ``experiments/logs``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import torch

from benchmarks.latency import machine
from experiments.images import samples
from glocert.gloro.architectures import build
from glocert.gloro.outcome import Outcome, outcome
from glocert.gloro.recipe import Recipe
from glocert.gloro.samples import split
from glocert.gloro.training import SETTLING, Training

LOGS = Path(__file__).parent / "logs"
SHAPE, CLASSES, SHARE = (1, 28, 28), 10, 0.05
RUNS = {
    "0.3": ("2c2f", Recipe(epsilon=0.3, overshoot=1.5, weight=2.0, epochs=150, batch=256, shift=1)),
    "1.58": (
        "2c2f",
        Recipe(
            epsilon=1.58, overshoot=1.1, weight=2.5, epochs=350, batch=128, shift=1, rotate=8.0, zoom=0.08
        ),
    ),
}
PUBLISHED = {"0.3": 0.957, "1.58": 0.628}
"""VRA of the GloRo paper's networks, trained on 60,000 images."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, measure, keep; return 0."""
    options = _options(arguments)
    name = f"mnist-{options.epsilon}{options.suffix}"
    architecture, recipe = RUNS[options.epsilon]
    recipe = Recipe.from_json(recipe.to_json() | dict(_change(word) for word in options.set))
    torch.set_num_threads(options.threads)
    torch.manual_seed(recipe.seed)
    network = build(options.architecture or architecture, SHAPE, CLASSES).to(options.device)
    run = Training.start(network, recipe)
    folder = options.out / name
    folder.mkdir(parents=True, exist_ok=True)
    LOGS.mkdir(exist_ok=True)
    checkpoint = folder / "checkpoint"
    if checkpoint.exists():
        run.load(checkpoint)
    data, validation = split(samples(options.data / "mnist_train_large.npz"), SHARE, recipe.seed)
    with (LOGS / f"{name}.log").open("a" if run.done else "w") as log:
        _say(log, f"{name}: {options.architecture or architecture}, {recipe}")
        _say(log, f"{len(data)} images to learn from, {len(validation)} held out, of 11,020; from {run.done}")
        for epoch in run.epochs(data, validation):
            run.save(checkpoint)
            _say(
                log,
                f"{epoch.number} loss {epoch.loss:.4f} radius {epoch.radius:.3f} accuracy "
                f"{epoch.accuracy:.4f} robust (estimated) {epoch.robust:.4f} {epoch.seconds:.1f} s",
            )
        graph = run.network.graph()
        (folder / "graph.safetensors").write_bytes(graph.to_bytes())
        test = outcome(graph, samples(options.data / "mnist_test.npz"), recipe.epsilon)
        result = _result(options, run, test)
        for line in _lines(result, recipe.epsilon):
            _say(log, line)
    (LOGS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epsilon", choices=sorted(RUNS), required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(".glocert/experiments"), help="for the checkpoint")
    parser.add_argument("--architecture", default="")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="members of the recipe")
    parser.add_argument("--suffix", default="", help="of the names of log and result")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args(arguments)


def _change(word: str) -> tuple[str, Any]:
    name, _, value = word.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _say(log: TextIO, line: str) -> None:
    print(line, flush=True)
    log.write(line + "\n")
    log.flush()


def _result(options: argparse.Namespace, run: Training, test: Outcome) -> dict[str, Any]:
    with torch.no_grad():
        estimated = float(run.network.pairs(SETTLING).max())
    seconds = [epoch.seconds for epoch in run.log]
    return {
        "machine": machine(),
        "threads": options.threads,
        "device": options.device,
        "date": time.strftime("%Y-%m-%d"),
        "architecture": options.architecture or RUNS[options.epsilon][0],
        "recipe": run.recipe.to_json(),
        "images": "10,469 of the 11,020 of mnist_train_large.npz",
        "test": "mnist_test.npz, 1,000 images",
        "seconds": sum(seconds),
        "seconds_per_epoch": sum(seconds[1:]) / max(1, len(seconds) - 1),
        "certified_over_estimated": float(test.proven.pairs.max()) / estimated,
        "published_vra": PUBLISHED[options.epsilon],
        **test.to_json([run.recipe.epsilon]),
        "parts": [
            {"operators": part.operators, "norm": part.norm.upper, "method": part.norm.method}
            for part in test.proven.parts
        ],
    }


def _lines(result: dict[str, Any], epsilon: float) -> list[str]:
    key = str(epsilon)
    lines = [
        f"trained on {result['images']} (published figures: on 60,000), {result['seconds']:.0f} s, "
        f"{result['seconds_per_epoch']:.1f} s per epoch; tested on {result['test']}, constants certified",
        f"clean accuracy {result['clean_accuracy']:.1%}; certified over estimated constant "
        f"{result['certified_over_estimated']:.4f}",
    ]
    for arithmetic in ("real", "float32"):
        found = result[arithmetic]
        lines.append(
            f"{arithmetic}: VRA({key}) {found['vra'][key]:.1%} (published {result['published_vra']:.1%}), "
            f"rejected {found['rejection_rate'][key]:.1%}, "
            f"certified but wrong {found['certified_but_wrong'][key]:.1%}"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
