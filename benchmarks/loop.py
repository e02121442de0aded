"""The engine against the fast ways that prove nothing: ``python -m benchmarks.loop [NETWORK ...]``.

Every network gets the same paths (chords between test images and one change of brightness), and each path
goes to all contenders, turn and turn about: the curve in float32, the proven curve as the library follows it
(event by event where that suits the network), the same by grids of vertices, proven bounds alone, the engine,
the engine without its rounding terms, and, to a robust mass known to 1e-3, the engine against bisection with
float32 bounds. One thread, processor time. ``--quick`` asks one chord of each network once.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks import float32, forward, kept
from benchmarks.bare import by_grids
from benchmarks.bare_forms import without_rounding
from benchmarks.curve import machine
from benchmarks.questions import CLASSIFIERS, SHARED, Network, Question, chords, mutated, network
from benchmarks.service import ROOT
from glocert import engine, forms, segments
from glocert.budget import Budget
from glocert.report import SegmentReport
from glocert.spec import Analysis, Mutation

RESULTS = ROOT / "benchmarks" / "results" / "loop.json"
GAP = 1e-3
PATIENCE_S = 5.0
"""a contender that takes longer is not asked again"""
LIMIT_S = 30.0
"""what the form domain gets for one path"""
BRIGHTNESS = Mutation("brightness", 0.0, 0.2)
PROTOTYPE = {
    "mnist_fc_256x2": (204, 0.99),
    "mnist_fc_256x4": (273, 2.50),
    "mnist_fc_256x6": (337, 3.85),
    "mnist_relu_6_100": (276, 1.68),
    "acasxu_1_1": (105, 1.53),
    "mnist_conv_small": (765, 11.0),
    "cifar_conv_small_pgd": (2329, 112.0),
    "cifar_resnet2b": (2575, 98.0),
}
"""points and ms of an earlier float32 prototype of the curve, on another machine and another chord"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a contender says: whether the label wins everywhere (None: open), and bounds of its share."""

    holds: bool | None
    low: float
    high: float
    work: int


@dataclass
class Times:
    """Processor time of one contender on one path, in ms."""

    ms: list[float] = field(default_factory=list)
    answer: Answer | None = None

    @property
    def median(self) -> float:
        """Median of all runs."""
        return statistics.median(self.ms)

    def tell(self) -> dict[str, Any]:
        """Return what the page needs."""
        return {"ms": self.median, "fastest": min(self.ms), "slowest": max(self.ms), **asdict(self.answer)}  # type: ignore[arg-type]


def main() -> int:
    """Measure, print, write; 1 where two answers contradict each other."""
    options = _options()
    torch.set_num_threads(1)
    print(machine())
    print(_TITLE)
    rows = []
    for name in options.networks or CLASSIFIERS:
        for row in measured(network(name, options.data), options):
            rows.append(row)
            print(_line(row), flush=True)
    for line in summary(rows):
        print(line)
    if not options.quick:
        RESULTS.write_text(json.dumps(_kept(rows, options.repeat), indent=1) + "\n")
    return 0 if all(row["same"] for row in rows) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", help="names in the manifest; all by default")
    parser.add_argument("--data", type=Path, default=SHARED, help="folder with manifest.json and models")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each contender, interleaved")
    parser.add_argument("--chords", type=int, default=3, help="chords of each network")
    parser.add_argument("--only", nargs="*", help="contenders to run; all by default")
    parser.add_argument("--quick", action="store_true", help="one chord, one run, nothing written")
    options = parser.parse_args()
    if options.quick:
        options.chords, options.repeat = 1, 1
        options.only = options.only or ["float32", "engine", "mass", "bisection"]
    return options


