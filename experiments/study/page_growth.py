"""The tables and charts of ``docs/study.md`` about growing networks and generators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from experiments.page import table

Result = Mapping[str, Any]


def _growth(result: Result) -> str:
    return _sizes("depth", result["networks"])


def _generators(result: Result) -> str:
    return _sizes("doublings", result["generators"])


def _sizes(depth: str, measured: Sequence[Result]) -> str:
    titles = ["width", depth, "ReLUs", "layers L", "widest N", "pieces", "ms", "log10 of (N²)^L"]
    rows = [
        [
            f"{row['width']:,}", f"{row['depth']}", f"{row['relus']:,}", f"{row['layers']}",
            f"{row['widest']:,}", f"{row['pieces']:.0f}", f"{1000 * row['seconds']:.1f}",
            f"{row['log10_of_the_statement']:.1f}",
        ]
        for row in measured
    ]  # fmt: skip
    return table(titles, rows)


def _exponents(result: Result) -> str:
    titles = ["what grows", "depth", "exponent measured", "exponent stated"]
    named = {"networks": "width of f", "generators": "width of G"}
    rows = [
        [title, f"{row['depth']}", f"{row['exponent']:.2f}", f"{row['stated']}"]
        for name, title in named.items()
        for row in result["exponents"][name]
    ]
    return table(titles, rows)


TABLES: Mapping[str, Callable[[Result], str]] = {
    "growth": _growth,
    "growth.generators": _generators,
    "growth.exponents": _exponents,
}
