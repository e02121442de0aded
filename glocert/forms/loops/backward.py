"""Going backwards through forms: what adjoints meet, and what is charged for it.

Products are added in float64 whatever the type of the adjoint, so that a sum of ``n`` of them is off by at
most gamma(n) of float64 times the sum of their absolute values; products of two float32 numbers are exact.
"""

from __future__ import annotations

import math

import numpy as np

from glocert.compiled import compiled, summing
from glocert.forms.loops.kinks import clamped, rectified
from glocert.forms.loops.views import Array


@summing("(F[:, :, ::1], F[:, ::1], F[:, ::1], int64[::1], float64[:, ::1], float64[:, ::1])")
def collect(adjoint: Array, shift: Array, charge: Array, place: Array, sums: Array, sizes: Array) -> None:
    """Write ``<a, shift>`` and ``<|a|, charge>`` of every functional.

    Args:
        adjoint: shape (adjoints, functionals, n).
        shift: shape (rows or 1, period), repeated up to n numbers, or (0, 0) where there is none.
        charge: shape (rows, period), likewise, (rows, 0) for nothing; each has a period of its own.
        place: the row of each adjoint, int64.
        sums: float64, shape (adjoints, functionals).
        sizes: same shape.
    """
    for r in range(adjoint.shape[0]):
        charges = charge[place[r]]
        for f in range(adjoint.shape[1]):
            a, size, period = adjoint[r, f], 0.0, len(charges)
            for start in range(0, len(a) if period else 0, max(period, 1)):
                part = a[start : start + period]
                for i in range(period):
                    size += abs(np.float64(part[i])) * np.float64(charges[i])
            sizes[r, f] = size
            total = 0.0
            if len(shift):
                shifts = shift[place[r] if len(shift) > 1 else 0]
                period = len(shifts)
                for start in range(0, len(a), period):
                    part = a[start : start + period]
                    for i in range(period):
                        total += np.float64(part[i]) * np.float64(shifts[i])
            sums[r, f] = total


@summing(
    "(F[:, :, ::1], Tuple((F[:, :, ::1], F[:, ::1])), int64[::1], float64, float64, float64[:, :, ::1], "
    "float64[:, ::1])"
)
def substitute(
    adjoint: Array,
    form: tuple[Array, Array],
    place: Array,
    share: float,
    tiny: float,
    found: Array,
    sizes: Array,
) -> None:
    """Write ``<a, line>`` for centre and slopes, and ``<|a|, error + tiny + share * sum |lines|>``.

    Args:
        adjoint: shape (adjoints, functionals, n).
        form: lines and error, shapes (1 + k, rows, n) and (rows, n).
        place: the row of each adjoint, int64.
        share: of the magnitude that rounding costs.
        tiny: so that an adjoint that is not finite is seen.
        found: float64, shape (1 + k, adjoints, functionals).
        sizes: float64, shape (adjoints, functionals).
    """
    lines, error = form
    for r in range(adjoint.shape[0]):
        row = place[r]
        for f in range(adjoint.shape[1]):
            a, size = adjoint[r, f], 0.0
            for i in range(len(a)):
                size += abs(np.float64(a[i])) * (np.float64(error[row, i]) + tiny)
            for line in range(len(lines)):
                values, total, magnitude = lines[line, row], 0.0, 0.0
                for i in range(len(a)):
                    product = np.float64(a[i]) * np.float64(values[i])
                    total += product
                    magnitude += abs(product)
                found[line, r, f] = total
                size += magnitude * share
            sizes[r, f] = size


@summing
def _total(values: Array) -> float:
    """Return the sum of numbers, added in float64."""
    total = 0.0
    for i in range(len(values)):
        total += np.float64(values[i])
    return total


@compiled
def _peaks(lines: Array, error: Array, own: tuple[float, float, float], r: int, row: Array) -> None:
    """Write bounds on the absolute values of one row, see ``Form.peak``; infinite where nothing is known."""
    kind = error.dtype.type
    lift, up, tiny, endless = kind(own[0]), kind(own[1]), kind(own[2]), kind(math.inf)
    row[:] = kind(0.0)
    for line in range(1, len(lines)):
        values = lines[line, r]
        for i in range(len(row)):
            row[i] += abs(values[i])
    centre, errors = lines[0, r], error[r]
    for i in range(len(row)):
        peak = (abs(centre[i]) + (row[i] * lift + tiny + errors[i]) * up) * up
        row[i] = peak if peak < endless else endless


