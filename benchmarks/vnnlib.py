"""VNN-LIB properties on which the tools of the competition agree: what is found, how soon, with which boxes.

``python3 dev.py bench vnnlib [NAME ...] [--timeout S]``: every property of the shared data, or those whose
file name contains one of the names; one after the other, one thread, processor seconds. Every answer is kept
at once, beside those of earlier runs; ``--missing`` asks only what the file does not have, ``--seconds`` ends
a run. It fails where an answer contradicts the one agreed on, or where a property with at most eight inputs
that vary stays open.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import kept
from benchmarks.curve import machine
from benchmarks.service import ROOT
from glocert.budget import Budget
from glocert.vnnlib import Network, decide, read_property

SHARED = Path(os.environ.get("GLOCERT_SHARED_DATA", ROOT.parent / "shared" / "data"))
RESULTS = ROOT / "benchmarks" / "results" / "vnnlib.json"
FEW = 8
"""inputs that vary: up to so many, an answer is demanded"""


def main(arguments: Sequence[str]) -> int:
    """Answer the properties and keep the figures."""
    parser = argparse.ArgumentParser(prog="dev.py bench vnnlib")
    parser.add_argument("names", nargs="*", help="parts of file names")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for each property")
    parser.add_argument("--missing", action="store_true", help="leave out what the file has")
    parser.add_argument("--seconds", type=float, help="begin nothing after so many")
    parser.add_argument("--out", type=Path, default=RESULTS, help="file of results")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    cases = json.loads((SHARED / "manifest.json").read_text())["vnnlib"]
    chosen = [case for case in cases if _is_chosen(case["vnnlib"], options.names)]
    done = {row["property"] for row in kept.rows(options.out)} if options.missing else set()
    rows, watch, where = [], kept.Watch(options.seconds), machine()
    for case in chosen:
        if watch.over:
            break
        if _name(case) not in done:
            rows.append({**_row(case, options.timeout), "timeout": options.timeout, "machine": where})
            both = kept.merged(kept.rows(options.out), rows, ["property"], [_name(one) for one in cases])
            kept.write(options.out, {"rows": both})
    return 1 if any(_fails(row) for row in rows) else 0


def _name(case: Mapping[str, Any]) -> str:
    return Path(case["vnnlib"]).name.partition(".vnnlib")[0]


def _is_chosen(file: str, names: Sequence[str]) -> bool:
    return not names or any(name in file for name in names)


def _row(case: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
    began = time.process_time()
    network = Network.read((SHARED / "models" / f"{case['model']}.onnx").read_bytes())
    question = read_property((SHARED / case["vnnlib"]).read_bytes())
    answer = decide(network, question, Budget.seconds(timeout_s))
    row = {
        "property": _name(case),
        "vary": max(
            (sum(a < b for a, b in zip(r.lower, r.upper, strict=True)) for r in question.regions), default=0
        ),
        "expected": case["expected"],
        "tools": case["tools_agreeing"],
        "found": answer.result.value,
        "reason": answer.reason,
        "boxes": answer.boxes,
        "seconds": time.process_time() - began,
    }
    print(f"{row['property'][:52]:52} {row['expected']:6} {row['found']:8} {row['boxes']:6} boxes "
          f"{row['seconds']:7.1f} s  {row['reason']}", flush=True)  # fmt: skip
    return row


def _fails(row: Mapping[str, Any]) -> bool:
    contradicts = row["found"] in ("sat", "unsat") and row["found"] != row["expected"]
    return contradicts or (row["vary"] <= FEW and row["found"] != row["expected"])


def page(found: Mapping[str, Any], table: Any) -> str:
    """Return the section of ``docs/benchmarks.md``."""
    titles = ["property", "inputs that vary", "agreed on", "tools", "found", "boxes", "seconds"]
    rows = [
        [row[key] for key in ("property", "vary", "expected", "tools", "found", "boxes")]
        + [f"{row['seconds']:.1f}"]
        for row in found["rows"]
    ]
    return f"""## VNN-LIB properties

`python3 dev.py bench vnnlib`: properties of the verification competition, with the answer on which all its
tools that answered agree, and how many those are. Processor seconds of one thread, from the files to the
answer.

{kept.machines(found)}

{table(titles, rows)}
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
