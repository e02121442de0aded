"""How time grows with the length of a path, the depth and the width of a network.

``python -m benchmarks.growth``, with the shared data.
Lengths: shares of a chord between two test images. Depths and widths: fully connected networks with random
weights, the same random chords for all. Gap: what the anytime bounds of the robust mass say while the engine
works, and after every run of the curve, which the library follows from the start to the end.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import float32
from benchmarks.curve import machine
from benchmarks.questions import SHARED, Question, chords, label_of, network
from benchmarks.service import ROOT
from glocert import engine, segments
from glocert.budget import Budget
from glocert.forms.ledger import Ledger
from glocert.graph.ir import Graph, Node
from glocert.paths.segment import Segment
from glocert.segments.runs import runs
from glocert.segments.verdicts import Tally

RESULTS = ROOT / "benchmarks" / "results" / "growth.json"
LENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
ALONG = ("mnist_fc_256x6", "mnist_conv_small", "cifar_resnet2b")
DEPTHS, WIDTHS = (1, 2, 4, 8, 12), (16, 32, 64, 128, 256, 512)
CLASSES, FEATURES = 10, 64
GAPS = ("mnist_conv_small", "cifar_resnet2b")


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SHARED, help="folder with manifest.json and models")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {"machine": machine(), "length": [], "depth": [], "width": [], "gap": {}}
    for name in ALONG:
        question = next(chords(network(name, options.data), 1))
        for share in LENGTHS:
            part = replace(question, segment=shortened(question.segment, share))
            found["length"].append({"network": name, "share": share, **_timed(part, options.repeat)})
            print(found["length"][-1], flush=True)
    for axis, sizes in (("depth", DEPTHS), ("width", WIDTHS)):
        for size in sizes:
            question = _random(size, 64) if axis == "depth" else _random(3, size)
            found[axis].append({axis: size, **_timed(question, options.repeat)})
            print(axis, found[axis][-1], flush=True)
    for name in GAPS:
        found["gap"][name] = gaps(next(chords(network(name, options.data), 1)))
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def shortened(path: Segment, share: float) -> Segment:
    """Return the first part of a path."""
    return Segment(path.start, path.start + share * (path.stop - path.start), path.radius)


def _random(depth: int, width: int) -> Question:
    """Return a chord through a network of ``depth`` hidden layers with He weights and random biases."""
    rng = np.random.default_rng(7)
    sizes = [FEATURES, *[width] * depth, CLASSES]
    nodes, parameters, shapes, last = [], {}, {"x": (FEATURES,)}, "x"
    for layer, (before, after) in enumerate(pairwise(sizes)):
        weight, bias, output = f"w{layer}", f"b{layer}", f"y{layer}"
        drawn = rng.standard_normal((after, before)) * np.sqrt(2 / before)
        parameters |= {weight: drawn.astype(np.float32), bias: rng.standard_normal(after).astype(np.float32)}
        nodes.append(Node(output, "Gemm", (last, weight, bias), output))
        shapes[output], last = (after,), output
        if layer < depth:
            nodes.append(Node(f"r{layer}", "Relu", (last,), f"r{layer}"))
            shapes[f"r{layer}"], last = (after,), f"r{layer}"
    graph = Graph("x", last, tuple(nodes), parameters, shapes)
    start, stop = rng.uniform(-1, 1, (2, FEATURES))
    path = Segment(start, stop, np.zeros(FEATURES))
    return Question(f"{depth} x {width}", "chord", graph, path, label_of(graph, start))


def _timed(question: Question, repeat: int) -> dict[str, float]:
    """Return breakpoints of the whole curve, and medians of the engine and of the float32 curve in ms."""
    program, fast = engine.prepare(question.graph), float32.prepare(question.graph)
    ways: dict[str, Callable[[], object]] = {
        "float32": lambda: float32.certify(fast, question.segment, question.label),
        "engine": lambda: engine.certify(program, question.segment, question.label),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeat + 1):
        for name, way in ways.items():
            began = time.process_time()
            way()
            spent[name].append((time.process_time() - began) * 1e3)
    points = float32.certify(fast, question.segment, question.label).points
    return {"points": points} | {name: statistics.median(ms[1:]) for name, ms in spent.items()}


def gaps(question: Question) -> dict[str, list[tuple[float, float, float]]]:
    """Return (ms, L, U) over time, of the engine and of the curve."""
    return {"engine": list(_watched(question)), "curve": list(_followed(question))}


def _watched(question: Question) -> Sequence[tuple[float, float, float]]:
    program = engine.prepare(question.graph)
    engine.certify(program, question.segment, question.label)
    seen = [(0.0, 0.0, 1.0)]
    began = time.process_time()

    def watch(_position: int, state: Callable[[], dict[str, Any]]) -> None:
        mass = Ledger.from_json(state()).mass()
        if (mass.lower, mass.upper) != seen[-1][1:]:
            seen.append(((time.process_time() - began) * 1e3, mass.lower, mass.upper))

    asked = [engine.Question(question.segment, question.label)]
    (answer,) = engine.certify_many(program, asked, watch=watch)
    mass = answer.report.robust_mass
    return [*seen, ((time.process_time() - began) * 1e3, mass.lower, mass.upper)]


def _followed(question: Question) -> Iterator[tuple[float, float, float]]:
    program, tally = segments.prepare(question.graph), Tally(question.label, 0.0, partition=False)
    list(runs(program, question.segment, Budget()))
    yield 0.0, 0.0, 1.0
    began = time.process_time()
    for part in runs(program, question.segment, Budget()):
        tally.add(part)
        mass = tally.mass()
        yield (time.process_time() - began) * 1e3, mass.lower, mass.upper


if __name__ == "__main__":
    raise SystemExit(main())
