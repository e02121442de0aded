"""What a Lipschitz certification of many inputs says as a whole, as plain data. No torch here.

Inputs that were skipped are neither correct nor certified: they count against every rate.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from glocert.spec import Verdict
from glocert.spec_lipschitz import LipschitzMethod, LipschitzRow, LipschitzSpec, epsilon_key

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
VACUOUS = 10.0
"""a median radius that is smaller than the smallest epsilon by more than this factor is of no use"""
TUNING_EPOCHS = 20
"""passes over the data that the estimate for fine-tuning reckons with"""
TUNING_COST = 4.0
"""cost of one input in one of them, in forward passes: forward, backward, norms"""
FINE_TUNING = (
    "Fine-tune the model for certification (job gloro-training with from_model_id): about "
    f"{TUNING_EPOCHS} passes over its training data; the model's own answers will do for labels."
)


def summarise(rows: Sequence[LipschitzRow], spec: LipschitzSpec) -> dict[str, Any]:
    """Return the summary of a job.

    Args:
        rows: of all its inputs.
        spec: what was asked.
    """
    labelled = bool(rows) and all(row.label is not None for row in rows)
    right = sorted(row.without_relaxation for row in rows if row.correct is not False and row.method)
    share = _shares(rows)
    seconds, forward = (sum(getattr(row, name) for row in rows) for name in ("seconds", "forward"))
    return {
        "inputs": len(rows),
        **{verdict.value: sum(row.verdict is verdict for row in rows) for verdict in Verdict},
        "clean_accuracy": share(lambda row: bool(row.correct)) if labelled else None,
        "vra": _each(spec, lambda key: share(lambda row: row.robust[key])) if labelled else None,
        "rejection_rate": _each(spec, lambda key: share(lambda row: not row.certified[key])),
        "certified_but_wrong": _each(
            spec, lambda key: share(lambda row: row.certified[key] and not row.robust[key])
        ),
        "radius_quantiles": {repr(q): _number(quantile(right, q)) for q in QUANTILES},
        "average_certified_radius": _number(sum(right) / len(rows)) if rows else None,
        "methods": dict(sorted(Counter(row.method for row in rows if row.method).items())),
        "members": _members(rows, spec),
        "milliseconds_per_input": 1e3 * seconds / len(rows) if rows else None,
        "norm": spec.norm.value,
        "arithmetic": spec.arithmetic.value,
        "usefulness": usefulness(right, spec, forward) | _alone(rows, spec, forward),
    }


def _members(rows: Sequence[LipschitzRow], spec: LipschitzSpec) -> dict[str, Any]:
    """Say of every method how many inputs were certified when it was done, and how many it added.

    Methods are tried in this order, and each begins where the one before it ended.
    """
    found: dict[str, Any] = {}
    before: str | None = None
    for name in dict.fromkeys(name for row in rows for name in row.members):
        reached = {key: _count(rows, name, float(key)) for key in map(epsilon_key, spec.epsilons)}
        earlier = {key: 0 if before is None else found[before]["certified"][key] for key in reached}
        found[name] = {
            "certified": reached,
            "added": {key: count - earlier[key] for key, count in reached.items()},
            "median_radius": _number(quantile(_of_member(rows, name), 0.5)),
        }
        before = name
    return found


def _count(rows: Sequence[LipschitzRow], name: str, epsilon: float) -> int:
    return sum(row.members.get(name, 0.0) > epsilon for row in rows)


def _of_member(rows: Sequence[LipschitzRow], name: str) -> list[float]:
    """Return the radii of the correct inputs when a method was done, ascending."""
    return sorted(row.members.get(name, 0.0) for row in rows if row.correct is not False and row.method)


def usefulness(radii: Sequence[float], spec: LipschitzSpec, seconds: float) -> dict[str, Any]:
    """Say whether the radii of the correct inputs are of any use at the epsilons that were asked for.

    Args:
        radii: of the correct inputs, ascending.
        spec: what was asked.
        seconds: that the forward passes took, for the estimate of what fine-tuning costs.
    """
    median, least = quantile(radii, 0.5), _least(spec)
    if _useful(median, spec):
        return {"verdict": "useful", "median_radius": _number(median), "smallest_epsilon": least}
    steps = [FINE_TUNING]
    if spec.method is not LipschitzMethod.PORTFOLIO and spec.relaxation is None:
        steps.insert(
            0, "Certify with method portfolio: bounds around each input are tighter than global ones."
        )
    return {
        "verdict": "vacuous",
        "median_radius": median,
        "smallest_epsilon": least,
        "detail": f"Half of the correct inputs are certified to {median:.3g} at most, less than a tenth of "
        f"the smallest epsilon, {least:g}: as it stands, this bound says next to nothing.",
        "next_steps": steps,
        "fine_tuning_seconds_per_1000_inputs": _tuning(seconds, len(radii)),
    }


def _alone(rows: Sequence[LipschitzRow], spec: LipschitzSpec, seconds: float) -> dict[str, Any]:
    """Say what the global bound is worth by itself, where other methods were tried: a file has only that."""
    if not any(len(row.members) > 1 for row in rows):
        return {}
    radii = _of_member(rows, "global")
    median = quantile(radii, 0.5)
    if _useful(median, spec):
        return {"global": {"verdict": "useful", "median_radius": _number(median)}}
    found = {
        "verdict": "vacuous",
        "median_radius": median,
        "detail": f"By the global bound alone, half of the correct inputs are certified to {median:.3g} at "
        "most. What this job certifies beyond that holds for these inputs; a wrapped file has that bound.",
        "next_steps": [FINE_TUNING],
        "fine_tuning_seconds_per_1000_inputs": _tuning(seconds, len(radii)),
    }
    return {"global": found}


def _least(spec: LipschitzSpec) -> float:
    """Return the smallest epsilon that is not zero."""
    return min((epsilon for epsilon in spec.epsilons if epsilon > 0), default=0.0)


def _useful(median: float, spec: LipschitzSpec) -> bool:
    return median >= _least(spec) / VACUOUS and median > 0


def _tuning(seconds: float, inputs: int) -> float | None:
    """Return the estimate for a thousand training inputs on this machine; ``None`` where nothing is known."""
    return 1e3 * TUNING_EPOCHS * TUNING_COST * seconds / inputs if inputs and seconds else None


def quantile(ascending: Sequence[float], share: float) -> float:
    """Return the smallest value that a share of the values does not exceed; 0 where there are none."""
    if not ascending:
        return 0.0
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]


def _shares(rows: Sequence[LipschitzRow]) -> Callable[[Callable[[LipschitzRow], bool]], float]:
    total = max(len(rows), 1)
    return lambda holds: sum(map(holds, rows)) / total


def _each(spec: LipschitzSpec, value: Callable[[str], float]) -> dict[str, float]:
    return {key: value(key) for key in map(epsilon_key, spec.epsilons)}


def _number(value: float) -> float | None:
    """JSON has no infinity: what has no end is ``null``."""
    return value if math.isfinite(value) else None
