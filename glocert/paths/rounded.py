"""Numbers that carry a proven bound on their own rounding error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glocert.paths.segment import Float64

UNIT_ROUNDOFF = 2.0**-53
_SLACK = 1.0 + 2.0**-48
_TINY = 2.0**-1040


@dataclass(frozen=True, slots=True, eq=False)
class Rounded:
    """A float64 array and how far each element may be from the exact number that it stands for.

    Let ``A``, ``B`` be exact, ``a``, ``b`` the stored values with ``|a - A| <= r`` and ``|b - B| <= s``,
    ``fl`` the rounded operation, ``u = 2**-53`` and ``h = 2**-1075`` half of the smallest subnormal number.
    Round to nearest gives

    - ``|fl(a + b) - (a + b)| <= u |fl(a + b)|``: sums never lose to underflow;
    - ``|fl(a b) - a b| <= u |fl(a b)| + h``;

    hence ``|fl(a + b) - (A + B)| <= r + s + u |fl(a + b)|`` and
    ``|fl(a b) - A B| <= |a| s + |b| r + r s + u |fl(a b)| + h``. The right-hand sides are themselves computed
    with at most eight roundings and five underflows; ``_SLACK`` pays for the former and ``_TINY`` for the
    latter. Where a value is so large that ``_TINY`` is rounded away, the slack alone exceeds the underflows.

    Attributes:
        value: float64.
        radius: float64, same shape, >= 0.
    """

    value: Float64
    radius: Float64

    @classmethod
    def exact(cls, value: Float64 | float) -> Rounded:
        """Take floating-point numbers that are exact by definition."""
        array = np.asarray(value, dtype=np.float64)
        return cls(array, np.zeros_like(array))

    def __add__(self, other: Rounded) -> Rounded:
        value = np.asarray(self.value + other.value)
        return Rounded(value, _upwards(self.radius + other.radius + UNIT_ROUNDOFF * np.abs(value)))

    def __sub__(self, other: Rounded) -> Rounded:
        return self + Rounded(-other.value, other.radius)

    def __mul__(self, other: Rounded) -> Rounded:
        value = np.asarray(self.value * other.value)
        inherited = (
            np.abs(self.value) * other.radius + np.abs(other.value) * self.radius + self.radius * other.radius
        )
        return Rounded(value, _upwards(inherited + UNIT_ROUNDOFF * np.abs(value)))

    def like(self, shape: tuple[int, ...]) -> Rounded:
        """Return the same numbers broadcast to ``shape``."""
        return Rounded(
            np.array(np.broadcast_to(self.value, shape)), np.array(np.broadcast_to(self.radius, shape))
        )


def _upwards(radius: Float64) -> Float64:
    return np.asarray(radius * _SLACK + _TINY)
