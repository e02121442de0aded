"""The rectangles of the ablation, and the smallest rectangle around what a picture shows.

The data set is the one of GCert's ablation: a filled square of 16 x 16 pixels on 32 x 32, moved, stretched
and, where asked, turned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SIDE, SQUARE = 32, 16
_FINE = 4
"""Samples per pixel and axis of a drawn rectangle."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """The smallest rectangle around something.

    Attributes:
        x: column of its centre, in pixels from the left edge.
        y: row of its centre, in pixels from the upper edge.
        long: its longer side, in pixels.
        short: its shorter side.
        angle: of its first side above the rows, counter-clockwise, in degrees, in [0, 90).
    """

    x: float
    y: float
    long: float
    short: float
    angle: float

    @property
    def area(self) -> float:
        """In square pixels."""
        return self.long * self.short

    @property
    def aspect(self) -> float:
        """Longer side over shorter."""
        return self.long / max(self.short, 1e-9)


def drawn(
    count: int, rng: np.random.Generator, *, turned: bool = False, moved: int = 8, stretched: float = 0.5
) -> NDArray[np.uint8]:
    """Draw rectangles.

    Args:
        count: how many.
        rng: of their places and sizes.
        turned: whether they are turned by -90 to 90 degrees, in steps of 10.
        moved: by up to so many whole pixels along each axis.
        stretched: along each axis by a factor of 1 - stretched to 1 + stretched, in tenths.

    Returns:
        uint8, shape (count, SIDE, SIDE).
    """
    x, y = (SIDE / 2 + rng.integers(-moved, moved + 1, count) for _ in range(2))
    tenths = round(10 * stretched)
    width, height = (SQUARE * (1 + rng.integers(-tenths, tenths + 1, count) / 10) for _ in range(2))
    angle = 10.0 * rng.integers(-9, 10, count) if turned else np.zeros(count)
    return pictures(x, y, width, height, angle)


def pictures(x: Floats, y: Floats, width: Floats, height: Floats, angle: Floats) -> NDArray[np.uint8]:
    """Draw rectangles with given centres, sides (pixels) and angles (degrees); each array of shape (N,)."""
    at = (np.arange(SIDE * _FINE) + 0.5) / _FINE
    across, down = at[None, None, :] - x[:, None, None], at[None, :, None] - y[:, None, None]
    cosine, sine = np.cos(np.radians(angle))[:, None, None], np.sin(np.radians(angle))[:, None, None]
    along, upright = across * cosine - down * sine, across * sine + down * cosine
    inside = (np.abs(along) <= width[:, None, None] / 2) & (np.abs(upright) <= height[:, None, None] / 2)
    shares = inside.reshape(len(x), SIDE, _FINE, SIDE, _FINE).mean(axis=(2, 4))
    return np.asarray(np.rint(255 * shares), dtype=np.uint8)


def enclosing(image: Floats, level: float = 0.5) -> Rectangle | None:
    """Return the smallest rectangle around all that is brighter than a level; ``None`` where nothing is.

    The outline lies between pixels, where values interpolated along rows and columns cross the level: it
    moves as smoothly as the picture does.

    Args:
        image: float64, shape (height, width).
        level: in units of the image.
    """
    hull = _hull(_outline(np.pad(np.asarray(image, dtype=np.float64), 1), level))
    if len(hull) < 3:
        return None
    best: Rectangle | None = None
    for start, stop in zip(hull, np.roll(hull, -1, axis=0), strict=True):
        found = _resting_on(hull, stop - start)
        if best is None or found.area < best.area:
            best = found
    return best


def areas(image: Floats, angles: Floats, level: float = 0.5) -> Floats | None:
    """Return the areas of the smallest rectangles of given angles around what is brighter than a level.

    Args:
        image: float64, shape (height, width).
        angles: above the rows, counter-clockwise, in degrees, shape (N,).
        level: in units of the image.

    Returns:
        Square pixels, shape (N,); ``None`` where nothing is brighter.
    """
    hull = _hull(_outline(np.pad(np.asarray(image, dtype=np.float64), 1), level))
    if len(hull) < 3:
        return None
    cosine, sine = np.cos(np.radians(angles)), np.sin(np.radians(angles))
    along, upright = hull @ np.stack([cosine, -sine]), hull @ np.stack([sine, cosine])
    return np.asarray(np.ptp(along, axis=0) * np.ptp(upright, axis=0))


def unwrapped(angles: list[float]) -> Floats:
    """Return angles in [0, 90) as a continuous course: no step is longer than 45 degrees."""
    return np.asarray(np.unwrap(np.asarray(angles), period=90.0))


def _outline(padded: Floats, level: float) -> Floats:
    """Return crossing points (x, y), shape (N, 2), in pixels from the corner of the unpadded image."""
    points = []
    for axis in (0, 1):
        low, high = (padded[:-1], padded[1:]) if axis == 0 else (padded[:, :-1], padded[:, 1:])
        row, column = np.nonzero((low > level) != (high > level))
        a, b = low[row, column], high[row, column]
        share = (level - a) / (b - a)
        x, y = (column + share, row) if axis else (column, row + share)
        points.append(np.stack([x - 0.5, y - 0.5], axis=1))
    return np.concatenate(points)


def _hull(points: Floats) -> Floats:
    """Return the corners of the convex hull in order (Andrew's monotone chain)."""
    ordered = sorted(set(map(tuple, points.tolist())))
    half: list[list[tuple[float, float]]] = []
    for sequence in (ordered, ordered[::-1]):
        chain: list[tuple[float, float]] = []
        for point in sequence:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
                chain.pop()
            chain.append(point)
        half.append(chain[:-1])
    return np.asarray(half[0] + half[1]).reshape(-1, 2)


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _resting_on(hull: Floats, side: Floats) -> Rectangle:
    along = side / np.linalg.norm(side)
    upright = np.array([-along[1], along[0]])
    u, v = hull @ along, hull @ upright
    extents = float(np.ptp(u)), float(np.ptp(v))
    centre = along * (u.max() + u.min()) / 2 + upright * (v.max() + v.min()) / 2
    angle = math.degrees(math.atan2(-along[1], along[0])) % 90.0
    return Rectangle(float(centre[0]), float(centre[1]), max(extents), min(extents), angle)
