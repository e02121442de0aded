"""What the answer of a wrapped network costs beyond its scores: ``python -m benchmarks.gloro_wrap``.

A 6C2F of CIFAR-10's input shape, with 10 and with 1000 classes, as plain ONNX and wrapped, both in
onnxruntime under the same settings. One forward pass of each is timed in turn, so that both see the same
machine; the figure is the median of the ratios. The weights are untrained: time does not depend on them.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import onnxruntime
import torch

from benchmarks.latency import machine
from benchmarks.service import ROOT
from glocert.gloro.architectures import build
from glocert.gloro.artifacts.onnx_file import to_wrapped_onnx
from glocert.gloro.artifacts.trial import session
from glocert.gloro.artifacts.wrapped import wrap
from glocert.graph.export import to_onnx
from glocert.graph.wrapped import INPUT, OUTPUTS, SCORES
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.spec import Preprocessing

SHAPE = (3, 32, 32)
CASES = ((10, 64), (1000, 64), (10, 1), (1000, 1))
"""classes and batch"""
TARGET = 1.05
_WARM = 3
_SECONDS = 10.0
_LEAST, _MOST = 25, 400


def main() -> int:
    """Measure, print and write down."""
    found = {classes: _sessions(classes) for classes in dict(CASES)}
    rows = [_row(*found[classes], classes, batch) for classes, batch in CASES]
    result = {
        "rows": rows,
        "machine": f"{machine()}, onnxruntime {onnxruntime.__version__}, 1 thread",
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    out = ROOT / "benchmarks/results/gloro_wrap.json"
    out.write_text(json.dumps(result, indent=2) + "\n")
    return 0 if all(row["ratio"] < TARGET for row in rows if row["batch"] > 1) else 1


def page(found: Mapping[str, Any], table: Callable[[Sequence[str], Sequence[Sequence[Any]]], str]) -> str:
    """Return the section of ``docs/benchmarks.md``."""
    rows = [
        [
            row["classes"],
            row["batch"],
            f"{row['plain_ms']:.2f}",
            f"{row['wrapped_ms']:.2f}",
            f"{row['ratio']:.3f}",
            row["pairs"],
        ]
        for row in found["rows"]
    ]
    titles = ["classes", "batch", "scores alone, ms", "wrapped, ms", "ratio", "pairs of runs"]
    return f"""## A wrapped network in one pass

`python3 dev.py bench gloro_wrap`: a 6C2F of CIFAR-10's shape in onnxruntime, its scores alone and wrapped,
where it answers label, radius and bottom as well. Runs alternate; *ratio* is the median over pairs of runs.

{found["machine"]}

{table(titles, rows)}
"""


def _sessions(classes: int) -> tuple[onnxruntime.InferenceSession, onnxruntime.InferenceSession]:
    torch.manual_seed(0)
    graph = prepend_preprocessing(build("6c2f", SHAPE, classes).graph(), SHAPE, Preprocessing())
    wrapped = wrap(graph, 36 / 255)
    return session(to_onnx(wrapped.network)), session(to_wrapped_onnx(wrapped))


def _row(
    plain: onnxruntime.InferenceSession, wrapped: onnxruntime.InferenceSession, classes: int, batch: int
) -> dict[str, Any]:
    x = np.random.default_rng(0).random((batch, *SHAPE), np.float32)
    runs = (
        lambda: plain.run([SCORES], {INPUT: x}),
        lambda: wrapped.run(list(OUTPUTS), {INPUT: x}),
    )
    times: list[tuple[float, float]] = []
    began = time.monotonic()
    while len(times) < _LEAST + _WARM or (time.monotonic() - began < _SECONDS and len(times) < _MOST):
        first, second = (_timed(run) for run in (runs if len(times) % 2 else reversed(runs)))
        times.append((first, second) if len(times) % 2 else (second, first))
    del times[:_WARM]
    row = {
        "classes": classes,
        "batch": batch,
        "plain_ms": statistics.median(one for one, _ in times) * 1e3,
        "wrapped_ms": statistics.median(two for _, two in times) * 1e3,
        "ratio": statistics.median(two / one for one, two in times),
        "pairs": len(times),
    }
    print(f"{classes} classes, batch {batch}: {row['plain_ms']:.2f} ms, wrapped {row['wrapped_ms']:.2f} ms, "
          f"ratio {row['ratio']:.4f}", flush=True)  # fmt: skip
    return row


def _timed(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
