"""The cost table of the GloRo paper, measured anew: 6C2F on inputs of CIFAR-10's shape.

``python3 dev.py bench gloro [--images 500] [--epochs 3] [--inputs 10000] [--device cuda]`` prints

- seconds per epoch, the first dropped, for 50,000 images (from as many as were asked for) and per thousand;
- megabytes per instance in training: the peak of the process over what it held before, by the batch;
- seconds and megabytes per instance to certify inputs with constants that are known already;
- the largest proven constant of the trained network beside the steepest pair of inputs that was found.

Each memory figure comes from a process of its own. The poster's figures were measured on a GPU (as recalled:
RTX 3080; the rows of KW on a Titan RTX): they are printed beside ours, not compared with them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.latency import machine
from benchmarks.service import ROOT
from glocert.gloro.architectures import build
from glocert.gloro.network import GloroNet
from glocert.gloro.recipe import Recipe
from glocert.gloro.samples import Samples
from glocert.gloro.training import Training
from glocert.lipschitz.network import bound
from glocert.lipschitz.radius import radii
from glocert.lipschitz.search import steepest_pair

RESULTS = ROOT / "benchmarks" / "results" / "gloro.json"
SHAPE, CLASSES, EPSILON, FULL = (3, 32, 32), 10, 36 / 255, 50_000
POSTER = {
    "GloRo": (6.9, 3.6, 0.4, 1.8),
    "KW": (516.8, 100.9, 2500.0, 1400.0),
    "BCP": (47.5, 12.7, 5.8, 19.1),
    "Randomized smoothing": (None, None, 36800.0, 19.8),
}
"""Seconds per epoch, MB per instance in training, seconds for 10,000 inputs, MB per instance."""
TASKS = ("train", "certify")


def main() -> int:
    """Measure, print and keep; return 0."""
    options = _options()
    if options.task:
        print(json.dumps(_train(options) if options.task == "train" else _certify(options)))
        return 0
    found = {name: _apart(name) for name in TASKS}
    result = {
        "machine": machine() if options.device == "cpu" else torch.cuda.get_device_name(options.device),
        "date": time.strftime("%Y-%m-%d"),
        "device": options.device,
        "threads": options.threads,
        "data": options.data_name,
        "images": options.images,
        "inputs": options.inputs,
        "batch": options.batch,
        "poster": POSTER,
        **found["train"],
        **found["certify"],
    }
    for line in lines(result):
        print(line)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--task", choices=TASKS, default="")
    options = parser.parse_args()
    options.data_name = "uniform noise of CIFAR-10's shape: the time of a step does not depend on its images"
    return options


def _apart(task: str) -> dict[str, Any]:
    """Run one task in a process of its own, so that its memory is its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.gloro", "--task", task, *sys.argv[1:]]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _network(options: argparse.Namespace) -> GloroNet:
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    return build("6c2f", SHAPE, CLASSES).to(options.device)


def _train(options: argparse.Namespace) -> dict[str, Any]:
    network = _network(options)
    images, labels = torch.rand(options.images, *SHAPE), torch.randint(0, CLASSES, (options.images,))
    data, few = Samples(images, labels), Samples(images[:2], labels[:2])
    recipe = Recipe(epsilon=EPSILON, overshoot=1.1, epochs=options.epochs, batch=options.batch)
    run = Training.start(network, recipe)
    peak = Peak(options.device)
    seconds = [epoch.seconds for epoch in run.epochs(data, few)]
    memory = peak.megabytes()
    kept = seconds[1:] or seconds
    each = sum(kept) / len(kept) / options.images
    proven = bound(network.cpu().graph())
    steep = steepest_pair(network.graph(), proven.pairs, images[:64].double())
    with torch.no_grad():
        estimated = float(network.pairs(50).max())
    return {
        "epoch_seconds": each * FULL,
        "thousand_seconds": each * 1000,
        "training_mb": memory / options.batch,
        "certified_over_estimated": float(proven.pairs.max()) / estimated,
        "upper": steep.upper,
        "lower": steep.lower,
    }


