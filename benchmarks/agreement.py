"""The engine against the plain curve, dense samples and an attack: ``python -m benchmarks.agreement``.

Every piecewise linear classifier of the shared data, the same inputs, six mutations of each. Of every path:
verdict, extent and robust mass of the engine against those of the plain curve, which follows the whole path
exactly by grids of vertices, where the engine goes event by event through most of these networks; a hundred
thousand samples of each decided path; an attack below the certified extent. One line of JSON for each path,
so that a campaign goes on where it was stopped, and ``--seconds`` stops it. Results are about the inputs that
have every mutation; another campaign goes on from them with ``--first``, see ``agreement_rows``.
``--plant 0.001`` makes the engine's safe sets too wide by so much, to see that it is found.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path as File
from typing import Any

import torch

from benchmarks import agreement_checks as checks
from benchmarks import kept, samples
from benchmarks.agreement_rows import keep, summary
from benchmarks.curve import machine
from benchmarks.questions import CLASSIFIERS, SHARED, Network, Question, mutated, network, whole
from benchmarks.service import ROOT
from glocert import engine, segments
from glocert.errors import InvalidSpec
from glocert.report import SegmentReport
from glocert.spec import Mutation, Verdict

RESULTS = ROOT / "benchmarks" / "results"
LINES = ROOT / ".glocert" / "agreement.jsonl"
MUTATIONS = ("brightness", "contrast", "fog", "haze", "noise", "chord")
GAP = 1e-3


def main() -> int:
    """Run what is missing, print a table, keep it; 1 where anything contradicts an answer."""
    options = _options()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    if options.shard is not None:
        _campaign(options)
        return 0
    _children(options)
    lines = [line for line in _lines(options.out) if line["model"] in options.models]
    rows = [summary(model, lines, options.first, options.mutations) for model in options.models]
    print(_TITLE)
    for row in rows:
        print(_line(row))
    for line in lines:
        for said in line["contradictions"]:
            print(f"CONTRADICTION {line['model']} {line['mutation']} {line['item']}: {said}")
    total = sum(row["contradictions"] for row in rows)
    print(f"{sum(row['paths'] for row in rows)} paths, {sum(row['samples'] for row in rows)} samples, "
          f"{total} contradictions")  # fmt: skip
    if not options.plant:
        here = {"points": options.points, "machine": machine()}
        keep(RESULTS / "agreement.json", [{**row, **here} for row in rows if row["paths"]])
    return 1 if total else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", default=list(CLASSIFIERS), help="names in the manifest")
    parser.add_argument("--mutations", nargs="*", default=list(MUTATIONS), choices=MUTATIONS)
    parser.add_argument("--inputs", type=int, default=50, help="items of each test set")
    parser.add_argument(
        "--first", type=int, default=0, help="the first of them: earlier ones are in the results"
    )
    parser.add_argument("--points", type=int, default=100_000, help="samples of each decided path")
    parser.add_argument("--together", type=int, default=1, help="paths that the engine gets at once")
    parser.add_argument("--processes", type=int, default=2, help="one thread each")
    parser.add_argument("--seconds", type=float, help="begin no path after so many")
    parser.add_argument("--data", type=File, default=SHARED, help="folder with manifest.json and models")
    parser.add_argument("--out", type=File, default=LINES, help="one line for each path; what is there stays")
    parser.add_argument("--plant", type=float, default=0.0, help="make the engine wrong by so much")
    parser.add_argument("--shard", type=int, help="for the children: which of the processes this is")
    return parser.parse_args()


def _children(options: argparse.Namespace) -> None:
    """Run the campaign in processes of one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.agreement", *sys.argv[1:]]
    running = [
        subprocess.Popen([*command, "--shard", str(shard)], cwd=ROOT, env=environment)
        for shard in range(options.processes)
    ]
    codes = [child.wait() for child in running]
    if any(codes):
        raise SystemExit(f"a process of the campaign ended with {codes}")


def _campaign(options: argparse.Namespace) -> None:
    """Do this process's share of what is missing."""
    torch.set_num_threads(1)
    done = {(line["model"], line["mutation"], line["item"]) for line in _lines(options.out)}
    watch = kept.Watch(options.seconds)
    for model in options.models:
        wanted = [
            (mutation, item)
            for item in range(options.first + options.shard, options.inputs, options.processes)
            for mutation in options.mutations
            if (model, mutation, item) not in done
        ]
        if wanted and not watch.over:
            for line in _examined(network(model, options.data), wanted, options):
                _append(options.out, line)
                if watch.over:
                    break


