"""A generator and a regressor as one network, along latent chords: ``python -m benchmarks.latent``.

The cGAN of the shared data takes five latent numbers, makes an image of them and measures a distance in it.
On a full latent chord and on a hundredth of it: how long the engine takes to prove that the output stays
above its minimum less 0.01; what the anytime bounds say meanwhile; how long the exact curve takes as the
library follows it, whole and for 60,000 breakpoints of a longer chord, and how much memory; how soon a search
stops when its time is over; and what is lost by going on from what was proven. Tasks that measure memory run
in a process of their own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.curve import machine
from benchmarks.gloro import Peak
from benchmarks.questions import SHARED
from benchmarks.service import ROOT
from glocert import engine, segments
from glocert.budget import Budget
from glocert.forms.ledger import Ledger
from glocert.graph.append import appended, reshaped
from glocert.graph.ir import Graph
from glocert.graph.onnx import read_onnx
from glocert.graph.run import run
from glocert.paths.segment import Segment
from glocert.report import SegmentReport
from glocert.segments.runs import runs
from glocert.spec import Analysis

RESULTS = ROOT / "benchmarks" / "results" / "latent.json"
SLACK = 0.01
POINTS = 60_000
SEED = 2
TASKS = ("prove", "curve", "memory", "stop")
BARS = {"full chord, s": 1.5, "hundredth, s": 0.1, "memory, MiB": 256.0, "stop, s": 2.0}


def main() -> int:
    """Measure, print, write."""
    options = _options()
    torch.set_num_threads(1)
    if options.task:
        print(json.dumps(_RUN[options.task](options)))
        return 0
    print(machine())
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for task in options.tasks:
        kept[task] = _apart(task)
        print(task, json.dumps({key: value for key, value in kept[task].items() if key != "gap"}), flush=True)
    kept["machine"] = machine()
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=list(TASKS), help=f"of {', '.join(TASKS)}")
    parser.add_argument("--data", type=Path, default=SHARED, help="folder with models")
    parser.add_argument("--points", type=int, default=POINTS, help="breakpoints of the memory task")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--task", choices=TASKS, help="for the children")
    return parser.parse_args()


def _apart(task: str) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.latent", "--task", task, *sys.argv[1:]]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def composed(data: Path) -> Graph:
    """Return generator and regressor as one graph."""
    return read_onnx((data / "models" / "cgan_32_1ch.onnx").read_bytes()).graph


def chord(graph: Graph, share: float) -> Segment:
    """Return a chord through the latent space: ``share`` of the one between two random codes."""
    rng = np.random.default_rng(SEED)
    start, stop = rng.uniform(-1, 1, (2, *graph.input_shape))
    return Segment(start, start + share * (stop - start), np.zeros_like(start))


def outputs(graph: Graph, path: Segment, count: int) -> NDArray[np.float64]:
    """Return samples of the output along a path, float32."""
    shape = (-1, *(1,) * path.start.ndim)
    t = torch.linspace(0, 1, count).view(shape)
    start, stop = (torch.tensor(end, dtype=torch.float32) for end in (path.start, path.stop))
    found = [run(graph, start + part * (stop - start)).flatten() for part in t.split(128)]
    return torch.cat(found).double().numpy()


def above(graph: Graph, floor: float) -> Graph:
    """Return a graph of two scores, of which the first wins where the output is above ``floor``."""
    both = appended(reshaped(graph, (1,), "flat"), "Gemm", "both", (2,), np.array([[1.0], [0.0]]))
    return appended(both, "Sub", "above", (2,), np.array([floor, 0.0]))


def prove(options: argparse.Namespace) -> dict[str, Any]:
    """Time the engine on both chords, and watch its bounds on the full one."""
    graph = composed(options.data)
    found: dict[str, Any] = {}
    for name, share, bar in (("full", 1.0, 1.5), ("hundredth", 0.01, 0.1)):
        path = chord(graph, share)
        floor = float(outputs(graph, path, 1000).min()) - SLACK
        program = engine.prepare(above(graph, floor))
        seconds, report = [], None
        for _ in range(options.repeat + 1):
            began = time.process_time()
            report = engine.certify(program, path, 0)
            seconds.append(time.process_time() - began)
        assert report is not None
        found[name] = {
            "floor": floor, "seconds": float(np.median(seconds[1:])), "slowest": max(seconds[1:]),
            "bar": bar, "verdict": report.verdict.value, "rows": report.pieces,
        }  # fmt: skip
        if share == 1.0:
            found["gap"] = _watched(program, path)
    return found


def _watched(program: engine.Program, path: Segment) -> list[tuple[float, float, float]]:
    """Return (seconds, L, U) whenever they have changed."""
    seen: list[tuple[float, float, float]] = [(0.0, 0.0, 1.0)]
    began = time.process_time()

    def watch(_position: int, state: Callable[[], dict[str, Any]]) -> None:
        mass = Ledger.from_json(state()).mass()
        if (mass.lower, mass.upper) != seen[-1][1:]:
            seen.append((time.process_time() - began, mass.lower, mass.upper))

    list(engine.certify_many(program, [engine.Question(path, 0)], watch=watch))
    return seen


def curve(options: argparse.Namespace) -> dict[str, Any]:
    """Follow both chords exactly: points, seconds, memory, progress."""
    graph = composed(options.data)
    program = segments.prepare(graph)
    found: dict[str, Any] = {}
    for name, share in (("hundredth", 0.01), ("full", 1.0)):
        peak = Peak("cpu")
        began = time.process_time()
        points, progress, radius, lowest = 1, [(0.0, 0.0, 1)], 0.0, np.inf
        for part in runs(program, chord(graph, share), Budget()):
            points += len(part.t) - 1
            radius, lowest = max(radius, float(part.radius.max())), min(lowest, float(part.scores.min()))
            progress.append((time.process_time() - began, float(part.t[-1]), points))
        found[name] = {
            "points": points, "seconds": progress[-1][0], "megabytes": peak.megabytes(),
            "runs": len(progress) - 1, "radius": radius, "lowest": lowest,
            "progress": progress[:: max(1, len(progress) // 60)],
        }  # fmt: skip
    return found


def memory(options: argparse.Namespace) -> dict[str, Any]:
    """Follow a chord seven times as long for so many breakpoints, and see what it holds at most."""
    graph = composed(options.data)
    program, usual = segments.prepare(graph), chord(graph, 1.0)
    step = usual.stop - usual.start
    path = Segment(usual.start - 3 * step, usual.stop + 3 * step, usual.radius)
    peak, began, points, done = Peak("cpu"), time.process_time(), 1, 0.0
    for part in runs(program, path, Budget()):
        points, done = points + len(part.t) - 1, float(part.t[-1])
        if points >= options.points:
            break
    return {
        "points": points, "share": done, "megabytes": peak.megabytes(), "bar": BARS["memory, MiB"],
        "seconds": time.process_time() - began,
    }  # fmt: skip


def stop(options: argparse.Namespace) -> dict[str, Any]:
    """End a search at several times, see how late it stops, go on, and compare with one that was not ended.

    The floor is the median of the output: the property holds on about half of the path, and all of it has to
    be decided.
    """
    graph, limits = composed(options.data), (0.1, 0.5, 1.5)
    path = chord(graph, 0.05)
    program = engine.prepare(above(graph, float(np.median(outputs(graph, path, 2000)))))
    began = time.perf_counter()
    whole = engine.certify(program, path, 0)
    uninterrupted = time.perf_counter() - began
    late, known, shares, spent = [], {}, [], 0.0
    for limit in limits:
        report, known, seconds = _interrupted(program, path, known, limit)
        late.append(max(0.0, seconds - limit))
        spent += seconds
        shares.append(_decided(report))
    last, _, seconds = _interrupted(program, path, known, 1e9)
    return {
        "uninterrupted": uninterrupted, "late": max(late), "bar": BARS["stop, s"], "decided": shares,
        "with_stops": spent + seconds, "grows": shares == sorted(shares),
        "same": last.verdict is whole.verdict and _apart_by(last, whole) <= 1e-6,
    }  # fmt: skip


def _interrupted(
    program: engine.Program, path: Segment, known: dict[str, Any], seconds: float
) -> tuple[SegmentReport, dict[str, Any], float]:
    """Go on from what is known for some seconds; return the answer, what is known then, and the time."""
    latest = dict(known)

    def watch(_position: int, state: Callable[[], dict[str, Any]]) -> None:
        latest.clear()
        latest.update(json.loads(json.dumps(state())))

    began = time.perf_counter()
    question = engine.Question(path, 0, analysis=Analysis.COMPLETE, known=known)
    (answer,) = engine.certify_many(program, [question], Budget.seconds(seconds), watch)
    return answer.report, latest, time.perf_counter() - began


def _decided(report: SegmentReport) -> float:
    return 1.0 - (report.robust_mass.upper - report.robust_mass.lower)


def _apart_by(one: SegmentReport, other: SegmentReport) -> float:
    mine, theirs = one.robust_mass, other.robust_mass
    return max(abs(mine.lower - theirs.lower), abs(mine.upper - theirs.upper))


_RUN = {"prove": prove, "curve": curve, "memory": memory, "stop": stop}


if __name__ == "__main__":
    raise SystemExit(main())