def _certify(options: argparse.Namespace) -> dict[str, Any]:
    network = _network(options)
    began = time.monotonic()
    pairs = bound(network.cpu().graph()).pairs.to(options.device)
    analysis = time.monotonic() - began
    network.to(options.device)
    batch = torch.rand(options.batch, *SHAPE, device=options.device)

    def plain() -> None:
        network(batch)

    def certified() -> None:
        radii(network(batch).double(), pairs).certified(EPSILON)

    with torch.no_grad():
        peak = Peak(options.device)  # constants are known by now; nothing has run forward yet
        certified()
        memory = peak.megabytes()
        rounds = max(1, options.inputs // options.batch)
        times = _in_turn((plain, certified), rounds, options.device)
    return {
        "analysis_seconds": analysis,
        "forward_seconds": times[0] * 10_000 / (rounds * options.batch),
        "certify_seconds": times[1] * 10_000 / (rounds * options.batch),
        "certify_mb": memory / options.batch,
    }


def _in_turn(tasks: tuple[Callable[[], None], ...], rounds: int, device: str) -> list[float]:
    """Return the seconds that each task took in all rounds; they take turns and so see the same load."""
    total = [0.0] * len(tasks)
    for _ in range(rounds):
        for place, task in enumerate(tasks):
            began = time.monotonic()
            task()
            if device != "cpu":
                torch.cuda.synchronize(device)
            total[place] += time.monotonic() - began
    return total


class Peak:
    """The most memory a stretch of work has held, over what was held when it began."""

    def __init__(self, device: str) -> None:
        self.device = device
        if device == "cpu":
            Path("/proc/self/clear_refs").write_text("5")
            self.before = _status("VmRSS")
        else:
            torch.cuda.reset_peak_memory_stats(device)

    def megabytes(self) -> float:
        """Return megabytes; on a GPU the allocator's peak, weights included, as the paper counts."""
        if self.device == "cpu":
            return (_status("VmHWM") - self.before) / 1024
        return torch.cuda.max_memory_allocated(self.device) / 2**20


def _status(name: str) -> int:
    """Return a line of the process's status, in KiB."""
    found = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith(name))
    return int(found.split()[1])


def rows(result: dict[str, Any]) -> list[list[str]]:
    """Return the table: ours first, then the poster's."""
    ours = [
        f"{result['epoch_seconds']:.0f}",
        f"{result['training_mb']:.1f}",
        f"{result['certify_seconds']:.1f}",
        f"{result['certify_mb']:.2f}",
    ]
    table = [[f"this machine, {result['device']}, {result['threads']} threads", *ours]]
    for name, figures in result["poster"].items():
        table.append([f"{name} (poster)", *("-" if one is None else f"{one:,}" for one in figures)])
    return table


def page(found: Mapping[str, Any], table: Callable[[Sequence[str], Sequence[Sequence[Any]]], str]) -> str:
    """Return the section of the page of benchmarks."""
    titles = ["6C2F, 3 x 32 x 32", "s per epoch of 50,000", "training MB per instance",
              "s to certify 10,000", "MB per instance"]  # fmt: skip
    extra = found["certify_seconds"] / found["forward_seconds"] - 1
    return f"""## The cost table of the GloRo paper

`python3 dev.py bench gloro`: the first epoch is dropped, an epoch of 50,000 is computed from one of
{found["images"]}, constants are known before the {found["inputs"]:,} certified inputs, memory is the peak of
the process over what it held before, by the batch of {found["batch"]}. The rows of the poster were measured
on GPUs and on CIFAR-10 itself; ours on {found["data"]}.

{found["machine"]}

{table(titles, rows(dict(found)))}

Certification beside the forward pass alone: {extra:+.1%}. Analysis of the network:
{found["analysis_seconds"]:.1f} s. Certified over estimated constants:
{found["certified_over_estimated"]:.3f}. The steepest pair of inputs that a
search found attains {found["lower"] / found["upper"]:.0%} of its bound.
"""


def lines(result: dict[str, Any]) -> list[str]:
    """Return what is printed."""
    table = [f"{row[0]:32} " + " ".join(f"{one:>10}" for one in row[1:]) for row in rows(result)]
    extra = result["certify_seconds"] / result["forward_seconds"] - 1
    return [
        f"{'6C2F, 3 x 32 x 32':32}   s/epoch   MB/inst.   certify s  MB/inst.",
        *table,
        f"{result['machine']}; {result['data']}",
        f"an epoch of 50,000 from {result['images']} images: {result['thousand_seconds']:.2f} s per 1,000; "
        f"certification of {result['inputs']:,} inputs: {extra:+.1%} over the forward pass",
        f"analysis {result['analysis_seconds']:.1f} s, certified over estimated constants "
        f"{result['certified_over_estimated']:.3f}, steepest pair {result['lower']:.3g} of "
        f"{result['upper']:.3g} ({result['lower'] / result['upper']:.0%})",
    ]


if __name__ == "__main__":
    sys.exit(main())
