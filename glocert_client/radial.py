"""The table of a Lipschitz certification: a row per distance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.markup import escape

from glocert_client.job import Job

RADIAL = "lipschitz-certification"
RADIAL_TITLES = (
    "within", "epsilon", "inputs", "clean acc.", "VRA", "rejected", "wrong", "median radius", "bound",
    "ms/input", "decision",
)  # fmt: skip


def radial_cells(job: Job) -> Iterator[list[str]]:
    """Yield the cells of a job, a row per epsilon; one row of dashes where it has no answer."""
    summary = job.summary or {}
    title = escape(job.title)
    if not summary:
        yield [title, *["-"] * (len(RADIAL_TITLES) - 2)]
    for epsilon in summary.get("rejection_rate", {}):
        yield [
            title,
            epsilon,
            str(summary["inputs"]),
            _share(summary["clean_accuracy"]),
            _share((summary["vra"] or {}).get(epsilon)),
            _share(summary["rejection_rate"][epsilon]),
            _share(summary["certified_but_wrong"][epsilon]),
            _number(summary["radius_quantiles"]["0.5"]),
            _number(summary["bound"]["scores"]),
            _number(summary["milliseconds_per_input"]),
        ]


def _share(value: Any) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}"
