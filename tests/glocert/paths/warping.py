"""Moved images to forty digits, written again without the code under test."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import mpmath
import numpy as np
import torch

from glocert.paths.motions import Joined, Rotation, Scaling, Shear, Translation

mpmath.mp.dps = 40


def number(x: Fraction | float) -> mpmath.mpf:
    x = Fraction(x)
    return mpmath.mpf(x.numerator) / x.denominator


def between(start: float, stop: float, t: Fraction) -> mpmath.mpf:
    return number(Fraction(start) + t * (Fraction(stop) - Fraction(start)))


def source(motion, t: Sequence[Fraction], x, y):
    """Return the place that the pixel at (x, y) from the centre shows."""
    if isinstance(motion, Joined):
        for part in motion.parts[::-1]:
            own, t = t[len(t) - part.dimensions :], t[: len(t) - part.dimensions]
            x, y = source(part, own, x, y)
        return x, y
    if isinstance(motion, Translation):
        right, down = (between(a, b, t[0]) for a, b in zip(motion.start, motion.stop, strict=True))
        return x - right, y - down
    value = between(motion.start, motion.stop, t[0])
    if isinstance(motion, Scaling):
        return x / value, y / value
    if isinstance(motion, Shear):
        return x + value * y, y
    assert isinstance(motion, Rotation)
    angle = value * mpmath.pi / 180
    along, across = mpmath.cos(angle), mpmath.sin(angle)
    return along * x - across * y, across * x + along * y


def true_pixel(image: np.ndarray, motion, t: Sequence[Fraction], place: tuple[int, int, int]) -> mpmath.mpf:
    """Return one pixel of the moved image."""
    channel, row, column = place
    _, height, width = image.shape
    middle = number(Fraction(width - 1, 2)), number(Fraction(height - 1, 2))
    x, y = source(motion, t, column - middle[0], row - middle[1])
    x, y = x + middle[0], y + middle[1]
    left, top = int(mpmath.floor(x)), int(mpmath.floor(y))
    total = mpmath.mpf(0)
    for i in (top, top + 1):
        for j in (left, left + 1):
            if 0 <= i < height and 0 <= j < width:
                total += number(float(image[channel, i, j])) * (1 - abs(x - j)) * (1 - abs(y - i))
    return total


def rows(pairs: Sequence[tuple[Sequence[float], Sequence[float]]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (middle, half) of boxes."""
    middle, half = zip(*pairs, strict=True)
    return torch.tensor(middle, dtype=torch.float64), torch.tensor(half, dtype=torch.float64)


def excess(enclosure, row: int, place: tuple[int, int, int], u: Sequence[Fraction], truth: mpmath.mpf):
    """Return how far a true pixel is from the line, as a share of the error that is admitted."""
    values = [number(float(line[(row, *place)])) for line in enclosure.lines]
    line = values[0] + sum((a * number(b) for a, b in zip(values[1:], u, strict=True)), mpmath.mpf(0))
    return abs(truth - line) / number(float(enclosure.error[(row, *place)]))
