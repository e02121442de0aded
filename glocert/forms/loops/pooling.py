"""Max pooling of forms: the places of each window are folded one after the other, see ``ops.maxima``."""

from __future__ import annotations

import math

import numpy as np

from glocert.compiled import compiled
from glocert.forms.loops.views import Array

Own = tuple[float, float, float, float]
"""what lifts a sum of 1 + k numbers with two more, charge, up and tiny of the number type"""


@compiled
def compared(
    best: Array, errors: tuple[float, float], lines: Array, r: int, at: int, own: Own
) -> tuple[float, float, float]:
    """Return the line in place of ``relu(a - b)``: slope, constant and error.

    Slope 0 or 1 with no error where one of the two never loses; an infinite error where nothing is known.

    Args:
        best: b, shape (1 + k,).
        errors: of b and of a.
        lines: a is number ``at`` of row ``r``, shape (1 + k, rows, n).
        r: the row.
        at: the number.
        own: of the number type.
    """
    kind = best.dtype.type
    lift, charge, up, tiny = kind(own[0]), kind(own[1]), kind(own[2]), kind(own[3])
    zero, one, half_ = kind(0.0), kind(1.0), kind(0.5)
    swing = zero
    for line in range(1, len(best)):
        swing += abs(lines[line, r, at] - best[line])
    centre = lines[0, r, at] - best[0]
    width = (swing + (errors[0] + errors[1]) * up) * lift + abs(centre) * charge + tiny
    if not width < kind(math.inf):
        return zero, zero, kind(math.inf)
    low, high = centre - width, centre + width
    if low >= zero:
        return one, zero, zero
    if high <= zero:
        return zero, zero, zero
    gain = high / (high - low)
    first, last = -(gain * low), high - gain * high
    top, bottom = max(first, last, zero), min(first, last, zero)
    scale = high + gain * max(-low, high)
    return gain, (top + bottom) * half_, ((top - bottom) * half_ + scale * charge) * up + tiny


@compiled
def _mixed(
    best: Array,
    errors: tuple[float, float],
    lines: Array,
    r: int,
    at: int,
    line: tuple[float, float, float],
    own: Own,
) -> float:
    """Make ``b + relu(a - b)`` of b, in place, and return its error; arguments as in ``compared``.

    The mixture rounds numbers of the size of a and b, which may be larger than their difference.
    """
    kind = best.dtype.type
    charge, up, one = kind(own[1]), kind(own[2]), kind(1.0)
    gain, middle, half = line
    size = abs(middle)
    for i in range(len(best)):
        a, b = lines[i, r, at], best[i]
        size += abs(a) + abs(b)
        best[i] = b + (a - b) * gain
    best[0] += middle
    reached: float = (errors[0] * (one - gain) + errors[1] * gain + half + size * charge) * up
    return reached


@compiled
def _take(best: Array, lines: Array, r: int, at: int) -> None:
    for i in range(len(best)):
        best[i] = lines[i, r, at]


@compiled("(F[:, :, ::1], F[:, ::1], int64[:, ::1], UniTuple(float64, 4), F[:, :, ::1], F[:, ::1])")
def largest(lines: Array, error: Array, table: Array, own: Own, out: Array, bound: Array) -> None:
    """Write the maximum of each window.

    Args:
        lines: shape (1 + k, rows, n).
        error: shape (rows, n).
        table: position of each place of each window, negative outside the image; shape (places, windows).
        own: of the number type.
        out: shape (1 + k, rows, windows).
        bound: shape (rows, windows); infinite where a window has no place, or nothing is known.
    """
    kind = error.dtype.type
    best = np.empty(len(lines), error.dtype)
    for r in range(len(error)):
        for w in range(table.shape[1]):
            known, reached = False, kind(math.inf)
            best[:] = kind(0.0)
            for place in range(len(table)):
                at = table[place, w]
                if at < 0:
                    continue
                if not known:
                    known, reached = True, error[r, at]
                    _take(best, lines, r, at)
                    continue
                errors = reached, error[r, at]
                line = compared(best, errors, lines, r, at, own)
                if line[2] > 0:
                    reached = _mixed(best, errors, lines, r, at, line, own)
                elif line[0] > 0:
                    reached = error[r, at]
                    _take(best, lines, r, at)
            for i in range(len(best)):
                out[i, r, w] = best[i]
            bound[r, w] = reached


