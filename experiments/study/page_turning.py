"""The tables of latent rotation beside true rotation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from experiments.page import table

Result = Mapping[str, Any]


def _followed(result: Result) -> str:
    titles = ["rotation", "digits", "angle goes forward all the way", "back by at most 0.5° a step",
              "smallest rectangle alone, 0.5°", "turned, median", "from the true angle",
              "dB, start, middle, end"]  # fmt: skip
    ways = result["ways"]
    rows = [_row("true", ways["straight"], "true")]
    rows += [_row(f"latent, {title}", ways[name], "latent") for name, title in WAYS.items()]
    return table(titles, rows)


WAYS = {"straight": "ways straight", "free": "ways free"}
"""Weight of the ways -> title."""


def _row(title: str, way: Result, name: str) -> list[str]:
    forward, steps = way["forward"][name], way["psnr_by_step"]
    shown = " / ".join(f"{steps[at]:.1f}" for at in (0, len(steps) // 2, -1))
    return [
        title, f"{way['digits']}", _percent(forward["0"]), _percent(forward["0.5"]),
        _percent(way["forward_smallest"][name]["0.5"]), f"{way['turned'][name]:.1f}°",
        "" if name == "true" else f"{way['apart_degrees']:.1f}°", "" if name == "true" else shown,
    ]  # fmt: skip


def _verdicts(result: Result) -> str:
    titles = ["rotation", "paths", "certified", "falsified", "undecided", "mean robust mass", "ms per path"]
    found = result["verdicts"]
    rows = [
        [
            name, *(f"{found[name][part]}" for part in ("paths", "certified", "falsified", "undecided")),
            f"{found[name]['lower']:.4f} to {found[name]['upper']:.4f}",
            f"{1000 * found[name]['seconds']:.0f}",
        ]
        for name in ("true", "latent")
    ]  # fmt: skip
    both = ", ".join(f"{pair.replace('/', ' and ')} {count}" for pair, count in sorted(found["both"].items()))
    apart, gap = found["mass_apart"], found["largest_gap"]
    return (
        f"{table(titles, rows)}\n\nTrue and latent, digit by digit: {both}. The robust masses of a digit "
        f"differ by {apart:.4f} on the average; the largest gap is {gap:.1e}."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


TABLES: Mapping[str, Callable[[Result], str]] = {"turning": _followed, "turning.verdicts": _verdicts}
"""Name of a block in the page -> the table."""
