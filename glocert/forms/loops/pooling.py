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
    centre: float, swing: float, errors: tuple[float, float], own: Own
) -> tuple[float, float, float]:
    """Return the line in place of ``relu(a - b)``: slope, constant and error.

    Slope 0 or 1 with no error where one of the two never loses; an infinite error where nothing is known. No
    branch depends on the numbers; what is not used may be NaN.

    Args:
        centre: of a less that of b, of the number type.
        swing: of the slopes, each of a less that of b, the absolute values added up.
        errors: of b and of a.
        own: of the number type.
    """
    lift, charge, up, tiny = own
    zero, one = tiny - tiny, up / up
    half_, endless = one / (one + one), one / zero
    width = (swing + (errors[0] + errors[1]) * up) * lift + abs(centre) * charge + tiny
    low, high = centre - width, centre + width
    gain = high / (high - low)
    first, last = -(gain * low), high - gain * high
    top = first if first > last else last
    bottom = first if first < last else last
    top, bottom = top if top > zero else zero, bottom if bottom < zero else zero
    scale = high + gain * (-low if -low > high else high)
    half = ((top - bottom) * half_ + scale * charge) * up + tiny
    known, wins, loses = width < endless, low >= zero, high <= zero
    settled = wins | loses
    slope = one if wins else (zero if loses | (not known) else gain)
    middle = zero if settled | (not known) else (top + bottom) * half_
    return slope, middle, endless if not known else (zero if settled else half)


@compiled
def _mixed(
    best: Array,
    errors: tuple[float, float],
    lines: Array,
    at: int,
    line: tuple[float, float, float],
    own: Own,
) -> float:
    """Make ``b + relu(a - b)`` of b, in place, and return its error.

    Args:
        best: b, shape (1 + k,).
        errors: of b and of a.
        lines: of all places, shape (1 + k, n).
        at: where a is.
        line: see ``compared``.
        own: of the number type.
    """
    (gain, middle, _), size = line, own[3] - own[3]
    for i in range(len(best)):
        a, b = lines[i, at], best[i]
        size += abs(a) + abs(b)
        best[i] = b + (a - b) * gain
    best[0] += middle
    return _loosened(errors, line, size, own)


@compiled
def _loosened(errors: tuple[float, float], line: tuple[float, float, float], size: float, own: Own) -> float:
    """Return the error of ``b + relu(a - b)``, see ``_mixed``.

    The mixture rounds numbers of the size of a and b, which may be larger than their difference.

    Args:
        errors: of b and of a.
        line: see ``compared``.
        size: of all numbers of a and of b, added up.
        own: of the number type.
    """
    (gain, middle, half), (_, charge, up, _) = line, own
    rounded = (size + abs(middle)) * charge
    reached: float = (errors[0] * (up / up - gain) + errors[1] * gain + half + rounded) * up
    return reached


@compiled
def _take(best: Array, lines: Array, at: int) -> None:
    for i in range(len(best)):
        best[i] = lines[i, at]


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
    own_, windows = (kind(own[0]), kind(own[1]), kind(own[2]), kind(own[3])), table.shape[1]
    other, reach = np.empty((len(lines), windows), error.dtype), np.empty(windows, error.dtype)
    seen, line = np.empty(windows, np.bool_), np.empty((3, windows), error.dtype)
    for r in range(len(error)):
        for place in range(len(table)):
            positions = table[place]
            for w in range(windows):
                reach[w] = error[r, max(positions[w], 0)]
            for i in range(len(lines)):
                for w in range(windows):
                    other[i, w] = lines[i, r, max(positions[w], 0)]
            if place > 0:
                _fold(other, reach, positions, own_, seen, line, (out[:, r], bound[r]))
                continue
            out[:, r] = other
            for w in range(windows):
                seen[w] = positions[w] >= 0
                bound[r, w] = reach[w] if seen[w] else kind(math.inf)


