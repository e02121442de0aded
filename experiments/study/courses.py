"""Which way the smallest rectangle around a picture turns, along a row of pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.study.rectangles import areas, enclosing, unwrapped

Floats = NDArray[np.float64]
_QUARTER = 180
"""Angles of a profile, half a degree apart: a rectangle turned by 90 degrees is itself."""


@dataclass(frozen=True, slots=True)
class Course:
    """Angles along a row of pictures.

    Attributes:
        angles: in degrees, counter-clockwise, without jumps of a quarter; empty where a picture is blank.
    """

    angles: Floats

    @classmethod
    def of_smallest(cls, images: Iterable[Floats]) -> Course:
        """Follow the smallest rectangle; images of shape (height, width)."""
        found = [enclosing(image) for image in images]
        whole = [one.angle for one in found if one is not None]
        return cls(unwrapped(whole) if len(whole) == len(found) else np.zeros(0))

    @classmethod
    def of_all(cls, images: Iterable[Floats]) -> Course:
        """Follow by how much the areas of the enclosing rectangles of all angles have turned, as a whole.

        Around a round digit many rectangles are nearly as small as the smallest, and pixels decide which one
        that is: alone it jumps, even where the digit is truly turned.
        """
        steps = np.arange(_QUARTER)
        found = [areas(image, steps * (90.0 / _QUARTER)) for image in images]
        whole = [_centred(one) for one in found if one is not None]
        if not whole or len(whole) < len(found):
            return cls(np.zeros(0))
        turns = whole[0][(steps[:, None] - steps[None, :]) % _QUARTER]
        shifts = [int(np.square(turns.T - one).sum(axis=1).argmin()) for one in whole]
        return cls(unwrapped([shift * 90.0 / _QUARTER for shift in shifts]))

    @property
    def turned(self) -> float:
        """From the first picture to the last, in degrees; 0 where there is nothing to follow."""
        return float(self.angles[-1] - self.angles[0]) if self.angles.size else 0.0

    def forward(self, tolerance: float) -> bool:
        """Whether it turns counter-clockwise in every step, or back by no more than a tolerance (degrees)."""
        return self.angles.size > 1 and bool((np.diff(self.angles) >= -tolerance).all()) and self.turned > 0


def agreement(first: Sequence[Course], second: Sequence[Course]) -> float:
    """Return the median over pairs of the largest distance of their angles, each from its own start."""
    apart = [
        float(np.abs((one.angles - one.angles[0]) - (other.angles - other.angles[0])).max())
        for one, other in zip(first, second, strict=True)
        if one.angles.size and other.angles.size
    ]
    return float(np.median(apart))


def _centred(found: Floats) -> Floats:
    """Return the logarithms of areas about their mean: the size of a digit is not its angle."""
    level = np.log(found)
    return np.asarray(level - level.mean())
