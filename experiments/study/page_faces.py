"""The tables of ``docs/study.md`` about faces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from experiments.page import table
from experiments.study.comparing import KINDS

Result = Mapping[str, Any]


def _recognition(result: Result) -> str:
    titles = ["attribute", "lower", "upper", "same person, lower", "two people, lower", "published, lower",
              "upper", "paths", "certified whole", "largest gap", "leakage", "jump index", "ms per path",
              "pieces"]  # fmt: skip
    rows = []
    for row in result["rows"]:
        published = row["published"] or (None, None)
        rows.append([
            row["attribute"],
            f"{100 * row['lower']:.2f}", f"{100 * row['upper']:.2f}",
            *(f"{100 * row[kind]['lower']:.2f}" if kind in row else "" for kind in KINDS),
            *("" if one is None else f"{one}" for one in published), f"{row['paths']}", f"{row['certified']}",
            f"{row['largest_gap']:.1e}", _number(row["leakage"], ".2f"), f"{row['jump_index']:.2f}",
            f"{1000 * row['seconds']:.0f}", f"{row['pieces']:.0f}",
        ])  # fmt: skip
    return table(titles, rows)


def _independency(result: Result) -> str:
    titles = ["generator", "held out, dB", "attribute", "cosine of the pairs", "retained",
              *(f"{way}: {what}" for way in WAYS.values() for what in ("made", "leakage"))]  # fmt: skip
    psnr = {one["generator"]: one["psnr"] for one in result["generators"]}
    grouped: dict[tuple[str, str], dict[str, Result]] = {}
    for row in result["independency"]:
        grouped.setdefault((row["generator"], row["attribute"]), {})[row["way"]] = row
    rows = []
    for (name, attribute), ways in grouped.items():
        pairs = ways["pairs"]
        cells = [
            cell
            for way in WAYS
            for cell in (
                _number(ways.get(way, {}).get("explained"), ".2f"),
                _number(ways.get(way, {}).get("leakage"), ".3f"),
            )
        ]
        retained = _number(pairs["retention"], ".2f")
        rows.append([name, f"{psnr[name]:.1f}", attribute, f"{pairs['cosine']:.2f}", retained, *cells])
    return table(titles, rows)


WAYS = {"pairs": "mean of pairs", "projected": "projected", "matched": "matched", "own": "own chord"}
"""Ways to a direction in the results -> as the page calls them."""


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


TABLES: Mapping[str, Callable[[Result], str]] = {
    "recognition": _recognition,
    "recognition.independency": _independency,
}