@compiled(
    "(F[:, :, ::1], F[:, ::1], int64[:, ::1], UniTuple(float64, 4), float64, int64[::1], F[:, :, ::1], "
    "UniTuple(F[:, ::1], 2), float64[::1])"
)
def folded(
    lines: Array,
    error: Array,
    table: Array,
    own: Own,
    spread: float,
    index: Array,
    shares: Array,
    made: tuple[Array, Array],
    sums: Array,
) -> None:
    """Write ``max = sum_k shares_k x_k + shift +- charge``, see ``glocert.forms.backward.ops.maxima``.

    Args:
        lines: shape (1 + k, rows, n).
        error: shape (rows, n).
        table: as in ``largest``.
        own: of the number type.
        spread: share of the largest number of a window that the rounding of shares and adjoints costs.
        index: rows that are wanted, int64.
        shares: shape (places, wanted, windows).
        made: shift and charge, shape (wanted, windows); the charge is positive, infinite where nothing is
            known.
        sums: float64, shape (wanted,): the largest numbers of all windows added up.
    """
    kind = error.dtype.type
    charge_, up, tiny = kind(own[1]), kind(own[2]), kind(own[3])
    zero, one, endless, spread = kind(0.0), kind(1.0), kind(math.inf), kind(spread)
    best = np.empty(len(lines), error.dtype)
    for wanted in range(len(index)):
        r, total = index[wanted], 0.0
        for w in range(table.shape[1]):
            known, reached, peak = False, endless, zero
            shift, charge = zero, zero
            for place in range(len(table)):
                at = table[place, w]
                shares[place, wanted, w] = zero
                if at < 0:
                    continue
                size = error[r, at]
                for i in range(len(best)):
                    size += abs(lines[i, r, at])
                peak = max(peak, size) if size < endless else endless
                if not known:
                    known, reached = True, error[r, at]
                    shares[place, wanted, w] = one
                    _take(best, lines, r, at)
                    continue
                errors = reached, error[r, at]
                gain, middle, half = compared(best, errors, lines, r, at, own)
                for earlier in range(place):
                    shares[earlier, wanted, w] *= one - gain
                shares[place, wanted, w] = gain
                charge = (charge * (one - gain) + half + (abs(shift) + abs(middle)) * charge_) * up
                shift = shift * (one - gain) + middle
                if half > 0:
                    reached = _mixed(best, errors, lines, r, at, (gain, middle, half), own)
                elif gain > 0:
                    reached = error[r, at]
                    _take(best, lines, r, at)
            peak = (peak * kind(own[0]) + tiny) * up
            made[0][wanted, w] = shift
            made[1][wanted, w] = (charge + peak * spread) * up + tiny if known else endless
            total += peak
        sums[wanted] = total


@compiled("(F[:, :, ::1], F[:, :, ::1], int64[::1], int64[:, ::1], F[:, :, ::1])")
def shared_out(adjoint: Array, shares: Array, place: Array, table: Array, out: Array) -> None:
    """Give every place of a window its share of the window's adjoint.

    Args:
        adjoint: shape (adjoints, functionals, windows).
        shares: shape (places, rows, windows).
        place: the row of each adjoint, int64.
        table: as in ``largest``.
        out: shape (adjoints, functionals, n).
    """
    for at in range(adjoint.shape[0]):
        for f in range(adjoint.shape[1]):
            into, a = out[at, f], adjoint[at, f]
            into[:] = 0
            for k in range(len(table)):
                share, positions = shares[k, place[at]], table[k]
                for w in range(len(positions)):
                    if positions[w] >= 0:
                        into[positions[w]] += a[w] * share[w]
