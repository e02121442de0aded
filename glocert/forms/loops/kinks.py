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

    No branch depends on the numbers, so that a loop takes several at once; what is not used may be NaN.

    Args:
        low: of the number type.
        high: not below it.
        levels: first < last, either may be infinite.
        own: charge, up and tiny.
    """
    (first, last), (charge, up, tiny) = levels, own
    one = up / up
    zero, half_ = tiny - tiny, one / (one + one)
    same, constant = (low >= first) & (high <= last), (high <= first) | (low >= last)
    at_low = low if low > first else first
    at_low = at_low if at_low < last else last
    at_high = high if high > first else first
    at_high = at_high if at_high < last else last
    reach = high - low
    gain = (at_high - at_low) / (reach if reach > tiny else tiny)
    one_end, other_end = at_low - gain * low, at_high - gain * high
    top = one_end if one_end > other_end else other_end
    bottom = one_end if one_end < other_end else other_end
    scale = abs(at_low) if abs(at_low) > abs(at_high) else abs(at_high)
    for level in (first, last):
        miss, size, inside = level - gain * level, abs(level), (low < level) & (high > level)
        top = miss if inside & (miss > top) else top
        bottom = miss if inside & (miss < bottom) else bottom
        scale = size if inside & (size > scale) else scale
    scale += abs(gain) * (abs(low) if abs(low) > abs(high) else abs(high))
    half = ((top - bottom) * half_ + scale * charge) * up + tiny
    settled = same | constant
    slope = one if same else (zero if constant else gain)
    middle = zero if same else (at_low if constant else (top + bottom) * half_)
    return slope, middle, zero if settled else half


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
    gains = np.empty_like(error)
    gains[:] = zero
    for line in range(1, len(lines)):
        for j in range(len(error)):
            gains[j] += abs(lines[line, j])
    for j in range(len(error)):
        c, e = lines[0, j], error[j]
        width = (gains[j] + e) * lift + abs(c) * charge + tiny
        gain, middle, half = clamped(c - width, c + width, (first, last), (charge, up, tiny))
        passed = abs(e * gain)
        fresh = (passed + half) * up if half > zero else passed
        fresh = (fresh + lost) * up if lost > zero else fresh
        bound[j] = fresh if width < endless else endless
        out[0, j] = c * gain + middle
        gains[j] = gain
    for line in range(1, len(lines)):
        for j in range(len(error)):
            out[line, j] = lines[line, j] * gains[j]
