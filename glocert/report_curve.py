"""Verified-robust accuracy against the radius, as numbers and as a picture. No torch here."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from glocert.spec_lipschitz import LipschitzRow


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
    counts = Counter(row.without_relaxation for row in rows if row.correct is not False and row.method)
    total, left = max(len(rows), 1), sum(counts.values()) - counts[0.0]
    shares, radii = [left / total], sorted(radius for radius in counts if 0 < radius < math.inf)
    for radius in radii:
        left -= counts[radius]
        shares.append(left / total)
    return Curve(tuple(radii), tuple(shares))


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
