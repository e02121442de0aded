"""Write the results of the experiments into ``docs/methods``: ``python -m experiments.page``.

Each table stands between ``<!-- NAME -->`` and ``<!-- end -->`` and is made from ``experiments/logs`` alone.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.attack_certificates import met

LOGS = Path(__file__).parent / "logs"
METHODS = Path(__file__).parents[1] / "docs" / "methods"
Result = Mapping[str, Any]


def main() -> int:
    """Replace every table whose results exist; return 0."""
    for page, tables in PAGES.items():
        text = (METHODS / page).read_text()
        for name, make in tables.items():
            made = make()
            if made:
                block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
                text = block.sub(lambda match, made=made: f"{match[1]}{made}\n{match[2]}", text)
        (METHODS / page).write_text(text)
    return 0


def _read(pattern: str) -> list[Result]:
    return [json.loads(path.read_text()) for path in sorted(LOGS.glob(pattern))]


def _finetune() -> str:
    titles = ["network", "trained for ε", "accuracy", "median certified radius", "VRA(ε)", "seconds"]
    rows = []
    for found in _read("finetune-*.json"):
        before, after, epsilon = found["before"], found["after"], str(found["recipe"]["epsilon"])
        medians = [one["radius_quantiles"]["0.5"] for one in (before, after)]
        rows.append([
            found["network"],
            epsilon,
            f"{before['clean_accuracy']:.1%} → {after['clean_accuracy']:.1%}",
            f"{medians[0]:.4f} → {medians[1]:.4f} ({found['median_ratio']:.1f} times)",
            f"{before['real']['vra'][epsilon]:.1%} → {after['real']['vra'][epsilon]:.1%}",
            f"{found['seconds']:.0f}",
        ])  # fmt: skip
    return table(titles, rows)


def _mnist() -> str:
    titles = ["ε", "network", "clean", "VRA, real", "VRA, float32", "rejected", "certified but wrong",
              "seconds", "published VRA, 60,000 images"]  # fmt: skip
    rows = []
    for found in _read("mnist-[0-9]*.json"):
        epsilon = str(found["recipe"]["epsilon"])
        real = found["real"]
        rows.append([
            epsilon,
            found["architecture"].upper(),
            f"{found['clean_accuracy']:.1%}",
            f"**{real['vra'][epsilon]:.1%}**",
            f"{found['float32']['vra'][epsilon]:.1%}",
            f"{real['rejection_rate'][epsilon]:.1%}",
            f"{real['certified_but_wrong'][epsilon]:.1%}",
            f"{found['seconds']:.0f} ({found['threads']} threads)",
            f"{found['published_vra']:.1%}",
        ])  # fmt: skip
    return table(titles, rows)


def _attacks() -> str:
    found = next(iter(_read("attacks.json")), None)
    if found is None:
        return ""
    effort, done = found["effort"], [(row, met(row)) for row in found["rows"] if met(row)]
    titles = ["network and radii", "points", "median radius", "flips", "seconds"]
    rows = [
        [
            row["network"], f"{points:,}", f"{row['median_radius']:.4f}",
            f"{sum(row['flips'].values())}", f"{row['seconds']:.0f}",
        ]
        for row, points in done
    ]  # fmt: skip
    planted = found["planted"]
    seen = ", ".join(f"{name} {count}" for name, count in planted["found"].items() if "torch" not in name)
    flips = sum(sum(row["flips"].values()) for row, _ in done)
    return (
        f"Last run: **{flips} flips of {sum(points for _, points in done):,} certified points**, with "
        f"{effort['steps']} steps, {effort['restarts']} restarts, {effort['rivals']} rivals each, "
        f"{effort['trials']} trials of the rounding search per rival, {effort['queries']:,} random windows; "
        f"`+backward`: radii of backward bounds.\n\n{table(titles, rows)}\n\n"
        f"Of {planted['points']} radii, claimed {planted['factor']} times too large, found by: {seen}."
    )


def _autoencoder() -> str:
    found = next(iter(_read("mnist-autoencoder.json")), None)
    if found is None:
        return ""
    titles = ["continuity", "PSNR", "SSIM", "label kept", "q99/q50", "q50/q1", "bending",
              "singular values", "seconds"]  # fmt: skip
    rows = []
    for name, title in (("continuous", "with"), ("free", "without")):
        one = found["runs"][name]
        made, gain = one["reconstruction"], one["continuity"]
        values = gain["singular_values"]
        rows.append([
            title, f"{made['psnr_db']['mean']:.1f} dB", f"{made['ssim']:.3f}", f"{one['label_kept']:.1%}",
            f"{gain['upper']:.3f}", f"{gain['lower']:.3f}", f"{gain['residual']:.3f}",
            f"{values['smallest']:.2f} to {values['largest']:.2f}", f"{one['seconds']:.0f}",
        ])  # fmt: skip
    upper, lower = (found["narrower"][side] for side in ("upper", "lower"))
    return (
        f"{table(titles, rows)}\n\nWhat q99/q50 and q50/q1 are above 1 is {upper['beyond_one']:.2f} and "
        f"{lower['beyond_one']:.2f} times smaller with the terms than without, their logarithms "
        f"{upper['logarithm']:.2f} and {lower['logarithm']:.2f} times.\n\n*{found['machine']}, "
        f"{found['threads']} thread{'s' * (found['threads'] > 1)}, {found['date']}*"
    )


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; nothing where there are no rows."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) if rows else ""


PAGES: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "gloro.md": {"finetune": _finetune, "mnist": _mnist, "attacks": _attacks},
    "generators.md": {"mnist": _autoencoder},
}
"""Page -> name of a block in it -> the table."""

if __name__ == "__main__":
    sys.exit(main())
