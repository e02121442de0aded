"""Attack certified points: ``python -m experiments.attack_certificates --data FOLDER [NAME ...]``.

``FOLDER`` holds ``models`` and ``datasets``. Every name is a network of the table below or a ``.safetensors``
file of a training run; ``NAME+backward`` claims the radii of backward bounds instead of the global ones.
Points are the first of ``mnist_test.npz`` with a positive certified radius for float32 execution; each is
attacked inside that radius. Nothing may flip. Before that, radii of linear networks, which are exact, are
claimed a twentieth too large: the attacks must find that.

What is done is kept after every piece (a block of points, an attack), so a run that is interrupted, or ended
by ``--seconds``, goes on where it was when the command is given again. Exit codes: 0 nothing flipped, 1
something did, 3 there is more to do.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.attacks.campaign import ATTACKS, ROUNDING, Effort, attacked
from experiments.attacks.points import Points, backed, certified
from experiments.images import samples
from glocert.graph.imported import as_classifier
from glocert.graph.ir import Graph, Node
from glocert.graph.onnx import read_onnx
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.spec import Preprocessing

LOGS = Path(__file__).parent / "logs"
BLOCK = 250
"""points of one piece"""
BACKWARD = "+backward"
PLANTED = 1.05
_STANDARD = Preprocessing(mean=(0.1307,), std=(0.3081,))
NETWORKS: Mapping[str, Preprocessing] = {
    "mnist_spectral_mlp_b": _STANDARD,
    "mnist_tiny_20": Preprocessing(),
    "mnist_conv_small": _STANDARD,
    "mnist_fc_3layer": Preprocessing(),
}
ALSO = ("mnist_tiny_20+backward", "mnist_spectral_mlp_b+backward", "mnist_fc_3layer+backward")


def opened(data: Path, name: str) -> Graph:
    """Return a network as a function of raw pixels."""
    if name.endswith(".safetensors"):
        return Graph.from_bytes(Path(name).read_bytes())
    graph = as_classifier(read_onnx((data / "models" / f"{name}.onnx").read_bytes()).graph)
    return prepend_preprocessing(graph, (1, 28, 28), NETWORKS[name])


def linear(seed: int, inputs: int = 12, classes: int = 4) -> Graph:
    """A linear classifier: its radii are exact, so there is nothing between certified and flipped."""
    chance = np.random.default_rng(seed)
    parameters = {
        "w": chance.normal(size=(classes, inputs)).astype(np.float32),
        "b": chance.normal(size=classes).astype(np.float32),
    }
    node = Node("head", "Gemm", ("x", "w", "b"), "y")
    return Graph("x", "y", (node,), parameters, {"x": (inputs,), "y": (classes,)})


def planted(effort: Effort, count: int = 500, factor: float = PLANTED) -> dict[str, Any]:
    """Claim radii of a linear network that are too large by a factor; return how many each attack finds."""
    graph, images = linear(0), torch.randn(count, 12, generator=torch.Generator().manual_seed(0))
    points = certified(graph, images).scaled(factor)
    found: dict[str, int] = {}
    for name in (*ATTACKS, ROUNDING):
        found |= attacked(graph, points, images, effort, name)
    return {"factor": factor, "points": len(points), "found": found}


def met(row: Mapping[str, Any]) -> int:
    """Return how many points of a network have met every attack: that by rounding is the last of a block."""
    blocks = sum(piece.startswith(ROUNDING) for piece in row["pieces"])
    return min(int(row["points"]), blocks * BLOCK)


class Campaign:
    """The pieces of a campaign, and what is kept of those that are done."""

    def __init__(self, data: Path, effort: Effort, points: int, log: Path) -> None:
        self._data, self._effort, self._points, self._log = data, effort, points, log
        kept = json.loads(log.read_text()) if log.exists() else {}
        asked = {"effort": asdict(effort), "points_each": points}
        same = {name: kept.get(name) for name in asked} == asked
        self.kept: dict[str, Any] = kept if same else asked | {"planted": None, "rows": []}
        self._images = samples(data / "datasets" / "mnist_test.npz").images

    def run(self, names: Sequence[str], seconds: float) -> bool:
        """Do what is left; return whether all is done."""
        stop = time.monotonic() + seconds
        if self.kept["planted"] is None:
            self.kept["planted"] = planted(self._effort)
            self._keep()
        for name in names:
            for piece in self._pieces(name):
                print(piece, flush=True)
                if time.monotonic() > stop:
                    return False
        return True

    @property
    def flips(self) -> int:
        """Flips of points that are truly certified."""
        return sum(count for row in self.kept["rows"] for count in row["flips"].values())

    def _pieces(self, name: str) -> Iterator[str]:
        """Do the pieces of one network, and say what each found."""
        row = next((row for row in self.kept["rows"] if row["network"] == name), None)
        if row is not None and row["complete"]:
            return
        graph = opened(self._data, name.removesuffix(BACKWARD))
        points = self._certified(graph, name)
        if row is None:
            row = {"network": name, "points": len(points), "median_radius": float(points.radius.median()),
                   "seconds": 0.0, "flips": {}, "pieces": [], "complete": False}  # fmt: skip
            self.kept["rows"].append(row)
        for first in range(0, len(points), BLOCK):
            block = points[torch.arange(first, min(first + BLOCK, len(points)))]
            for attack in (*ATTACKS, ROUNDING):
                piece = f"{attack} from {first}"
                if piece in row["pieces"]:
                    continue
                began = time.monotonic()
                for way, count in attacked(graph, block, self._images, self._effort, attack, first).items():
                    row["flips"][way] = row["flips"].get(way, 0) + count
                row["pieces"].append(piece)
                row["seconds"] += time.monotonic() - began
                self._keep()
                yield f"{name}: {piece}, {time.monotonic() - began:.0f} s: {row['flips']}"
        row["complete"] = True
        self._keep()

    def _certified(self, graph: Graph, name: str) -> Points:
        found = backed if name.endswith(BACKWARD) else certified
        points = found(graph, self._images[: self._points] if found is backed else self._images)
        return points[torch.arange(min(self._points, len(points)))]

    def _keep(self) -> None:
        self._log.parent.mkdir(exist_ok=True)
        self.kept |= {"points": sum(map(met, self.kept["rows"])), "flips": self.flips}
        fresh = self._log.with_suffix(".new")
        fresh.write_text(json.dumps(self.kept, indent=1) + "\n")
        fresh.replace(self._log)


def main(arguments: Sequence[str] | None = None) -> int:
    """Attack, print, keep; return 1 if anything flipped, 3 if there is more to do."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=[*NETWORKS, *ALSO], metavar="NAME")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--points", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log", type=Path, default=LOGS / "attacks.json")
    for name, value in asdict(Effort()).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    effort = Effort(**{name: getattr(options, name) for name in asdict(Effort())})
    whole = Campaign(options.data, effort, options.points, options.log)
    done = whole.run(options.names, options.seconds)
    print(f"{whole.flips} flips of {whole.kept['points']} certified points, {effort}")
    print(f"planted: {whole.kept['planted']}")
    return 1 if whole.flips else 0 if done else 3


if __name__ == "__main__":
    sys.exit(main())
