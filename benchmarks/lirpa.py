"""Bisection with the forward bounds of auto_LiRPA, the peer: ``python -m benchmarks.lirpa [NETWORK ...]``.

Needs auto_LiRPA, which the project does not depend on: put it on ``PYTHONPATH`` for this one run. The first
chord of every network, the parameter as the network's input, batched bisection until at most a thousandth of
the path is open, float32, one thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.curve import machine
from benchmarks.loop import GAP
from benchmarks.questions import CLASSIFIERS, SHARED, Question, chords, network
from benchmarks.service import ROOT
from glocert.graph.ir import Node

RESULTS = ROOT / "benchmarks" / "results" / "lirpa.json"
PATIENCE_S = 60.0
_MOST = 64
_NARROWEST = 2.0**-20
_ALONE = {"Relu", "Reshape", "Conv", "Gemm", "MatMul", "Add", "Sub", "BatchNormalization", "MaxPool"}


class Along(nn.Module):
    """The margins of a label as a function of the path's parameter, in operators that the peer reads."""

    def __init__(self, question: Question) -> None:
        super().__init__()
        graph, segment = question.graph, question.segment
        unknown = sorted({node.operator for node in graph.nodes} - _ALONE)
        if unknown:
            raise TypeError(", ".join(unknown))
        self.graph = graph
        change = torch.tensor(segment.stop - segment.start, dtype=torch.float32).flatten()
        self.register_buffer("change", change.unsqueeze(1))
        self.register_buffer("start", torch.tensor(segment.start, dtype=torch.float32).flatten())
        self.values = {
            name: torch.tensor(value, dtype=torch.float32) for name, value in graph.parameters.items()
        }
        classes = int(np.prod(graph.output_shape))
        rows = [j for j in range(classes) if j != question.label]
        margins = torch.zeros(len(rows), classes)
        margins[:, question.label] = 1
        margins[range(len(rows)), rows] = -1
        self.register_buffer("margins", margins)

    def forward(self, t: Tensor) -> Tensor:
        """Return the margins, shape (rows, others), at ``t`` of shape (rows, 1)."""
        x = functional.linear(t, self.change, self.start).view(-1, *self.graph.input_shape)
        live = {self.graph.input: x}
        for node in self.graph.nodes:
            live[node.output] = self._applied(node, live)
        return functional.linear(live[self.graph.output].flatten(1), self.margins)

    def _applied(self, node: Node, live: dict[str, Tensor]) -> Tensor:
        x, *rest = (live[name] if name in live else self.values[name] for name in node.inputs)
        shape = self.graph.shapes[node.output]
        if node.operator == "Conv":
            top, left, bottom, right = node.ints("pads")
            if (top, left) != (bottom, right):
                raise TypeError("Conv with uneven padding")
            bias = rest[1] if len(rest) > 1 else None
            return functional.conv2d(x, rest[0], bias, node.ints("strides"), (top, left))
        if node.operator == "BatchNormalization":
            scale, bias, mean, var = rest
            return functional.batch_norm(x, mean, var, scale, bias, eps=node.number("epsilon"))
        if node.operator == "MaxPool":
            return functional.max_pool2d(x, node.ints("kernel_shape"), node.ints("strides"))
        simple = {
            "Relu": lambda: torch.relu(x), "Reshape": lambda: x.reshape(-1, *shape),
            "Gemm": lambda: functional.linear(x, *rest), "MatMul": lambda: x.matmul(rest[0]),
            "Add": lambda: x + rest[0], "Sub": lambda: x - rest[0],
        }  # fmt: skip
        return simple[node.operator]()


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", help="names in the manifest; all by default")
    parser.add_argument("--data", type=Path, default=SHARED, help="folder with manifest.json and models")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    try:
        import auto_LiRPA
    except ImportError:
        print("auto_LiRPA is not on PYTHONPATH")
        return 2
    torch.set_num_threads(1)
    rows = []
    for name in options.networks or CLASSIFIERS:
        question = next(chords(network(name, options.data), 1))
        rows.append(_measured(question, options.repeat))
        print(rows[-1], flush=True)
    version = f"auto_LiRPA {auto_LiRPA.__version__}"
    RESULTS.write_text(json.dumps({"machine": machine(), "version": version, "rows": rows}, indent=1) + "\n")
    return 0


def _measured(question: Question, repeat: int) -> dict[str, Any]:
    row: dict[str, Any] = {"network": question.network, "boxes": 0, "ms": 0.0, "low": 0.0, "high": 1.0}
    try:
        bounded = _bounded(question)
        times = []
        for _ in range(repeat + 1):
            began = time.process_time()
            row["boxes"], row["low"], row["high"] = bisected(bounded)
            times.append((time.process_time() - began) * 1e3)
            if times[-1] > PATIENCE_S * 1e3:
                break
        row["ms"] = statistics.median(times[1:] or times)
    except Exception as error:  # noqa: BLE001 - whatever the peer cannot do is what is being reported
        row["remark"] = f"not taken: {type(error).__name__} {error}"[:120].replace("\n", " ")
    return row


def _bounded(question: Question) -> Any:
    from auto_LiRPA import BoundedModule

    return BoundedModule(Along(question).eval(), torch.zeros(2, 1), device="cpu", verbose=False)


def bisected(bounded: Any) -> tuple[int, float, float]:
    """Return boxes, and bounds of the share on which all margins are positive."""
    pending = np.array([[0.0, 1.0]])
    safe = lost = 0.0
    boxes, began = 0, time.process_time()
    while len(pending) and (pending[:, 1] - pending[:, 0]).sum() > GAP:
        rows, pending = pending[:_MOST], pending[_MOST:]
        boxes += len(rows)
        low, high = _bounds(bounded, rows)
        won, broken, widths = (low > 0).all(1), (high < 0).any(1), rows[:, 1] - rows[:, 0]
        safe, lost = safe + float(widths[won].sum()), lost + float(widths[broken & ~won].sum())
        left = rows[~won & ~broken & (widths > _NARROWEST)]
        middle = left.mean(1)
        halves = np.concatenate([np.stack([left[:, 0], middle], 1), np.stack([middle, left[:, 1]], 1)])
        pending = np.concatenate([pending, halves])
        if time.process_time() - began > PATIENCE_S:
            break
    return boxes, safe, 1.0 - lost


def _bounds(bounded: Any, rows: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    from auto_LiRPA import BoundedTensor, PerturbationLpNorm

    left, right = (torch.tensor(rows[:, at : at + 1], dtype=torch.float32) for at in (0, 1))
    box = PerturbationLpNorm(norm=np.inf, x_L=left, x_U=right)
    with torch.no_grad():
        low, high = bounded.compute_bounds(x=(BoundedTensor((left + right) / 2, box),), method="forward")
    return low.numpy(), high.numpy()


if __name__ == "__main__":
    sys.exit(main())
