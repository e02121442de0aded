"""Writes ``docs/benchmarks.md`` from the figures under ``benchmarks/results``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import gloro, gloro_wrap, lipschitz, page_engine, rotation, vnnlib
from benchmarks.service import ROOT

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = """# Measured

Every figure on this page was written by `python3 dev.py bench` on the machine named with it. Machines that
test are slow and shared: take ratios seriously, single times not.
"""


def main() -> None:
    """Write the page from whatever was measured."""
    PAGE.write_text(text())


def text() -> str:
    """Return the page; its pictures are written."""
    parts = [HEAD]
    for name, section in page_engine.SECTIONS.items():
        found = page_engine.read(name)
        if found is not None:
            parts.append(section(found, _table))
    sections = {
        "curve": _curve,
        "rotation": lambda found: rotation.page(found, _table),
        "latency": _latency,
        "cancel": _cancel,
        "models": _models,
        "lipschitz": lambda found: lipschitz.page(found, _table),
        "gloro": lambda found: gloro.page(found, _table),
        "gloro_wrap": lambda found: gloro_wrap.page(found, _table),
        "vnnlib": lambda found: vnnlib.page(found, _table),
    }
    for name, section in sections.items():
        file = RESULTS / f"{name}.json"
        if file.exists():
            parts.append(section(json.loads(file.read_text())))
    return "\n".join(parts)


def _curve(found: Mapping[str, Any]) -> str:
    rows = [
        [
            row["network"],
            row["points"],
            f"{row['median_ms']:.2f} ({row['fastest_ms']:.2f} to {row['slowest_ms']:.2f})",
            f"{row['median_ms'] / row['points'] * 1e3:.1f}",
            f"{row['proof']:.2f}",
            f"{row['radius']:.0e}",
            *_published(row["published"]),
        ]
        for row in found["rows"]
    ]
    titles = ["network", "points", "ms, median of 5", "µs a point", "proof", "radius",
              "points there", "SyReNN float32, µs a point", "prototype float64, µs a point"]  # fmt: skip
    return f"""## The curve engine

`python3 dev.py bench curve`: a chord between two test images of different classes, the whole exact curve of
scores with its proven radius, event by event where that suits the network, else by grids of vertices. *proof*
is the time with the radius over the time of the same loop without it. The last three columns were published
for other chords through the same networks, on another machine: points are not expected to be equal, and only
the time a point bears a comparison, a rough one: events leave out points at which no score bends.

{found["machine"]}

{_table(titles, rows)}
"""


def _published(row: Mapping[str, Any] | None) -> list[str]:
    if row is None:
        return ["", "", ""]
    each = [
        f"{row[key] / row['points'] * 1e3:.1f}" if row[key] else "" for key in ("syrenn_ms", "float64_ms")
    ]
    return [str(row["points"]), *each]


def _latency(found: Mapping[str, Any]) -> str:
    return f"""## A small job

`python3 dev.py bench latency`: one input, the shipped digits, the embedded service with a warm worker, from
POST to the verdict: median **{found["median_s"]} s**, from {found["min_s"]} to {found["max_s"]} s,
{found["jobs"]} jobs.

{found["machine"]}
"""


def _cancel(found: Mapping[str, Any]) -> str:
    return f"""## Cancelling

`python3 dev.py bench cancel`: a running job of thousands of inputs, from the request to the status
`cancelled`: median **{found["median_s"]} s**, from {found["min_s"]} to {found["max_s"]} s, {found["trials"]}
trials with the default heartbeat of a second.

{found["machine"]}
"""


def _models(found: Mapping[str, Any]) -> str:
    rows = [
        [
            row["name"],
            ", ".join(row["forms"]) or "refused",
            f"{'/'.join(map(str, row['correct']))} of {row['expected']}" if row["forms"] else "",
            row["verdicts"].get("brightness", ""),
            row["verdicts"].get("chord", ""),
            ("yes" if row["same"] else "NO") if len(row["forms"]) > 1 else "",
            row["inputs"],
            f"{row['contradictions']} of {row['samples']:,}" if row["forms"] else row["remark"],
        ]
        for row in found["rows"]
    ]
    titles = ["model", "formats", "right answers, of those expected", "brightness to +0.2", "chord",
              "formats agree", "inputs", "contradicting samples"]  # fmt: skip
    return f"""## Real models through the service

`python3 dev.py bench models`: every classifier of the shared data. Right answers of the imported graph on the
test set, beside the count that onnxruntime gives for the upload; verdicts on the first inputs as
certified/falsified/undecided/skipped; and random points of every path that was decided, run through the
network and held against verdict, certified extent and partition.

{found["machine"]}

{_table(titles, rows)}
"""


def _table(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


if __name__ == "__main__":
    main()
