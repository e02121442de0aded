"""What a Lipschitz certification of many inputs says as a whole, as plain data. No torch here.

Inputs that were skipped are neither correct nor certified: they count against every rate.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Curve:
    """Verified-robust accuracy as a function of the radius, exactly: a step function.

    Attributes:
        radii: ascending radii at which it falls.
        shares: ``shares[n]`` holds from ``radii[n - 1]`` (from 0 for n = 0) up to, not at, ``radii[n]``; one
            more than there are radii.
    """

    radii: tuple[float, ...]
    shares: tuple[float, ...]

    def at(self, epsilon: float) -> float:
        """Return the share of inputs that are right and certified at ``epsilon``."""
        return self.shares[bisect_right(self.radii, epsilon)]

    def to_json(self) -> dict[str, Any]:
        """Return ``{"radii", "shares"}``."""
        return {"radii": list(self.radii), "shares": list(self.shares)}


def curve(rows: Sequence[LipschitzRow]) -> Curve:
    """Return the exact accuracy against the radius; with a relaxation, the radius without it."""
    counts = Counter(_plain(row) for row in rows if row.correct is not False and row.method)
    total, left = max(len(rows), 1), sum(counts.values()) - counts[0.0]
    shares, radii = [left / total], sorted(radius for radius in counts if 0 < radius < math.inf)
    for radius in radii:
        left -= counts[radius]
        shares.append(left / total)
    return Curve(tuple(radii), tuple(shares))


def summarise(rows: Sequence[LipschitzRow], spec: LipschitzSpec) -> dict[str, Any]:
    """Return the summary of a job.

    Args:
        rows: of all its inputs.
        spec: what was asked.
    """
    labelled = bool(rows) and all(row.label is not None for row in rows)
    right = sorted(_plain(row) for row in rows if row.correct is not False and row.method)
    share = _shares(rows)
    seconds = sum(row.seconds for row in rows)
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
        "milliseconds_per_input": 1e3 * seconds / len(rows) if rows else None,
        "norm": spec.norm.value,
        "arithmetic": spec.arithmetic.value,
        "usefulness": usefulness(right, spec, seconds),
    }


def usefulness(radii: Sequence[float], spec: LipschitzSpec, seconds: float) -> dict[str, Any]:
    """Say whether the radii of the correct inputs are of any use at the epsilons that were asked for.

    Args:
        radii: of the correct inputs, ascending.
        spec: what was asked.
        seconds: that the certification took, for the estimate of what fine-tuning costs.
    """
    least = min((epsilon for epsilon in spec.epsilons if epsilon > 0), default=0.0)
    median = quantile(radii, 0.5)
    if median >= least / VACUOUS and median > 0:
        return {"verdict": "useful", "median_radius": _number(median), "smallest_epsilon": least}
    steps = [
        "Fine-tune the model for certification (job gloro-training with from_model_id): about "
        f"{TUNING_EPOCHS} passes over its training data; the model's own answers will do for labels."
    ]
    if spec.method is LipschitzMethod.GLOBAL and spec.relaxation is None:
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


def _tuning(seconds: float, inputs: int) -> float | None:
    """Return the estimate for a thousand training inputs on this machine; ``None`` where nothing is known."""
    return 1e3 * TUNING_EPOCHS * TUNING_COST * seconds / inputs if inputs and seconds else None


def quantile(ascending: Sequence[float], share: float) -> float:
    """Return the smallest value that a share of the values does not exceed; 0 where there are none."""
    if not ascending:
        return 0.0
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]


def _plain(row: LipschitzRow) -> float:
    return row.radius if row.plain is None else row.plain


def _shares(rows: Sequence[LipschitzRow]) -> Callable[[Callable[[LipschitzRow], bool]], float]:
    total = max(len(rows), 1)
    return lambda holds: sum(map(holds, rows)) / total


def _each(spec: LipschitzSpec, value: Callable[[str], float]) -> dict[str, float]:
    return {key: value(key) for key in map(epsilon_key, spec.epsilons)}


def _number(value: float) -> float | None:
    """JSON has no infinity: what has no end is ``null``."""
    return value if math.isfinite(value) else None


_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _EDGE = 640, 360, 56, 44, 16
_INK, _LINE, _MARK = "#1e1e1e", "#009e73", "#d55e00"


def svg(drawn: Curve, epsilons: Sequence[float], norm: str) -> str:
    """Return the curve as a picture: the same bytes for the same curve.

    Args:
        drawn: the curve.
        epsilons: marked on it.
        norm: named at the axis.
    """
    reach = max((*drawn.radii[-1:], *epsilons, 1e-9)) * 1.05
    points = [_point(0.0, drawn.shares[0], reach)]
    for radius, before, after in zip(drawn.radii, drawn.shares, drawn.shares[1:], strict=False):
        points += [_point(radius, before, reach), _point(radius, after, reach)]
    points.append(_point(reach, drawn.shares[-1], reach))
    marks = "".join(_mark(epsilon, drawn.at(epsilon), reach) for epsilon in sorted(set(epsilons)))
    ticks = "".join(_tick(share / 4, reach) for share in range(5))
    base = _point(reach, 0.0, reach)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="12" fill="{_INK}">'
        "<title>Verified-robust accuracy against the radius</title>"
        f'{ticks}<path d="M{_LEFT} {_EDGE}V{base.split()[1]}H{base.split()[0]}" fill="none" stroke="{_INK}"/>'
        f'<path d="M{" L".join(points)}" fill="none" stroke="{_LINE}" stroke-width="2"/>{marks}'
        f'<text x="{(_LEFT + _WIDTH) // 2}" y="{_HEIGHT - 6}" text-anchor="middle">radius ({norm})</text>'
        "</svg>\n"
    )


def _point(radius: float, share: float, reach: float) -> str:
    x = _LEFT + radius / reach * (_WIDTH - _LEFT - _EDGE)
    y = _EDGE + (1 - share) * (_HEIGHT - _EDGE - _BOTTOM)
    return f"{x:.2f} {y:.2f}"


def _tick(share: float, reach: float) -> str:
    y = _point(0.0, share, reach).split()[1]
    return f'<text x="{_LEFT - 8}" y="{y}" text-anchor="end" dominant-baseline="middle">{share:.0%}</text>'


def _mark(epsilon: float, share: float, reach: float) -> str:
    x, y = _point(epsilon, share, reach).split()
    below = _point(epsilon, 0.0, reach).split()[1]
    return (
        f'<path d="M{x} {below}V{y}" stroke="{_MARK}" stroke-dasharray="4 3"/>'
        f'<circle cx="{x}" cy="{y}" r="3" fill="{_MARK}"/>'
        f'<text x="{x}" y="{float(below) + 16:.2f}" text-anchor="middle">{epsilon:g}</text>'
    )
