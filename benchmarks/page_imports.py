"""Writes ``docs/models.md`` and ``docs/hostile.md`` from the figures under ``benchmarks/results``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.service import ROOT

RESULTS = ROOT / "benchmarks" / "results"
DOCS = ROOT / "docs"


def main() -> None:
    """Write what was measured; a page without figures is left alone."""
    imports, hostile, fuzz = (_read(name) for name in ("imports", "hostile", "fuzz"))
    if imports:
        (DOCS / "models.md").write_text(models(imports))
    if hostile or fuzz:
        parts = [HOSTILE, *([_hostile(hostile)] if hostile else []), *([_fuzz(fuzz)] if fuzz else [])]
        (DOCS / "hostile.md").write_text("\n".join(parts))


def _read(name: str) -> Mapping[str, Any] | None:
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def models(found: Mapping[str, Any]) -> str:
    """Return the page of real model files."""
    rows, wild = found["rows"], found["architectures"]
    taken = [row for row in rows if not row["refused"]]
    return f"""# Real models

Written by `python3 dev.py bench imports` from a run on {found["date"]}: {len(taken)} of {len(rows)} files of
the shared data were imported. *Difference* is the largest between the scores of the imported graph and those
of onnxruntime or torch on {found["samples"]} inputs (zeros, ones, uniform and normal numbers), absolute and
relative to the largest score, in the precision of the file; above 1e-4 a model is refused. *Job*: verdicts as
certified/falsified/undecided/skipped for brightness to +0.02 on {found["inputs"]} inputs: the first test
images, or random inputs (R) where a model has no labelled data. A network with one output certifies that it
moves by less than 1.

At least {wild["covered"]} of the {wild["known"]} architectures counted in two public collections of
verification benchmarks have only operators that are supported (`benchmarks/architectures.json`).

{found["machine"]}

{
        _table(
            ("file", "format", "operators", "parameters", "nonlinear", "difference", "methods", "job", "s"),
            (_model(row) for row in taken),
        )
    }

## Refused

{_table(("file", "why"), ((row["name"], _cell(row["refused"])) for row in rows if row["refused"]))}
"""


def _model(row: Mapping[str, Any]) -> Sequence[object]:
    kind = f"{row['format']} {row['opset']}" if row["opset"] else row["format"]
    job = f"{_cell(row['verdicts'])}{' R' if row['job'] == 'random inputs' else ''}"
    difference = f"{row['absolute']:.0e} ({row['relative']:.0e})"
    operators = ", ".join(name.removeprefix("aten::") for name in row["operators"])
    return (row["name"], kind, operators, row["parameters"], row["nonlinear"], difference,
            "; ".join(row["methods"]), job, f"{row['seconds']:.0f}")  # fmt: skip


HOSTILE = """# Hostile files

Written by `python3 dev.py bench hostile` and `python3 dev.py fuzz --keep`. How uploads are opened:
[operations](operations.md#uploads-and-the-lock-down).
"""


def _hostile(found: Mapping[str, Any]) -> str:
    rows = found["rows"]
    slowest, largest = max(row["seconds"] for row in rows), max(row["peak_mib"] for row in rows)
    shown = (
        (
            row["name"],
            _cell(row["wrong"]),
            row["kib"],
            row["answer"],
            f"{row['seconds']:.2f}",
            row["peak_mib"],
        )
        for row in rows
    )
    return f"""## Files that are refused

{len(rows)} files, {found["date"]}. Each was uploaded to a running service: the answer and the seconds until
it was there. *MiB* is the largest resident memory of the child that read it, some 170 of which it shares with
the process that it was forked from. Slowest {slowest:.2f} s, largest child {largest} MiB. Code of a file ran:
{"YES" if found["ran"] else "no"}. Service ready afterwards: {"yes" if found["ready"] else "NO"}. Processes
left behind: {found["orphans"]}.

{found["machine"]}

{_table(("file", "what is wrong", "KiB", "answer", "s", "MiB"), shown)}

"ready" is right where data are good in themselves and only a job with a model can say that they do not fit.
"""


def _fuzz(found: Mapping[str, Any]) -> str:
    kinds = (
        (kind, counts.get("accepted", 0), counts.get("rejected", 0))
        for kind, counts in found["formats"].items()
    )
    findings = (
        (row["mutant"], row["of"], row["end"], _cell(row["detail"].strip().splitlines()[-1]))
        for row in found["findings"]
    )
    return f"""## Mutants

{found["mutants"]:,} mutants of {found["seeds"]} good files (campaign {found["seed"]}, {found["date"]}), each
inspected by a locked-down child of its own: nodes, attributes, tensors, names, members, code, pickles and
JSON changed, and bytes flipped, cut and spliced. Slowest {found["slowest_s"]} s, largest child
{found["peak_mib"]} MiB. What a child does not answer by itself (crash, signal, time, memory) is answered by
its worker with `inspection-failed`, and listed here as a finding: {len(found["findings"])}.

{found["machine"]}

{_table(("answer", "mutants"), found["ends"].items())}

{_table(("mutants of", "accepted", "refused"), kinds)}

{_table(("mutant", "of", "end", "detail"), findings) if found["findings"] else ""}
"""


def _cell(text: str) -> str:
    """Return a text that does not break a table."""
    return text.replace("|", "\\\\|").replace("\n", " ").replace("<", "&lt;")[:300]


def _table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


if __name__ == "__main__":
    main()
