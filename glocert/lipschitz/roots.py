"""Roots of unity with a proven error, from whole numbers only: no library's cosine is trusted.

Angles are reduced to an eighth of a turn by whole numbers. There the Taylor series of cosine and sine are
summed in fixed point with 160 bits. The angle is at most 0.79, so the terms that are left out are below
2^-160; fewer than 80 roundings of one unit each and the error of pi leave the sum within 2^-150; rounding
to float64 adds at most 2^-54 for numbers not above one.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

ERROR = 2.0**-53
"""Bound on the error of each real and imaginary part."""

_BITS = 160
_ONE = 1 << _BITS


@lru_cache(maxsize=64)
def roots_of_unity(count: int) -> Tensor:
    """Return ``exp(2 pi i j / count)`` for j = 0 ... count - 1, complex128; each part within ``ERROR``."""
    values = [_root(j, count) for j in range(count)]
    return torch.tensor(values, dtype=torch.complex128)


def _root(j: int, count: int) -> complex:
    """Return one root; ``8 j / count`` names the eighth of a turn that it lies in."""
    eighth, rest = divmod(8 * j, count)
    if eighth % 2:
        rest = count - rest
    cosine, sine = (_as_float(part) for part in _first_eighth(rest, count))
    quadrant = (
        (cosine, sine),
        (sine, cosine),
        (-sine, cosine),
        (-cosine, sine),
        (-cosine, -sine),
        (-sine, -cosine),
        (sine, -cosine),
        (cosine, -sine),
    )[eighth]
    return complex(*quadrant)


def _as_float(fixed: int) -> float:
    """Return a fixed-point number, correctly rounded."""
    return fixed / _ONE


def _first_eighth(part: int, count: int) -> tuple[int, int]:
    """Return cosine and sine of ``2 pi part / (8 count)`` in fixed point, for 0 <= part <= count."""
    angle = _pi() * part // (4 * count)
    square = angle * angle >> _BITS
    cosine, sine, term_c, term_s, n = 0, 0, _ONE, angle, 0
    while term_c or term_s:
        sign = -1 if n % 2 else 1
        cosine, sine = cosine + sign * term_c, sine + sign * term_s
        n += 1
        term_c = (term_c * square >> _BITS) // ((2 * n - 1) * (2 * n))
        term_s = (term_s * square >> _BITS) // ((2 * n) * (2 * n + 1))
    return cosine, sine


@lru_cache(maxsize=1)
def _pi() -> int:
    """Return pi in fixed point, by Machin's formula with sixteen more bits than are kept."""
    one = _ONE << 16

    def arctan_of_inverse(x: int) -> int:
        total, power, n = 0, one // x, 1
        while power:
            total += power // n if n % 4 == 1 else -(power // n)
            power //= x * x
            n += 2
        return total

    return 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239)) >> 16
