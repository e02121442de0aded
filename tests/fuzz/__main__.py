"""``python3 dev.py fuzz [--count 10000] [--seed N] [--first N] [--minutes M] [--keep]``.

Mutants of small uploads, and of the real ones where the shared data are, go one by one through the inspection
of a worker: a forked child that locks itself in. Mutant number n of a seed is always the same file, so that
``--first n --count 1`` repeats one. Whatever is neither accepted nor refused by the child itself is a
finding: it is made smaller and written to ``tests/fuzz/found``; once it is mended, the file belongs into
``tests/fuzz/corpus``, which the tests replay. ``--keep`` adds the figures to those of the manual.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.latency import machine
from tests.fuzz.campaign import Tally, distinct, run, smaller
from tests.fuzz.corpus import FOUND
from tests.fuzz.seeds import Seed, own, real
from tests.inspecting import Inspector

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "fuzz.json"
LIMIT_S = 20.0
EVERY = 500


def main() -> int:
    """Run a campaign and return 1 when it found something."""
    arguments = _parse()
    shared = Path(os.environ.get("GLOCERT_SHARED_DATA", ROOT.parent / "shared" / "data"))
    seeds = own() if arguments.own or not shared.is_dir() else (*own(), *real(shared))
    until = time.monotonic() + 60 * arguments.minutes if arguments.minutes else float("inf")
    numbers = range(arguments.first, arguments.first + arguments.count)
    tally = Tally()
    with Inspector(inspection_s=LIMIT_S) as inspector:
        for made, outcome in run(inspector, seeds, arguments.seed, numbers, until):
            tally.add(made, outcome)
            if not outcome.orderly:
                _say(f"{made.number} of {made.seed.name}: {outcome.end}: {outcome.detail[-300:]}")
            if tally.ends.total() % EVERY == 0:
                _say(f"{tally.ends.total()} mutants: {dict(tally.ends.most_common(4))}")
        _save_findings(inspector, tally, seeds)
    _show(tally)
    if arguments.keep:
        _keep(tally, arguments.seed, len(seeds))
    return 1 if tally.findings else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dev.py fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="mutants")
    parser.add_argument("--seed", type=int, default=1, help="number of the campaign")
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after so long")
    parser.add_argument("--own", action="store_true", help="leave out the real models")
    parser.add_argument("--keep", action="store_true", help="add the figures to benchmarks/results")
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _save_findings(inspector: Inspector, tally: Tally, seeds: tuple[Seed, ...]) -> None:
    for made, outcome in distinct(tally.findings):
        least = smaller(inspector, made, outcome, seeds)
        FOUND.mkdir(exist_ok=True)
        digest = hashlib.sha256(least.data).hexdigest()[:8]
        path = FOUND / f"{outcome.end}-{digest}-{least.seed.name}"
        path.write_bytes(least.data)
        _say(f"kept {path.relative_to(ROOT)} ({len(least.data)} bytes)")


def _show(tally: Tally) -> None:
    figures = tally.figures()
    _say(f"{figures['mutants']} mutants")
    for end, count in figures["ends"].items():
        _say(f"  {end:24} {count:6}")
    for kind, counts in figures["formats"].items():
        _say(f"  of {kind:8} {counts}")
    _say(f"slowest {figures['slowest_s']} s, mutant {figures['slowest']}")
    _say(f"largest child {figures['peak_mib']} MiB")
    _say(f"{len(tally.findings)} findings")


def _keep(tally: Tally, seed: int, seeds: int) -> None:
    """Add the figures to those of other pieces of the same campaign."""
    figures, before = tally.figures(), {}
    if RESULTS.exists():
        before = json.loads(RESULTS.read_text())
        before = before if before.get("seed") == seed else {}
    RESULTS.write_text(json.dumps(_joined(before, figures) | {
        "machine": machine(), "seed": seed, "seeds": seeds, "date": time.strftime("%Y-%m-%d"),
    }, indent=1) + "\n")  # fmt: skip


def _joined(before: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    if not before:
        return new
    kinds = sorted({*before["formats"], *new["formats"]})
    slowest = max(before, new, key=lambda figures: figures["slowest_s"])
    return {
        "mutants": before["mutants"] + new["mutants"],
        "ends": dict((Counter(before["ends"]) + Counter(new["ends"])).most_common()),
        "formats": {
            kind: dict(Counter(before["formats"].get(kind, {})) + Counter(new["formats"].get(kind, {})))
            for kind in kinds
        },
        "slowest_s": slowest["slowest_s"],
        "slowest": slowest["slowest"],
        "peak_mib": max(before["peak_mib"], new["peak_mib"]),
        "findings": before["findings"] + new["findings"],
    }


if __name__ == "__main__":
    sys.exit(main())
