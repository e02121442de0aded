"""Max pooling of a block: where windows bend, and the refined block behind them, in one pass each.

Lines lie channels last. A window is a pixel of the output and a channel; its places are the same for every
channel, so they are given by the column of channel 0, and -1 where a place is padding, which never wins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocert.compiled import compiled
from glocert.rounding import CHARGE, TINY, UP
from glocert.segments.loops.extents import close, peak, widen
from glocert.segments.loops.grid import Places, arrived, between

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Windows = tuple[Int64, Int64, int]
"""the column of each coordinate in channels-last order, empty where they lie so; the columns of channel 0 of
the places of each pixel, shape (pixels, places); how many channels there are"""


@compiled("(float64[::1], float64[:, ::1], Tuple((int64[::1], int64[:, ::1], int64)))")
def cornered(t: Float64, values: Float64, windows: Windows) -> Float64:
    """Return the parameters strictly inside pieces at which the largest line of a window changes.

    Args:
        t: shape (vertices,); pieces that start at odd numbers lead from path to path and are not cut.
        values: shape (vertices, n).
        windows: of the pooling.
    """
    order, bases, channels = windows
    count, found = 0, np.empty(256)
    best, which = np.empty(len(bases) * channels), np.empty((2, len(bases) * channels), np.int64)
    before = row = ordered(values[0], order)
    for i in range(len(t)):
        before, row = row, ordered(values[i], order)
        pooled(row, windows, best, which[i % 2])
        if i == 0 or t[i - 1] % 2.0 == 1.0:
            continue
        for w in range(len(best)):
            if which[0, w] == which[1, w]:
                continue
            if count + bases.shape[1] > len(found):
                found = np.append(found, np.empty(len(found) + bases.shape[1]))
            lines = bases[w // channels]
            count = _envelope((before, row), (lines, w % channels), (t[i - 1], t[i]), found, count)
    return found[:count]


@compiled
def ordered(row: Float64, order: Int64) -> Float64:
    """Return a row in channels-last order."""
    return row[order] if len(order) else row


@compiled
def pooled(row: Float64, windows: Windows, best: Float64, which: Int64) -> None:
    """Write the maximum of each window and the first place that has it."""
    _, bases, channels = windows
    for pixel in range(len(bases)):
        start = pixel * channels
        top, place = best[start : start + channels], which[start : start + channels]
        top[:] = -np.inf
        place[:] = 0
        for k in range(bases.shape[1]):
            base = bases[pixel, k]
            if base < 0:
                continue
            line = row[base : base + channels]
            for c in range(channels):
                above = line[c] > top[c]
                top[c] = line[c] if above else top[c]
                place[c] = k if above else place[c]


@compiled
def _envelope(
    rows: tuple[Float64, Float64],
    window: tuple[Int64, int],
    ends: tuple[float, float],
    found: Float64,
    count: int,
) -> int:
    """Write the corners of the upper envelope of a window's lines.

    From the largest line at the start it goes to the steeper one that is met first, so slopes increase and no
    line comes twice; of lines that are met together the others follow at once. Nothing is proven about them.
    """
    (left, right), (bases, channel), (start, stop) = rows, window, ends
    level, slope = -np.inf, 0.0
    for base in bases:
        j = base + channel
        if base >= 0 and left[j] > level:
            level, slope = left[j], right[j] - left[j]
    for _ in range(len(bases) - 1):
        nearest, following = np.inf, -1
        for base in bases:
            j = base + channel
            if base >= 0 and right[j] - left[j] > slope:
                ratio = (level - left[j]) / (right[j] - left[j] - slope)
                if ratio < nearest:
                    nearest, following = ratio, j
        if not nearest < 1.0:
            break
        level, slope = left[following], right[following] - left[following]
        cut = start + max(nearest, 0.0) * (stop - start)
        if start < cut < stop:
            found[count] = cut
            count += 1
    return count


@compiled(
    "(float64[:, ::1], UniTuple(float64[::1], 3), float64[:, ::1],"
    " Tuple((float64[::1], int64[::1], int64[::1], float64[::1])), UniTuple(int64, 2),"
    " Tuple((int64[::1], int64[:, ::1], int64)))"
)
def maximal(
    values: Float64,
    about: tuple[Float64, Float64, Float64],
    out: Float64,
    places: Places,
    part: tuple[int, int],
    windows: Windows,
) -> tuple[Float64, Float64, Float64]:
    """Insert vertices, take maxima and charge in one pass; return radius, low and high behind the kink.

    The numbers are those of ``grid.refine`` and ``Maximum.bend`` and are proven there.

    Args:
        values: shape (old vertices, n).
        about: radius, low and high of the block, shape (n,) each.
        out: shape (last - first + 1, windows), filled.
        places: the new grid.
        part: first and last vertex of it that are wanted.
        windows: of the pooling.
    """
    (t, new, piece, share), (first, last) = places, part
    order = windows[0]
    whole = first == 0 and last == len(t) - 1
    which, hidden = np.empty((2, out.shape[1]), np.int64), np.zeros(out.shape[1])
    raw, rest = np.empty(values.shape[1]), np.zeros(values.shape[1])
    low, high = np.full(len(raw), np.inf), np.full(len(raw), -np.inf)
    start = np.searchsorted(new, first)
    at, row = start, raw
    for i in range(first, last + 1):
        before, raw = row, values[i - at]
        if at < len(new) and new[at] == i:
            raw = np.empty(values.shape[1])
            between(values[piece[at]], values[piece[at] + 1], share[at], raw)
            at += 1
        if not whole:
            widen(raw, low, high, rest)
        row = ordered(raw, order)
        pooled(row, windows, out[i - first], which[i % 2])
        if i > first and t[i - 1] % 2.0 != 1.0:
            maxima = out[i - 1 - first], out[i - first]
            _hide((before, row), maxima, (which[1 - i % 2], which[i % 2]), windows, hidden)
    close(low, high, rest)
    return _largest(arrived(about, (low, high), at > start, not whole), windows, hidden)


@compiled
def _hide(
    rows: tuple[Float64, Float64],
    maxima: tuple[Float64, Float64],
    which: tuple[Int64, Int64],
    windows: Windows,
    hidden: Float64,
) -> None:
    """Raise ``hidden`` to how far the chord may be above the envelope: nothing where one line wins twice."""
    (before, row), (left, right), (_, bases, channels) = rows, maxima, windows
    for w in range(len(hidden)):
        first, last = which[0][w], which[1][w]
        if first != last:
            pixel, channel = w // channels, w % channels
            at_right = right[w] - row[bases[pixel, first] + channel]
            at_left = left[w] - before[bases[pixel, last] + channel]
            hidden[w] = max(hidden[w], min(at_right, at_left))


@compiled
def _largest(
    about: tuple[Float64, Float64, Float64], windows: Windows, hidden: Float64
) -> tuple[Float64, Float64, Float64]:
    """Return radius, low and high of the maxima: the largest of each window, and what the pieces hide."""
    order, bases, channels = windows
    radius, low, high = ordered(about[0], order), ordered(about[1], order), ordered(about[2], order)
    found = np.zeros(len(hidden)), np.full(len(hidden), -np.inf), np.full(len(hidden), -np.inf)
    for w in range(len(hidden)):
        rest = 0.0
        for base in bases[w // channels]:
            j = base + w % channels
            if base >= 0:
                spread = radius[j] + CHARGE * peak(low[j], high[j])
                rest += spread * 0.0
                found[0][w] = max(found[0][w], spread)
                found[1][w] = max(found[1][w], low[j])
                found[2][w] = max(found[2][w], high[j])
        found[0][w] = (found[0][w] + hidden[w] * UP) * UP + TINY + rest
        found[1][w] += rest
        found[2][w] += rest
    return found
