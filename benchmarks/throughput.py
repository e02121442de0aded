"""A data set through the engine, one input at a time and many together: ``python -m benchmarks.throughput``.

The same questions about the first inputs of a test set, asked one after the other and in batches, in a
process that may use every core; answers of both ways are compared, verdict by verdict and number by number.
``--device cuda`` measures a GPU. Every network is kept as soon as it was measured, beside those of earlier
runs with the same inputs and batches.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import kept
from benchmarks.curve import machine
from benchmarks.questions import SHARED, Network, Question, mutated, network, whole
from benchmarks.service import ROOT
from glocert import engine
from glocert.report import SegmentReport
from glocert.spec import Mutation

RESULTS = ROOT / "benchmarks" / "results" / "throughput.json"
SMALL = ("mnist_tiny_20", "mnist_fc_3layer", "mnist_spectral_mlp_b", "acasxu_1_1", "mnist_relu_6_100",
         "mnist_fc_256x2", "mnist_keras_nhwc", "mnist_conv_small", "cifar_resnet2b")  # fmt: skip
BAR = 3.0
BRIGHTNESS = Mutation("brightness", 0.0, 0.1)
EQUAL = 1e-9
"""shares and extents that differ by no more, besides what both answers leave open, are the same"""


def main() -> int:
    """Measure, print, write; 1 where the two ways give different answers."""
    options = _options()
    if not hasattr(engine, "certify_many"):
        print("this engine takes one question at a time")
        return 0
    torch.set_num_threads(options.threads)
    print(machine())
    print(_TITLE)
    rows, where = [], _where(options.device)
    file = RESULTS if options.device == "cpu" else RESULTS.with_stem(f"throughput_{options.device}")
    for name in options.networks or SMALL:
        rows.append({**measure(network(name, options.data), options), "machine": where})
        print(_line(rows[-1]), flush=True)
        keep(options.out or file, rows, options.inputs)
    return 0 if all(row["same"] for row in rows) else 1


def keep(file: Path, rows: Sequence[Mapping[str, Any]], inputs: int) -> None:
    """Write the rows, and those of the file that were measured on as many inputs in the same batches."""
    now = json.loads(json.dumps(rows))
    sizes = list(now[0]["per_second"])
    before = [row for row in kept.rows(file) if row["inputs"] == inputs and list(row["per_second"]) == sizes]
    both = kept.merged(before, now, ["network"], SMALL)
    kept.write(file, {"inputs": inputs, "rows": both})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", help="names in the manifest; small ones by default")
    parser.add_argument("--data", type=Path, default=SHARED, help="folder with manifest.json and models")
    parser.add_argument("--inputs", type=int, default=256, help="inputs of the test set")
    parser.add_argument("--batches", type=int, nargs="*", default=[4, 16, 64, 256], help="how many at a time")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each way, turn and turn about")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of both ways")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="file of results; the page reads the one under results")
    return parser.parse_args()


def _where(device: str) -> str:
    return machine() if device == "cpu" else f"{torch.cuda.get_device_name()}, torch {torch.__version__}"


def measure(model: Network, options: argparse.Namespace) -> dict[str, Any]:
    """Time one network both ways."""
    graph = whole(model)
    program = engine.prepare(graph, options.device)
    count = min(options.inputs, len(model.labels))
    asked = [mutated(model, BRIGHTNESS, item, graph) for item in range(count)]
    ways: dict[int, Callable[[], list[SegmentReport]]] = {1: lambda: _alone(program, asked)}
    ways |= {size: _batched(program, asked, size) for size in options.batches}
    seconds: dict[int, list[float]] = {size: [] for size in ways}
    answers: dict[int, list[SegmentReport]] = {}
    for _ in range(options.repeat):
        for size, way in ways.items():
            took, answers[size] = _timed(way)
            seconds[size].append(took)
    rates = {size: count / statistics.median(took) for size, took in seconds.items()}
    differences = [different(answers[1], answers[size]) for size in options.batches]
    return {
        "network": model.name,
        "per_second": rates,
        "faster": max(rates[size] for size in options.batches) / rates[1],
        "same": not any(verdicts or numbers for verdicts, numbers, _ in differences),
        "verdicts_differ": max(verdicts for verdicts, _, _ in differences),
        "numbers_differ": max(numbers for _, numbers, _ in differences),
        "bits_differ": max(bits for _, _, bits in differences),
    }


def _batched(
    program: engine.Program, asked: Sequence[Question], size: int
) -> Callable[[], list[SegmentReport]]:
    return lambda: [report for first in range(0, len(asked), size)
                    for report in _together(program, asked[first : first + size])]  # fmt: skip


def _alone(program: engine.Program, asked: Sequence[Question]) -> list[SegmentReport]:
    return [engine.certify(program, question.segment, question.label) for question in asked]


def _together(program: engine.Program, asked: Sequence[Question]) -> list[SegmentReport]:
    questions = [engine.Question(question.segment, question.label) for question in asked]
    answers = {answer.position: answer.report for answer in engine.certify_many(program, questions)}
    return [answers[at] for at in range(len(asked))]


def _timed(way: Callable[[], list[SegmentReport]]) -> tuple[float, list[SegmentReport]]:
    """Return seconds on the wall, and answers."""
    began = time.perf_counter()
    answers = way()
    return time.perf_counter() - began, answers


def different(alone: Sequence[SegmentReport], together: Sequence[SegmentReport]) -> tuple[int, int, int]:
    """Count answers whose verdict differs, whose numbers do by more than rounding, and by anything."""
    verdicts = numbers = bits = 0
    for one, other in zip(alone, together, strict=True):
        verdicts += one.verdict is not other.verdict
        apart = max(abs(x - y) for x, y in zip(_numbers(one), _numbers(other), strict=True))
        numbers += apart > EQUAL + _open(one) + _open(other)
        bits += apart > 0
    return verdicts, numbers, bits


def _numbers(report: SegmentReport) -> tuple[float, float, float]:
    return report.robust_mass.lower, report.robust_mass.upper, report.certified_to


def _open(report: SegmentReport) -> float:
    return report.robust_mass.upper - report.robust_mass.lower


_TITLE = f"{'network':24}{'alone /s':>10}{'together /s':>14}{'faster':>8}   differ: verdicts, numbers, bits"


def _line(row: dict[str, Any]) -> str:
    rates = row["per_second"]
    best = max(rate for size, rate in rates.items() if size != 1)
    return (
        f"{row['network']:24}{rates[1]:10.1f}{best:14.1f}{row['faster']:8.2f}   {row['verdicts_differ']}, "
        f"{row['numbers_differ']}, {row['bits_differ']}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
