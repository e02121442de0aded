"""Write the tables of ``docs/study.md`` from the results of the study: ``python -m experiments.study.page``.

Each table stands between ``<!-- NAME -->`` and ``<!-- end -->`` and is made from ``experiments/logs`` alone.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from experiments.page import table
from experiments.study import growth, page_faces, page_families, page_growth, page_turning
from experiments.study.logs import LOGS

PAGE = Path(__file__).parents[2] / "docs" / "study.md"
Result = Mapping[str, Any]


def main() -> int:
    """Replace every table whose results exist, draw the charts; return 0."""
    PAGE.write_text(filled(PAGE.read_text()))
    for name, chart in growth.charts(json.loads((LOGS / "study-growth.json").read_text())).items():
        (PAGE.parent / "images" / f"{name}.svg").write_text(chart)
    return 0


def filled(text: str) -> str:
    """Return a text with the tables of the results that exist."""
    for name, make in TABLES.items():
        path = LOGS / f"study-{name.partition('.')[0]}.json"
        if path.exists():
            result = json.loads(path.read_text())
            made = f"{make(result)}\n\n*{result['machine']}, {result['date']}*"
            block = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
            text = block.sub(lambda match, made=made: f"{match[1]}{made}\n{match[2]}", text)
    return text


def _ablation(result: Result) -> str:
    titles = [*_CONTINUITY, "moved: centre goes forward", "area changes by", "jump index", "straightness",
              "stretched: size goes forward", "aspect changes by"]  # fmt: skip
    rows = []
    for row in result["rows"]:
        moved, grown = row["translation"], row["scaling"]
        rows.append([
            *_continuity(row), _percent(moved["forward"]), _percent(moved["area"]),
            f"{moved['jump_index']:.2f}", f"{moved['straightness']:.2f}", _percent(grown["forward"]),
            _percent(grown["aspect"]),
        ])  # fmt: skip
    return table(titles, rows)


def _turned(result: Result) -> str:
    titles = [*_CONTINUITY, "turned: angle goes forward", "area changes by", "aspect changes by",
              "jump index", "straightness"]  # fmt: skip
    rows = []
    for row in result["turned"]:
        turned = row["rotation"]
        rows.append([
            *_continuity(row), _percent(turned["forward"]), _percent(turned["area"]),
            _percent(turned["aspect"]), f"{turned['jump_index']:.2f}", f"{turned['straightness']:.2f}",
        ])  # fmt: skip
    return table(titles, rows)


_CONTINUITY = ("terms", "PSNR, dB", "q99/q50", "q50/q1", "bending", "smallest singular value", "largest")


def _continuity(row: Result) -> list[str]:
    values, codes = row["singular_values"], "" if row["codes"] == "scaled" else ", whitened codes"
    return [
        f"{row['terms']}{codes}", f"{row['psnr']:.1f}", f"{row['upper']:.2f}", f"{row['lower']:.2f}",
        f"{row['residual']:.3f}", f"{values['smallest']:.2f}", f"{values['largest']:.1f}",
    ]  # fmt: skip


def _geometric(result: Result) -> str:
    names = list(result["rows"][0]["mutations"])
    titles = ["network", "ReLUs", "accuracy", *(f"{name}: certified" for name in names), "mean robust mass",
              "largest gap"]  # fmt: skip
    rows = []
    for row in result["rows"]:
        found = [row["mutations"][name] for name in names]
        shares = [f"{one['certified']}/{one['paths']}" for one in found]
        lower, upper = (sum(one[side] for one in found) / len(found) for side in ("lower", "upper"))
        gap = max(one["upper"] - one["lower"] for one in found)
        rows.append([
            row["network"], f"{row['relus']:,}", _percent(row["accuracy"]), *shares,
            f"{lower:.4f} to {upper:.4f}", f"{gap:.1e}",
        ])  # fmt: skip
    return table(titles, rows)


def _merging(result: Result) -> str:
    titles = ["network", "method", "mean gap U - L", "largest gap", "ms per path"]
    rows = [
        [
            row["network"], row["method"], f"{row['gap']:.1e}", f"{row['largest_gap']:.1e}",
            f"{1000 * row['seconds']:.0f}",
        ]
        for row in result["merging"]
    ]  # fmt: skip
    return table(titles, rows)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


TABLES: Mapping[str, Callable[[Result], str]] = {
    "ablation": _ablation,
    "ablation.turned": _turned,
    "geometric": _geometric,
    "cost.merging": _merging,
    **page_faces.TABLES,
    **page_families.TABLES,
    **page_growth.TABLES,
    **page_turning.TABLES,
}
"""Name of a block in the page -> the table; the part before a dot is that of the results."""

if __name__ == "__main__":
    sys.exit(main())
