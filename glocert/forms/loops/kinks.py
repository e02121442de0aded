"""Functions of one number with kinks, on flat forms."""

from __future__ import annotations

import math

import numpy as np

from glocert.compiled import compiled
from glocert.forms.loops.views import Array


@compiled
def rectified(
    centre: float, width: float, charge: float, up: float, tiny: float
) -> tuple[float, float, float]:
    """Return the line in place of ``max(x, 0)`` within a width of a centre: slope, twice the constant, error.

    The error is 0 where the line is the function itself. All numbers are of one type.
    """
    zero, one = tiny - tiny, up / up
    low, high = centre - width, centre + width
    above = high if high > zero else zero
    below = low if low < zero else zero
    reach = above - below
    gain = above / (reach if reach > tiny else tiny)
    first, last = (one - gain) * above, -(gain * below)
    top = first if first > last else last
    half = top * (up / (one + one) + charge) + gain * above * charge + tiny
    return gain, top, half if top > zero else zero


@compiled("(F[:, ::1], F[::1], UniTuple(float64, 4), F[:, ::1], F[::1])")
def rectify(
    lines: Array, error: Array, own: tuple[float, float, float, float], out: Array, bound: Array
) -> None:
    """Replace ``max(x, 0)`` by lines, number by number, see ``glocert.forms.ops.kinks.rectifier``.

    What is not finite gets an infinite error.

    Args:
        lines: shape (1 + k, n).
        error: shape (n,).
        own: ``1 + (k + 3) charge``, charge, up and tiny of the number type.
        out: shape (1 + k, n).
        bound: shape (n,), the new error.
    """
    kind = error.dtype.type
    lift, charge, up, tiny = kind(own[0]), kind(own[1]), kind(own[2]), kind(own[3])
    zero, half_, endless = kind(0.0), kind(0.5), kind(math.inf)
    gains = np.empty_like(error)
    gains[:] = zero
    for line in range(1, len(lines)):
        for j in range(len(error)):
            gains[j] += abs(lines[line, j])
    for j in range(len(error)):
        c, e = lines[0, j], error[j]
        width = (gains[j] + e) * lift + abs(c) * charge + tiny
        gain, top, half = rectified(c, width, charge, up, tiny)
        passed = e * gain
        loose = (passed + half) * up
        fresh = loose if top > zero else passed
        bound[j] = fresh if width < endless else endless
        out[0, j] = c * gain + top * half_
        gains[j] = gain
    for line in range(1, len(lines)):
        for j in range(len(error)):
            out[line, j] = lines[line, j] * gains[j]


@compiled
def clamped(
    low: float, high: float, levels: tuple[float, float], own: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Return the line in place of ``min(max(x, first), last)`` on [low, high]: slope, constant and error.

    Args:
        low: of the number type, finite.
        high: not below it.
        levels: first < last, either may be infinite.
        own: charge, up and tiny.
    """
    (first, last), (charge, up, tiny) = levels, own
    zero, one = low - low, up / up
    if low >= first and high <= last:
        return one, zero, zero
    if high <= first:
        return zero, first, zero
    if low >= last:
        return zero, last, zero
    at_low, at_high = min(max(low, first), last), min(max(high, first), last)
    gain = (at_high - at_low) / (high - low)
    one_end, other_end = at_low - gain * low, at_high - gain * high
    top, bottom = max(one_end, other_end), min(one_end, other_end)
    scale = max(abs(at_low), abs(at_high))
    for level in (first, last):
        if low < level < high:
            miss = level - gain * level
            top, bottom = max(top, miss), min(bottom, miss)
            scale = max(scale, abs(level))
    scale = scale + abs(gain) * max(abs(low), abs(high))
    half = ((top - bottom) / (one + one) + scale * charge) * up + tiny
    return gain, (top + bottom) / (one + one), half


@compiled("(F[:, ::1], F[::1], UniTuple(float64, 4), UniTuple(float64, 3), F[:, ::1], F[::1])")
def clamp(
    lines: Array,
    error: Array,
    own: tuple[float, float, float, float],
    levels: tuple[float, float, float],
    out: Array,
    bound: Array,
) -> None:
    """Replace ``min(max(x, first), last)`` by lines, number by number, see ``glocert.forms.ops.kinks.chord``.

    What is not finite gets an infinite error.

    Args:
        lines: shape (1 + k, n).
        error: shape (n,).
        own: ``1 + (k + 3) charge``, charge, up and tiny of the number type.
        levels: first < last, either may be infinite, and by how much they are off.
        out: shape (1 + k, n).
        bound: shape (n,), the new error.
    """
    kind = error.dtype.type
    lift, charge, up, tiny = kind(own[0]), kind(own[1]), kind(own[2]), kind(own[3])
    first, last, lost = kind(levels[0]), kind(levels[1]), kind(levels[2])
    zero, endless = kind(0.0), kind(math.inf)
    for j in range(len(error)):
        swing = zero
        for i in range(1, len(lines)):
            swing += abs(lines[i, j])
        width = (swing + error[j]) * lift + abs(lines[0, j]) * charge + tiny
        gain, middle, half = zero, zero, endless
        if width < endless:
            low, high = lines[0, j] - width, lines[0, j] + width
            gain, middle, half = clamped(low, high, (first, last), (charge, up, tiny))
        fresh = abs(error[j] * gain)
        if half > zero:
            fresh = (fresh + half) * up
        bound[j] = (fresh + lost) * up if lost > zero else fresh
        out[0, j] = lines[0, j] * gain + middle
        for i in range(1, len(lines)):
            out[i, j] = lines[i, j] * gain