def _append(file: File, line: dict[str, Any]) -> None:
    """Write a line in one call, so that two processes never mix."""
    with file.open("ab", buffering=0) as stream:
        stream.write((json.dumps(line) + "\n").encode())


def _lines(file: File) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _examined(
    model: Network, wanted: Sequence[tuple[str, int]], options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Yield a line for every path of one network."""
    graph = whole(model)
    programs = engine.prepare(graph), segments.prepare(graph)
    for first in range(0, len(wanted), options.together):
        asked: dict[tuple[str, int], Question] = {}
        for name, item in wanted[first : first + options.together]:
            try:
                asked[name, item] = mutated(model, mutation(model, name, item), item, graph)
            except InvalidSpec as unfit:
                key = {"model": model.name, "mutation": name, "item": item}
                yield key | {"skipped": str(unfit), "contradictions": []}
        answers = ask(programs[0], list(asked.values()))
        for ((name, item), question), answer in zip(asked.items(), answers, strict=True):
            begun = time.monotonic()
            said = checks.widened(answer, options.plant) if options.plant else answer
            line = examine(question, said, programs[1], options.points)
            key = {"model": model.name, "mutation": name, "item": item}
            yield key | line | {"seconds": round(time.monotonic() - begun, 3)}


def ask(program: engine.Program, asked: Sequence[Question]) -> list[SegmentReport]:
    """Return the engine's answers, all together where there are several."""
    if len(asked) == 1:
        return [engine.certify(program, asked[0].segment, asked[0].label, gap=GAP)]
    questions = [engine.Question(question.segment, question.label, gap=GAP) for question in asked]
    answers = {answer.position: answer.report for answer in engine.certify_many(program, questions)}
    return [answers[at] for at in range(len(asked))]


def mutation(model: Network, name: str, item: int) -> Mutation:
    """Return the mutation of one item: its strength is the same for all."""
    strengths = {"brightness": (0.0, 0.2), "contrast": (1.0, 0.4), "fog": (0.0, 0.4), "haze": (0.0, 0.4),
                 "noise": (0.0, 0.15), "chord": (0.0, 1.0)}  # fmt: skip
    options: dict[str, Any] = {}
    if name in {"fog", "haze", "noise"}:
        options["seed"] = item
    if name == "chord":
        count = len(model.labels)
        others = (at % count for at in range(item + 1, item + count + 1))
        options["item"] = next((at for at in others if model.labels[at] != model.labels[item]), item + 1)
    return Mutation(name, *strengths[name], options)


def examine(
    question: Question, answer: SegmentReport, program: segments.Program, points: int
) -> dict[str, Any]:
    """Hold everything against the engine's answer about one path."""
    known = checks.truth(program, question)
    found = list(checks.contradicted(answer, known))
    count = 0
    if answer.verdict is not Verdict.UNDECIDED:
        path = samples.Path.of(question)
        t = samples.stratified(points, zlib.crc32(question.segment.stop.tobytes()))
        seen = path.margins(t)
        found += [*checks.refuted(answer, path, t, seen), *checks.attacked(answer, path, t, seen)]
        count = points
    return {
        "label": question.label,
        "engine": _told(answer),
        "curve": _told(known.report),
        "weaker": list(checks.weaker(answer, known)),
        "samples": count,
        "contradictions": found,
    }


def _told(report: SegmentReport) -> dict[str, Any]:
    mass = report.robust_mass
    return {"verdict": report.verdict.value, "mass": [mass.lower, mass.upper], "to": report.certified_to,
            "pieces": report.pieces}  # fmt: skip


_COLUMNS = ("paths", "certified", "falsified", "undecided", "weaker", "samples", "contradictions")
_TITLE = f"{'model':26}" + "".join(f"{name:>15}" for name in (*_COLUMNS, "share gap", "extent gap"))


def _line(row: dict[str, Any]) -> str:
    counts = "".join(f"{row[name]:15,}" for name in _COLUMNS)
    return f"{row['model']:26}{counts}{row['share_gap']:15.1e}{row['extent_gap']:15.1e}"


if __name__ == "__main__":
    sys.exit(main())
