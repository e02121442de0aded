"""Attack certified points: ``python -m experiments.attack_certificates --data FOLDER [NAME ...]``.

``FOLDER`` holds ``models`` and ``datasets``. Every name is a network of the table below or a ``.safetensors``
file of a training run. Points are the first of ``mnist_test.npz`` that have a positive certified radius for
float32 execution; each is attacked inside that radius. Nothing may flip.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from experiments.attacks.campaign import Effort, campaign
from experiments.attacks.points import certified
from experiments.images import samples
from glocert.graph.imported import as_classifier
from glocert.graph.ir import Graph
from glocert.graph.onnx import read_onnx
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.spec import Preprocessing

LOGS = Path(__file__).parent / "logs"
_STANDARD = Preprocessing(mean=(0.1307,), std=(0.3081,))
NETWORKS: Mapping[str, Preprocessing] = {
    "mnist_spectral_mlp_b": _STANDARD,
    "mnist_tiny_20": Preprocessing(),
    "mnist_conv_small": _STANDARD,
    "mnist_fc_3layer": Preprocessing(),
}


def opened(data: Path, name: str) -> Graph:
    """Return a network as a function of raw pixels."""
    if name.endswith(".safetensors"):
        return Graph.from_bytes(Path(name).read_bytes())
    graph = as_classifier(read_onnx((data / "models" / f"{name}.onnx").read_bytes()).graph)
    return prepend_preprocessing(graph, (1, 28, 28), NETWORKS[name])


def main(arguments: Sequence[str] | None = None) -> int:
    """Attack, print, keep; return 1 if anything flipped."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(NETWORKS), metavar="NAME")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--points", type=int, default=500)
    parser.add_argument("--steps", type=int, default=Effort().steps)
    parser.add_argument("--restarts", type=int, default=Effort().restarts)
    parser.add_argument("--rivals", type=int, default=Effort().rivals)
    parser.add_argument("--trials", type=int, default=Effort().trials)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    effort = Effort(options.steps, options.restarts, options.rivals, options.trials)
    test = samples(options.data / "datasets" / "mnist_test.npz").images
    total, attacked, rows = 0, 0, []
    for name in options.names:
        began = time.monotonic()
        graph = opened(options.data, name)
        points = certified(graph, test)
        points = points[torch.arange(min(options.points, len(points)))]
        flips = campaign(graph, points, test, effort)
        total, attacked = total + sum(flips.values()), attacked + len(points)
        rows.append(
            {
                "network": Path(name).parent.name if "/" in name else name,
                "points": len(points),
                "flips": flips,
            }
        )
        median, seconds = float(points.radius.median()), time.monotonic() - began
        print(f"{name}: {len(points)} points, median radius {median:.4f}, {seconds:.0f} s: {flips}")
    print(f"{total} flips of {attacked} certified points of {len(rows)} networks, {effort}")
    LOGS.mkdir(exist_ok=True)
    kept = {"effort": asdict(effort), "points": attacked, "flips": total, "rows": rows}
    (LOGS / "attacks.json").write_text(json.dumps(kept, indent=1) + "\n")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
