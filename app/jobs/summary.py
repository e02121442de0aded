"""The numbers over all inputs of a job."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from glocert.spec import Verdict

NOT_REPRESENTABLE = "not-representable"
"""reason of rows whose input the generator does not make"""


def summarise(
    rows: Sequence[dict[str, Any]], clean_accuracy: float | None, arithmetic: str
) -> dict[str, Any]:
    """Return the summary of a job from its rows.

    Args:
        rows: ``InputReport.to_json()`` of every input.
        clean_accuracy: share of right answers on the unchanged inputs, where there are labels.
        arithmetic: what the verdicts are theorems about.
    """
    counts = Counter(row["verdict"] for row in rows)
    return {
        "inputs": len(rows),
        **{verdict.value: counts[verdict.value] for verdict in Verdict},
        "clean_accuracy": clean_accuracy,
        "certified_rate": counts[Verdict.CERTIFIED.value] / len(rows) if rows else 0.0,
        "robust_mass": _mean_mass([row for row in rows if row["verdict"] != Verdict.SKIPPED.value]),
        "seconds": math.fsum(row["seconds"] for row in rows),
        "arithmetic": arithmetic,
    }


def warnings_of_paths(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return what is to be said of a job whose paths through a generator are not what they may seem."""
    about = [row["latent"] for row in rows if "latent" in row]
    left_out = sum(row.get("reason") == NOT_REPRESENTABLE for row in rows)
    warned = sum(any(one.get("warnings") for one in row.get("directions") or [row]) for row in about)
    said = []
    if left_out:
        said.append(f"The generator does not make {left_out} of {len(rows)} inputs: they are skipped.")
    if warned:
        said.append(
            f"{warned} of {len(rows)} paths jump, stand still, leak or leave the prior: see "
            "latent.warnings in their rows."
        )
    return said


def _mean_mass(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    if not rows:
        return None
    masses = [row.get("robust_mass") or {"lower": 0.0, "upper": 1.0} for row in rows]
    lower = sum((Fraction(mass["lower"]) for mass in masses), Fraction()) / len(masses)
    upper = sum((Fraction(mass["upper"]) for mass in masses), Fraction()) / len(masses)
    return {
        "lower": _rounded(lower, -math.inf),
        "upper": _rounded(upper, math.inf),
        "law": masses[0].get("law", "uniform"),
    }


def _rounded(exact: Fraction, towards: float) -> float:
    """Return the float next to a fraction on one side of it: a bound stays a bound."""
    near = float(exact)
    wrong = near > exact if towards < 0 else near < exact
    return math.nextafter(near, towards) if wrong else near