@compiled("(F[:, :, ::1], F[:, ::1], UniTuple(float64, 3), int64[::1], F[:, ::1], float64[::1])")
def peaks(
    lines: Array, error: Array, own: tuple[float, float, float], index: Array, out: Array, sums: Array
) -> None:
    """Write bounds on absolute values, see ``Form.peak``, and their sum over each row.

    Args:
        lines: shape (1 + k, rows, n).
        error: shape (rows, n).
        own: what lifts a sum of 1 + k numbers, up and tiny of the number type.
        index: rows that are wanted, int64.
        out: shape (wanted, n).
        sums: float64, shape (wanted,).
    """
    for at in range(len(index)):
        _peaks(lines, error, own, index[at], out[at])
        sums[at] = _total(out[at])


@compiled("(F[:, :, ::1], F[:, ::1], UniTuple(float64, 3), int64[::1], int64, F[:, ::1], float64[::1])")
def channel_peaks(
    lines: Array,
    error: Array,
    own: tuple[float, float, float],
    index: Array,
    inner: int,
    out: Array,
    sums: Array,
) -> None:
    """Write the largest bound of each channel, and the sum of all bounds over each row.

    Args:
        lines: shape (1 + k, rows, n).
        error: shape (rows, n).
        own: what lifts a sum of 1 + k numbers, up and tiny of the number type.
        index: rows that are wanted, int64.
        inner: how many numbers of a channel lie side by side: 1, or all of them.
        out: shape (wanted, channels).
        sums: float64, shape (wanted,).
    """
    row, channels = np.empty_like(error[0]), out.shape[1]
    for at in range(len(index)):
        largest = out[at]
        _peaks(lines, error, own, index[at], row)
        sums[at] = _total(row)
        largest[:] = 0
        for start in range(0, len(row), channels * inner):
            if inner == 1:
                part = row[start : start + channels]
                for c in range(channels):
                    largest[c] = part[c] if part[c] > largest[c] else largest[c]
                continue
            for c in range(channels):
                part = row[start + c * inner : start + (c + 1) * inner]
                most = largest[c]
                for i in range(inner):
                    most = part[i] if part[i] > most else most
                largest[c] = most


@compiled("(F[:, :, ::1], F[:, ::1], int64[::1], F[:, :, ::1])")
def gained(adjoint: Array, gain: Array, place: Array, out: Array) -> None:
    """Write adjoints times the gains of their rows.

    Args:
        adjoint: shape (adjoints, functionals, n).
        gain: shape (rows, n).
        place: the row of each adjoint, int64.
        out: as ``adjoint``.
    """
    for r in range(adjoint.shape[0]):
        gains = gain[place[r]]
        for f in range(adjoint.shape[1]):
            a, into = adjoint[r, f], out[r, f]
            for i in range(len(a)):
                into[i] = a[i] * gains[i]


@compiled("(F[:, :, ::1], F[:, ::1], UniTuple(float64, 5), int64[::1], UniTuple(F[:, ::1], 3), float64[::1])")
def rectifier_lines(
    lines: Array,
    error: Array,
    own: tuple[float, float, float, float, float],
    index: Array,
    made: tuple[Array, Array, Array],
    sums: Array,
) -> None:
    """Write the lines in place of ``max(x, 0)``, see ``glocert.forms.ops.kinks.rectifier``.

    What is not finite gets an infinite charge.

    Args:
        lines: shape (1 + k, rows, n).
        error: shape (rows, n).
        own: ``1 + (k + 3) charge``, charge, up and tiny of the number type, and ``constants_cost``.
        index: rows that are wanted, int64.
        made: slopes, constants and errors, each of shape (wanted, n); the errors are positive.
        sums: float64, shape (wanted,): bounds on the sums of the absolute values.
    """
    kind = error.dtype.type
    lift, share, up, tiny = kind(own[0]), kind(own[1]), kind(own[2]), kind(own[3])
    added = kind(own[4])
    zero, half_, endless = kind(0.0), kind(0.5), kind(math.inf)
    for at in range(len(index)):
        gains, middles, charges = made[0][at], made[1][at], made[2][at]
        _peaks(lines, error, (own[0], own[2], own[3]), index[at], charges)
        sums[at] = _total(charges)
        centre, errors = lines[0, index[at]], error[index[at]]
        gains[:] = zero
        for line in range(1, len(lines)):
            values = lines[line, index[at]]
            for i in range(len(gains)):
                gains[i] += abs(values[i])
        for i in range(len(gains)):
            c = centre[i]
            width = (gains[i] + errors[i]) * lift + abs(c) * share + tiny
            slope, top, half = rectified(c, width, share, up, tiny)
            known = width < endless
            gains[i] = slope if known else zero
            middles[i] = top * half_ if known else zero
            charges[i] = (half * up + tiny + top * added) * up + tiny if known else endless


