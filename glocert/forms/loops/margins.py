"""Margins of forms of scores, and what they decide: row by row, in float64."""

from __future__ import annotations

import math

from glocert.compiled import compiled
from glocert.forms.loops.views import Array

Margins = tuple[Array, Array, Array]
"""centre, slope, error"""

Parts = tuple[Array, Array, Array, Array]
"""start, stop, middle, half"""


@compiled(
    "(float64[:, :, ::1], float64[:, ::1], Tuple((int64[::1], float64[::1])), UniTuple(float64, 3), "
    "UniTuple(float64[:, ::1], 3))"
)
def differences(
    lines: Array,
    error: Array,
    asked: tuple[Array, Array],
    own: tuple[float, float, float],
    made: Margins,
) -> None:
    """Write the margins of one class on each row, see ``glocert.forms.margins.margins``.

    Args:
        lines: float64, centre and slope of all scores, shape (2, rows, classes).
        error: float64, shape (rows, classes).
        asked: label and required margin, int64 and float64, shape (rows,).
        own: what lifts a sum of two numbers, what a margin's magnitude costs, and what lifts its error.
        made: centre, slope and error, float64, shape (rows, classes - 1); (0, 0, inf) on rows where a number
            is not finite.
    """
    lift, share, up = own
    labels, required = asked
    centre, slope, bound = made
    for r in range(len(error)):
        label, known, at = labels[r], True, 0
        size = (abs(lines[0, r, label]) + abs(lines[1, r, label])) * lift
        for j in range(error.shape[1]):
            if j == label:
                continue
            other = (abs(lines[0, r, j]) + abs(lines[1, r, j])) * lift
            centre[r, at] = lines[0, r, label] - lines[0, r, j] - required[r]
            slope[r, at] = lines[1, r, label] - lines[1, r, j]
            total = error[r, label] + error[r, j] + (size + other + abs(required[r])) * share
            bound[r, at] = total * up
            known = known and bound[r, at] < math.inf
            at += 1
        if not known:
            centre[r, :], slope[r, :], bound[r, :] = 0.0, 0.0, math.inf


@compiled("(UniTuple(float64[:, ::1], 3), UniTuple(float64[::1], 4), float64, float64, float64[:, :, ::1])")
def decided(known: Margins, parts: Parts, inwards: float, charge: float, found: Array) -> None:
    """Write the proven intervals of each row: see ``glocert.forms.decision.proven`` and ``refuted``.

    Args:
        known: centre, slope and error of the margins, float64, shape (rows, others).
        parts: start, stop, middle and half of each row, float64, shape (rows,).
        inwards: by how much crossings are moved inwards, in u.
        charge: likewise, in t.
        found: float64, shape (3, 3, rows): start, stop and whether it is one (1 or 0) of where all margins
            are positive, and of where one is negative at the row's start and at its stop.
    """
    centre, slope, error = known
    for r in range(len(centre)):
        first, last, positive, finite = -math.inf, math.inf, True, True
        head, head_at, tail, tail_at = -math.inf, 0, math.inf, 0
        for j in range(centre.shape[1]):
            c, s, e = centre[r, j], slope[r, j], error[r, j]
            finite = finite and e < math.inf
            low, high = c - e, c + e
            if s > 0:
                first = max(first, -low / s)
                root = -high / s
                if root > head:
                    head, head_at = root, j
            elif s < 0:
                last = min(last, -low / s)
                root = -high / s
                if root < tail:
                    tail, tail_at = root, j
            else:
                positive = positive and low > 0
                if high < 0:
                    head, head_at, tail, tail_at = math.inf, j, -math.inf, j
        ends = _ends(parts, r, first + inwards, last - inwards, charge)
        _write(found[0], r, parts, ends, finite and positive and _holds(known, parts, r, ends, -1.0, -1))
        ends = _ends(parts, r, -math.inf, head - inwards, charge)
        _write(found[1], r, parts, ends, finite and _holds(known, parts, r, ends, 1.0, head_at))
        ends = _ends(parts, r, tail + inwards, math.inf, charge)
        _write(found[2], r, parts, ends, finite and _holds(known, parts, r, ends, 1.0, tail_at))


@compiled
def _ends(parts: Parts, r: int, first: float, last: float, charge: float) -> tuple[float, float]:
    """Return an interval of u as parameters of row ``r``."""
    start, stop, middle, half = parts[0][r], parts[1][r], parts[2][r], parts[3][r]
    left = start if first <= -1 else middle + first * half + charge
    right = stop if last >= 1 else middle + last * half - charge
    return left, right


@compiled
def _holds(
    known: Margins,
    parts: Parts,
    r: int,
    ends: tuple[float, float],
    sign: float,
    other: int,
) -> bool:
    """Evaluate bounds at both ends: all lower ones positive, or one upper one negative; NaN never holds."""
    left, right = ends
    if not (left >= parts[0][r] and right <= parts[1][r] and left <= right):
        return False
    half = parts[3][r] if parts[3][r] > 0 else 1.0
    for t in ends:
        u = (t - parts[2][r]) / half
        for j in range(known[0].shape[1]):
            if other >= 0 and j != other:
                continue
            value = known[0][r, j] + known[1][r, j] * u + sign * known[2][r, j]
            if not sign * value < 0:
                return False
    return True


@compiled
def _write(found: Array, r: int, parts: Parts, ends: tuple[float, float], held: bool) -> None:
    found[0, r] = ends[0] if held else parts[0][r]
    found[1, r] = ends[1] if held else parts[0][r]
    found[2, r] = 1.0 if held else 0.0
