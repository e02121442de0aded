"""Many mutants through the inspection of a worker, and what became of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.fuzz.mutants import Mutant, grown, mutant
from tests.fuzz.seeds import MODEL, Seed
from tests.inspecting import ACCEPTED, Inspector, Outcome

SMALLER = 12
"""attempts to reach a finding's end with fewer steps from a smaller seed"""


@dataclass(slots=True)
class Tally:
    """What a campaign has seen.

    Attributes:
        ends: how often inspections ended in which way.
        formats: the same, by the extension of the seed.
        slowest_s: longest inspection, seconds.
        peak_bytes: largest memory of a child.
        findings: mutants whose child did not answer by itself, with how it ended.
    """

    ends: Counter[str] = field(default_factory=Counter)
    formats: Counter[tuple[str, str]] = field(default_factory=Counter)
    slowest_s: float = 0.0
    slowest: int = -1
    peak_bytes: int = 0
    findings: list[tuple[Mutant, Outcome]] = field(default_factory=list)

    def add(self, made: Mutant, outcome: Outcome) -> None:
        """Count one inspection."""
        self.ends[outcome.end] += 1
        ending = made.seed.name.rpartition(".")[2]
        self.formats[ending, ACCEPTED if outcome.end == ACCEPTED else "rejected"] += 1
        if outcome.seconds > self.slowest_s:
            self.slowest_s, self.slowest = outcome.seconds, made.number
        self.peak_bytes = max(self.peak_bytes, outcome.peak_bytes)
        if not outcome.orderly:
            self.findings.append((made, outcome))

    def figures(self) -> dict[str, Any]:
        """Return the tally as plain JSON."""
        return {
            "mutants": self.ends.total(),
            "ends": dict(self.ends.most_common()),
            "formats": {
                kind: {end: self.formats[kind, end] for end in (ACCEPTED, "rejected")}
                for kind in sorted({kind for kind, _ in self.formats})
            },
            "slowest_s": round(self.slowest_s, 2),
            "slowest": self.slowest,
            "peak_mib": self.peak_bytes >> 20,
            "findings": [
                {
                    "mutant": made.number,
                    "of": made.seed.name,
                    "end": outcome.end,
                    "detail": _last_line(outcome)[-400:],
                }
                for made, outcome in self.findings
            ],
        }


def inspected(inspector: Inspector, seed: Seed, data: bytes) -> Outcome:
    """Inspect a mutant of ``seed``, with what its uploader would have said of it."""
    if seed.kind == MODEL:
        shape = None if seed.input_shape is None else list(seed.input_shape)
        return inspector.model(data, seed.name, input_shape=shape)
    return inspector.dataset(data, seed.name)


def run(
    inspector: Inspector,
    seeds: Sequence[Seed],
    campaign: int,
    numbers: Sequence[int],
    until: float = float("inf"),
) -> Iterator[tuple[Mutant, Outcome]]:
    """Inspect mutants one by one until the moment ``until`` of the monotonic clock."""
    for number in numbers:
        if time.monotonic() > until:
            return
        made = mutant(campaign, number, seeds)
        yield made, inspected(inspector, made.seed, made.data)


def smaller(inspector: Inspector, found: Mutant, outcome: Outcome, seeds: Sequence[Seed]) -> Mutant:
    """Look for a smaller file that ends in the same way: cut, or one step away from the smallest seed."""
    best, same = found, _signature(outcome)
    ending = found.seed.name.rpartition(".")[2]
    alike = sorted((seed for seed in seeds if seed.name.endswith(ending)), key=lambda seed: len(seed.data))
    candidates = [grown(alike[0], Random(number), found.number, 1, alike[:1]) for number in range(SMALLER)]
    size = len(found.data)
    candidates += [
        Mutant(found.number, found.seed, found.data[:cut], found.steps) for cut in (size // 4, size // 2)
    ]
    for candidate in candidates:
        if len(candidate.data) < len(best.data):
            again = inspected(inspector, candidate.seed, candidate.data)
            if not again.orderly and _signature(again) == same:
                best = candidate
    return best


def _signature(outcome: Outcome) -> str:
    """Return what makes two findings the same: how it ended and the last line that is known of it."""
    return f"{outcome.end} {_last_line(outcome).partition(':')[0]}"


def _last_line(outcome: Outcome) -> str:
    """Return the error itself; the lines above it name places of one machine."""
    lines = outcome.detail.strip().splitlines() or [""]
    return lines[-1]


def distinct(findings: Sequence[tuple[Mutant, Outcome]]) -> list[tuple[Mutant, Outcome]]:
    """Return one finding, the smallest, of every kind."""
    kinds: dict[str, tuple[Mutant, Outcome]] = {}
    for made, outcome in sorted(findings, key=lambda finding: len(finding[0].data)):
        kinds.setdefault(_signature(outcome), (made, outcome))
    return list(kinds.values())