def measured(model: Network, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a row for every path through one network."""
    asked = list(chords(model, options.chords))
    if not options.quick:
        asked.append(mutated(model, BRIGHTNESS, 0))
    made: dict[int, dict[str, Callable[[Question], Answer]]] = {}
    for question in asked:
        key = id(question.graph)
        if key not in made:
            made[key] = _contenders(question, options.only)
        yield _row(model, question, _timed(made[key], question, options.repeat))


def _contenders(question: Question, only: Sequence[str] | None) -> dict[str, Callable[[Question], Answer]]:
    """Prepare everybody for one network."""
    graph = question.graph
    program = engine.prepare(graph)
    found: dict[str, Callable[[], Callable[[Question], Answer]]] = {
        "float32": lambda: _float32(float32.prepare(graph)),
        "curve": lambda: _proven(segments.certify, segments.prepare(graph)),
        "grid": lambda: _proven(segments.certify, _grids(segments.prepare(graph))),
        "forms": lambda: _proven(forms.certify, forms.prepare(graph), LIMIT_S),
        "engine": lambda: _proven(engine.certify, program),
        "bare": lambda: _proven(engine.certify, without_rounding(program)),
        "mass": lambda: _proven(engine.certify, program, analysis=Analysis.QUANTITATIVE),
        "bisection": lambda: _bisection(forward.prepare(graph)),
    }
    chosen = {}
    for name, make in found.items():
        if only and name not in only:
            continue
        try:
            chosen[name] = make()
        except TypeError as unknown:
            print(f"{question.network}: no {name}: {unknown}")
    return chosen


def _grids(program: segments.Program) -> segments.Program:
    """Return a program without events.

    Raises:
        TypeError: it had none: the contender would be the proven curve once more.
    """
    if program.events is None:
        raise TypeError("the curve is followed by grids as it is")
    return by_grids(program)


def _float32(program: float32.Program) -> Callable[[Question], Answer]:
    def ask(question: Question) -> Answer:
        found = float32.certify(program, question.segment, question.label)
        return Answer(found.holds, found.share, found.share, found.points)

    return ask


def _bisection(program: forward.Program) -> Callable[[Question], Answer]:
    def ask(question: Question) -> Answer:
        found = forward.certify(program, question.segment, question.label, GAP)
        return Answer(found.holds, found.low, found.high, found.boxes)

    return ask


def _proven(
    certify: Callable[..., SegmentReport], program: Any, limit_s: float | None = None, **options: Any
) -> Callable[[Question], Answer]:
    def ask(question: Question) -> Answer:
        budget = None if limit_s is None else Budget.seconds(limit_s)
        report = certify(program, question.segment, question.label, gap=GAP, budget=budget, **options)
        holds = {"certified": True, "falsified": False}.get(report.verdict.value)
        return Answer(holds, report.robust_mass.lower, report.robust_mass.upper, report.pieces)

    return ask


def _timed(
    contenders: dict[str, Callable[[Question], Answer]], question: Question, repeat: int
) -> dict[str, Times]:
    """Ask everybody, turn and turn about; the first round only warms up where there are more."""
    times = {name: Times() for name in contenders}
    for turn in range(repeat + (repeat > 1)):
        for name, ask in contenders.items():
            spent = times[name]
            if spent.ms and max(spent.ms) > PATIENCE_S * 1e3:
                continue
            gc.collect()
            begun = time.process_time()
            spent.answer = ask(question)
            ms = (time.process_time() - begun) * 1e3
            if turn == 1 and spent.ms[0] <= PATIENCE_S * 1e3:
                spent.ms.clear()
            spent.ms.append(ms)
    return times


def _row(model: Network, question: Question, times: dict[str, Times]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "network": question.network,
        "kind": question.kind,
        "convolutional": model.convolutional,
        "contenders": {name: spent.tell() for name, spent in times.items()},
        "same": agree([spent.answer for name, spent in times.items() if name != "bare" and spent.answer]),
    }
    for name, (one, other) in RATIOS.items():
        if one in times and other in times:
            row[name] = times[one].median / times[other].median
    return row


RATIOS = {
    "speed": ("float32", "engine"),
    "mass_speed": ("bisection", "mass"),
    "events": ("grid", "curve"),
    "proof": ("engine", "bare"),
}
"""what is divided by what: how many times faster the engine is, twice, and the curve event by event than by
grids, and what the engine's proof costs"""


def agree(answers: Sequence[Answer]) -> bool:
    """Whether all verdicts are the same, and all bounds of the share have a number in common, nearly."""
    verdicts = {answer.holds for answer in answers if answer.holds is not None}
    slack = 1e-4  # float32 is off by as much where a margin stays close to zero for long
    low, high = max(answer.low for answer in answers), min(answer.high for answer in answers)
    return len(verdicts) <= 1 and low <= high + slack


def summary(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield one line for each bar."""
    conv = [row["speed"] for row in rows if row["convolutional"] and "speed" in row]
    dense = [row["speed"] for row in rows if not row["convolutional"] and "speed" in row]
    mass = [row["mass_speed"] for row in rows if "mass_speed" in row]
    events = [row["events"] for row in rows if "events" in row]
    proof = [row["proof"] for row in rows if "proof" in row]
    if conv:
        yield _bar("convolutional: faster than the float32 curve, median", statistics.median(conv), 3.0)
        yield _bar("convolutional: faster than the float32 curve, worst", min(conv), 0.9)
    if dense:
        yield _bar("fully connected: faster than the float32 curve, worst", min(dense), 1 / 1.2)
    if mass:
        yield _bar("robust mass to 1e-3: faster than bisection, worst", min(mass), 1.0)
        yield f"robust mass to 1e-3: faster than bisection, median: {statistics.median(mass):.2f}"
    if events:
        yield f"event by event: faster than by grids, worst: {min(events):.2f}"
        yield f"event by event: faster than by grids, median: {statistics.median(events):.2f}"
    if proof:
        yield _bar("without rounding terms: faster by at most 1.5, worst", 1 / max(proof), 1 / 1.5)


def _bar(what: str, reached: float, wanted: float) -> str:
    return f"{what}: {reached:.2f} (bar {wanted:.2f}) {'met' if reached >= wanted else 'MISSED'}"


def beside(before: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a run, and what an earlier one has of contenders and networks that it left out.

    Ratios compare times of one run: an earlier one stays where neither of its two contenders ran again.
    """
    earlier = {(row["network"], row["kind"]): row for row in before}
    now = [_with(earlier.get((row["network"], row["kind"]), {}), row) for row in rows]
    return [dict(row) for row in kept.merged(before, now, ["network", "kind"], CLASSIFIERS)]


def _with(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    ran = new["contenders"].keys()
    ratios = {name: old[name] for name, pair in RATIOS.items() if name in old and ran.isdisjoint(pair)}
    return {**ratios, **new, "contenders": old.get("contenders", {}) | new["contenders"]}


def _kept(rows: Sequence[dict[str, Any]], repeat: int) -> dict[str, Any]:
    """Return the file of results with those of this run."""
    before = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    return {"machine": machine(), "threads": 1, "repeat": repeat, "rows": beside(before, rows)}


_COLUMNS = ("float32", "curve", "grid", "forms", "engine", "bare", "mass", "bisection")
_TITLE = (
    f"{'network':24}{'path':11}{'points':>7}"
    + "".join(f"{name + ' ms':>13}" for name in _COLUMNS)
    + f"{'x faster':>9}{'mass x':>7}{'events':>7}{'proof':>6}{'proto':>6}  share"
)


def _line(row: dict[str, Any]) -> str:
    found = row["contenders"]
    cells = "".join(f"{found[name]['ms']:13.2f}" if name in found else f"{'':13}" for name in _COLUMNS)
    ratios = "".join(
        f"{row[name]:{width}.2f}" if name in row else " " * width
        for name, width in (("speed", 9), ("mass_speed", 7), ("events", 7), ("proof", 6))
    )
    points = found["float32"]["work"] if "float32" in found else 0
    best = found.get("engine") or next(iter(found.values()))
    share = f"{best['low']:.6f}..{best['high']:.6f}" + ("" if row["same"] else " CONTRADICTION")
    return f"{row['network']:24}{row['kind']:11}{points:7}{cells}{ratios}{_prototype(row)}  {share}"


def _prototype(row: dict[str, Any]) -> str:
    """Return the time of a point of the float32 curve over that of the prototype."""
    ratio = against_prototype(row)
    return f"{ratio:6.2f}" if ratio else " " * 6


def against_prototype(row: dict[str, Any]) -> float | None:
    """Return the time of a point of the float32 curve over that of the prototype, None without one."""
    curve = row["contenders"].get("float32")
    if curve is None or row["network"] not in PROTOTYPE or not row["kind"].startswith("chord"):
        return None
    points, ms = PROTOTYPE[row["network"]]
    return float(curve["ms"] / curve["work"] / (ms / points))


if __name__ == "__main__":
    raise SystemExit(main())