@compiled
def _fold(
    lines: Array,
    error: Array,
    positions: Array,
    own: Own,
    seen: Array,
    line: Array,
    best: tuple[Array, Array],
) -> None:
    """Fold one place of every window; no branch depends on the numbers, so that several are taken at once.

    Args:
        lines: what is there, shape (1 + k, windows).
        error: shape (windows,).
        positions: negative outside the image, shape (windows,).
        own: of the number type.
        seen: windows that had a place before; updated.
        line: to be overwritten, shape (3, windows).
        best: what a window had so far, shape (1 + k, windows), and its error; updated.
    """
    _, _, up, tiny = own
    zero, one = tiny - tiny, up / up
    known, reached = best
    size, swing, gain = line  # the first two make room for what settles a window, and for its constant
    size[:], swing[:] = zero, zero
    for i in range(len(lines)):
        for w in range(len(error)):
            size[w] += abs(lines[i, w]) + abs(known[i, w])
            swing[w] += abs(lines[i, w] - known[i, w]) if i > 0 else zero
    for w in range(len(error)):
        inside, e, f = positions[w] >= 0, reached[w], error[w]
        slope, middle, half = compared(lines[0, w] - known[0, w], swing[w], (e, f), own)
        loose = _loosened((e, f), (slope, middle, half), size[w], own)
        first = inside & (not seen[w])
        slope = one if first else (slope if inside else zero)
        settled = first | (not inside) | (half == zero)
        gain[w], swing[w] = slope, zero if settled else middle
        exact = f if slope > zero else e
        reached[w] = exact if settled else loose
        size[w] = one if settled else zero
        seen[w] = seen[w] | inside
    for i in range(len(lines)):
        for w in range(len(error)):
            a, b, middle = lines[i, w], known[i, w], swing[w] if i == 0 else zero
            exact = a if gain[w] > zero else b
            known[i, w] = exact if size[w] > zero else b + (a - b) * gain[w] + middle


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
    lift, charge, up, tiny = kind(own[0]), kind(own[1]), kind(own[2]), kind(own[3])
    best = np.empty(len(lines), error.dtype)
    for wanted in range(len(index)):
        row, total = (lines[:, index[wanted]], error[index[wanted]]), 0.0
        for w in range(table.shape[1]):
            given = table[:, w], shares[:, wanted, w]
            known, shift, lost, peak = _shared(row, given, (lift, charge, up, tiny), best)
            peak = (peak * lift + tiny) * up
            made[0][wanted, w] = shift
            made[1][wanted, w] = (lost + peak * kind(spread)) * up + tiny if known else kind(math.inf)
            total += peak
        sums[wanted] = total


@compiled
def _shared(
    row: tuple[Array, Array], given: tuple[Array, Array], own: Own, best: Array
) -> tuple[bool, float, float, float]:
    """Write the share that each place of a window has in its maximum.

    Args:
        row: lines of shape (1 + k, n), and errors.
        given: positions of the places, and their shares, to be written.
        own: of the number type.
        best: to be overwritten, shape (1 + k,).

    Returns:
        Whether the window has a place; the constant beside the shares; by how much both may be off; and its
        largest number.
    """
    (lines, error), (positions, shares), (_, charge, up, tiny) = row, given, own
    zero, one = tiny - tiny, up / up
    endless = one / zero
    known, reached, peak, shift, lost = False, endless, zero, zero, zero
    for place in range(len(positions)):
        at = positions[place]
        shares[place] = zero
        if at < 0:
            continue
        size, swing = error[at] + abs(lines[0, at]), zero
        for i in range(1, len(best)):
            size += abs(lines[i, at])
            swing += abs(lines[i, at] - best[i])
        peak = max(peak, size) if size < endless else endless
        if not known:
            known, reached, shares[place] = True, error[at], one
            _take(best, lines, at)
            continue
        errors = reached, error[at]
        gain, middle, half = compared(lines[0, at] - best[0], swing, errors, own)
        for earlier in range(place):
            shares[earlier] *= one - gain
        shares[place] = gain
        lost = (lost * (one - gain) + half + (abs(shift) + abs(middle)) * charge) * up
        shift = shift * (one - gain) + middle
        if half > zero:
            reached = _mixed(best, errors, lines, at, (gain, middle, half), own)
        elif gain > zero:
            reached = error[at]
            _take(best, lines, at)
    return known, shift, lost, peak


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
