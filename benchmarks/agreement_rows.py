"""What a campaign has found about each network, input by input, so that another session goes on from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import kept
from benchmarks.questions import CLASSIFIERS

Row = dict[str, Any]
Line = Mapping[str, Any]

_COUNTS = ("paths", "certified", "falsified", "undecided", "weaker", "samples", "contradictions")
_GAPS = ("share_gap", "extent_gap")


def summary(model: str, lines: Sequence[Line], first: int, mutations: Sequence[str]) -> Row:
    """Return one row of the table: about all inputs from the first one on that have every mutation.

    Args:
        model: its name.
        lines: of all models.
        first: position of the first input.
        mutations: what each input has to have.
    """
    mine = [line for line in lines if line["model"] == model]
    seen = {(line["mutation"], line["item"]) for line in mine}
    stop = first
    while all((mutation, stop) in seen for mutation in mutations):
        stop += 1
    mine = [line for line in mine if first <= line["item"] < stop and "engine" in line]
    verdicts = Counter(line["engine"]["verdict"] for line in mine)
    masses = [line["engine"]["mass"] for line in mine]
    return {
        "model": model,
        "inputs": [first, stop],
        "paths": len(mine),
        "certified": verdicts["certified"],
        "falsified": verdicts["falsified"],
        "undecided": verdicts["undecided"],
        "weaker": sum(bool(line["weaker"]) for line in mine),
        "share_gap": max((high - low for low, high in masses), default=0.0),
        "extent_gap": max((line["curve"]["to"] - line["engine"]["to"] for line in mine), default=0.0),
        "samples": sum(line["samples"] for line in mine),
        "contradictions": sum(len(line["contradictions"]) for line in mine),
    }


def keep(file: Path, rows: Sequence[Row]) -> None:
    """Write the rows beside those of other models.

    A row goes on from an earlier one of as many samples a path whose inputs end where its own begin. It
    replaces one otherwise if it has as many samples, or a contradiction.
    """
    before = {row["model"]: dict(row) for row in kept.rows(file)}
    now = []
    for row in rows:
        earlier = before.get(row["model"])
        if earlier is not None and _goes_on(earlier, row):
            now.append(_joined(earlier, row))
        elif row["contradictions"] or earlier is None or row["samples"] >= earlier["samples"]:
            now.append(row)
    kept.write(file, {"rows": kept.merged(before.values(), now, ["model"], CLASSIFIERS)})


def _goes_on(earlier: Row, row: Row) -> bool:
    return bool(earlier["inputs"][1] == row["inputs"][0] and earlier["points"] == row["points"])


def _joined(earlier: Row, row: Row) -> Row:
    counts = {name: earlier[name] + row[name] for name in _COUNTS}
    gaps = {name: max(earlier[name], row[name]) for name in _GAPS}
    return {**row, **counts, **gaps, "inputs": [earlier["inputs"][0], row["inputs"][1]]}