@compiled(
    "(F[:, :, ::1], F[:, ::1], UniTuple(float64, 5), UniTuple(float64, 3), int64[::1], "
    "UniTuple(F[:, ::1], 3), float64[::1])"
)
def clamp_lines(
    lines: Array,
    error: Array,
    own: tuple[float, float, float, float, float],
    levels: tuple[float, float, float],
    index: Array,
    made: tuple[Array, Array, Array],
    sums: Array,
) -> None:
    """Write the lines in place of ``min(max(x, first), last)``; as ``rectifier_lines`` else.

    Args:
        lines: shape (1 + k, rows, n).
        error: shape (rows, n).
        own: as there.
        levels: first < last, either may be infinite, and by how much they are off.
        index: rows that are wanted, int64.
        made: slopes, constants and errors, each of shape (wanted, n); the errors are positive.
        sums: float64, shape (wanted,): bounds on the sums of the absolute values.
    """
    kind = error.dtype.type
    lift, share, up, tiny = kind(own[0]), kind(own[1]), kind(own[2]), kind(own[3])
    first, last, lost, added = kind(levels[0]), kind(levels[1]), kind(levels[2]), kind(own[4])
    zero, endless = kind(0.0), kind(math.inf)
    for at in range(len(index)):
        r = index[at]
        gains, middles, charges = made[0][at], made[1][at], made[2][at]
        _peaks(lines, error, (own[0], own[2], own[3]), r, charges)
        sums[at] = _total(charges)
        for i in range(error.shape[1]):
            swing = zero
            for line in range(1, len(lines)):
                swing += abs(lines[line, r, i])
            c = lines[0, r, i]
            width = (swing + error[r, i]) * lift + abs(c) * share + tiny
            gain, middle, half = zero, zero, endless
            if width < endless:
                gain, middle, half = clamped(c - width, c + width, (first, last), (share, up, tiny))
            gains[i], middles[i] = gain, middle
            charges[i] = ((half + lost) * up + tiny + abs(middle) * added) * up + tiny


@compiled(
    "(F[:, :, :, :, :, ::1], UniTuple(int64, 2), UniTuple(int64, 2), UniTuple(int64, 2), UniTuple(int64, 2), "
    "F[:, :, :, :, ::1])"
)
def overlay(
    columns: Array,
    corner: tuple[int, int],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    out: Array,
) -> None:
    """Add up what windows send back: the transpose of copying windows side by side.

    Args:
        columns: shape (n, out height, out width, groups, kernel height * kernel width, channels per group).
        corner: pads above and on the left.
        kernel: height, width.
        strides: vertical, horizontal.
        dilations: vertical, horizontal.
        out: shape (n, height, width, groups, channels per group); overwritten.
    """
    count, high, wide, groups, _, channels = columns.shape
    given, taken = columns.reshape(-1), out.reshape(-1)
    taken[:] = 0
    height, width, depth = out.shape[1], out.shape[2], groups * channels
    # Places of a window that lie side by side in the image are added in one run.
    runs = 1 if groups == 1 and dilations[1] == 1 else kernel[1]
    many = kernel[1] // runs
    for at in range(count * high * wide):
        first_row = (at // wide % high) * strides[0] - corner[0]
        first = (at % wide) * strides[1] - corner[1]
        for group in range(groups):
            for down in range(kernel[0]):
                row = first_row + down * dilations[0]
                if row < 0 or row >= height:
                    continue
                for right in range(runs):
                    column = first + right * dilations[1]
                    start, stop = max(0, -column), min(many, width - column)
                    window = (at * groups + group) * kernel[0] + down
                    source = (window * kernel[1] + right + start) * channels
                    image = at // (high * wide)
                    target = ((image * height + row) * width + column + start) * depth + group * channels
                    length = (stop - start) * channels
                    if length <= 0:
                        continue
                    into, part = taken[target : target + length], given[source : source + length]
                    for i in range(length):
                        into[i] += part[i]
