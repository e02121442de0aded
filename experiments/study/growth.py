"""How many pieces a path of length one has, and how long they take, by width and depth of f and of G.

``python -m experiments.study.growth --data FOLDER``: weights are random, as He proposed, for networks f that
classify 50 numbers and for generators G of 32 x 32 images from 50 numbers. Behind a generator is a classifier
of digits, trained and always the same. The statement O((N^2)^L) stands beside what is counted.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.charts import Axis, lines
from experiments.study import classifiers
from experiments.study.digits import digits
from experiments.study.geometric import NETWORKS
from experiments.study.logs import keep, options
from glocert import segments
from glocert.generators.training.chain import Chain, Shaped
from glocert.graph.builder import GraphBuilder
from glocert.graph.compose import composed
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.graph.run import run
from glocert.paths.segment import Segment

WIDTHS, DEPTHS, DIMENSION = (16, 64, 256, 1024), (1, 2, 4, 6), 50
GENERATOR_WIDTHS, DOUBLINGS, SIDE = (4, 8, 16, 32), (2, 3, 4), 32
BEHIND = "F2"
"""The classifier behind the generators."""
_BENDS = frozenset({"Relu", "Clip"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, time, keep; return 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--paths", type=int, default=9, help="per row")
    parser.add_argument("--epochs", type=int, default=8, help="of the classifier, as in the geometric part")
    chosen = options(parser, arguments)
    learnt = digits(chosen.data / "mnist_train_large.npz")
    behind = classifiers.trained(
        f"digits-{BEHIND}-{chosen.epochs}",
        lambda: NETWORKS[BEHIND](10),
        learnt.images,
        learnt.labels,
        folder=chosen.out,
        epochs=chosen.epochs,
    )
    # the processor's time of one thread tells the work, whoever else computes
    torch.set_num_threads(1)
    found = {"networks": of_networks(chosen.paths), "generators": of_generators(behind, chosen.paths)}
    fits = {name: exponents(rows) for name, rows in found.items()}
    keep("growth", {"paths": chosen.paths, "behind": BEHIND, **found, "exponents": fits})
    return 0


def of_networks(paths: int) -> list[dict[str, Any]]:
    """Follow paths through networks of all widths and depths."""
    sizes = itertools.product(DEPTHS, WIDTHS)
    return [{"width": w, "depth": d, **_followed(network(w, d), paths)} for d, w in sizes]


def of_generators(behind: Graph, paths: int) -> list[dict[str, Any]]:
    """Follow paths through generators of all widths and depths, and through a network of images behind."""
    rows = []
    for doublings, width in itertools.product(DOUBLINGS, GENERATOR_WIDTHS):
        front = generator(width, doublings)
        rows.append({"width": width, "depth": doublings, **_followed(composed(front, behind), paths)})
    return rows


def exponents(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Fit ``pieces ~ width^a`` at every depth, by least squares of logarithms, beside what is stated.

    As many layers as the depth grow with the width, and each adds two to the exponent of the statement.
    """
    found = []
    for depth in sorted({row["depth"] for row in rows}):
        some = [row for row in rows if row["depth"] == depth]
        widths, pieces = (np.log([row[name] for row in some]) for name in ("width", "pieces"))
        slope = float(np.polyfit(widths, pieces, 1)[0])
        found.append({"depth": depth, "exponent": slope, "stated": 2 * depth})
    return found


def network(width: int, depth: int) -> Graph:
    """Return ``depth`` hidden layers of ``width`` ReLUs and ten scores."""
    random, name, size = np.random.default_rng(width + depth), "x", DIMENSION
    builder = GraphBuilder.start(name, (size,), Limits())
    for place in range(depth + 1):
        after = width if place < depth else 10
        weight = random.normal(0.0, np.sqrt(2 / size), (after, size))
        parameters = [
            builder.parameter(array, "w") for array in (weight, 0.1 * random.standard_normal(after))
        ]
        name = builder.add(Node("gemm", "Gemm", (name, *parameters), "gemm", {}, "random"))
        if place < depth:
            name = builder.add(Node("relu", "Relu", (name,), "relu", {}, "random"))
        size = after
    return builder.finish(name)


def generator(width: int, doublings: int) -> Graph:
    """Return a decoder: a linear layer, then transposed convolutions that double the sides, clamped.

    The last resolution before the image has ``width`` channels, each coarser one twice as many. The last
    layer is scaled so that most pixels stay between the levels of the clamp.
    """
    side, channels = SIDE >> doublings, width << (doublings - 1)
    layers: list[nn.Module] = [nn.Linear(DIMENSION, channels * side * side), Shaped(channels, side, side)]
    for step in range(doublings):
        after = 1 if step == doublings - 1 else channels // 2
        layers += [nn.ReLU(), nn.ConvTranspose2d(channels, after, 4, 2, 1)]
        channels = after
    draw = torch.Generator().manual_seed(width + doublings)
    affine = [layer for layer in layers if isinstance(layer, nn.Linear | nn.ConvTranspose2d)]
    with torch.no_grad():
        for layer in affine:
            # of a kernel of 4 x 4 with stride 2, four numbers of every channel reach a pixel
            inputs = layer.in_features if isinstance(layer, nn.Linear) else 4 * layer.in_channels
            layer.weight.normal_(0.0, math.sqrt(2 / inputs), generator=draw)
            layer.bias.normal_(0.0, 0.1, generator=draw)
        affine[-1].weight.mul_(0.25)
        affine[-1].bias.fill_(0.5)
    return Chain((DIMENSION,), layers, bounded=True).graph()


def charts(result: Mapping[str, Any]) -> dict[str, str]:
    """Return name -> SVG: pieces and time against the ReLUs of what is followed."""
    series = {
        f"{title} {depth}": [row for row in result[name] if row["depth"] == depth]
        for name, title in (("networks", "f, depth"), ("generators", "f(G), doublings"))
        for depth in sorted({row["depth"] for row in result[name]})
    }
    found = {}
    for name, value, title in (
        ("study-growth-pieces", lambda row: row["pieces"], "pieces"),
        ("study-growth-time", lambda row: 1000 * row["seconds"], "ms of a processor"),
    ):
        points = {key: [(float(row["relus"]), value(row)) for row in rows] for key, rows in series.items()}
        axes = Axis("ReLUs", logarithmic=True), Axis(title, logarithmic=True)
        found[name] = lines("Paths of length one through random networks", *axes, points)
    return found


def _followed(graph: Graph, paths: int) -> dict[str, Any]:
    """Follow paths of length one; return medians, and what is stated of the worst case."""
    program, random = segments.prepare(graph), np.random.default_rng(0)
    pieces, seconds = [], []
    for _ in range(paths):
        start, change = random.standard_normal(DIMENSION), random.standard_normal(DIMENSION)
        stop = start + change / np.linalg.norm(change)
        label = int(run(graph, torch.from_numpy(start)[None]).argmax())
        began = time.process_time()
        found = segments.certify(program, Segment(start, stop, np.zeros(DIMENSION)), label)
        seconds.append(time.process_time() - began)
        pieces.append(found.pieces)
    layers = [math.prod(graph.shapes[node.output]) for node in graph.nodes if node.operator in _BENDS]
    return {
        "relus": sum(layers),
        "layers": len(layers),
        "widest": max(layers),
        "pieces": float(np.median(pieces)),
        "seconds": float(np.median(seconds)),
        "log10_of_the_statement": 2 * len(layers) * math.log10(max(layers)),
    }


if __name__ == "__main__":
    sys.exit(main())
