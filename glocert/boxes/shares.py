"""How much of a box lies on one side of a hyperplane, rounded down; at most three parameters.

With ``b_j > 0`` and w uniform on [0, 1]^k,

    P(sum_j b_j w_j <= d) = sum_S (-1)^|S| max(0, d - sum_{j in S} b_j)^k / (k! prod_j b_j),

the sum over all subsets S. The alternating sum loses digits where some b_j is much smaller than another.
Slopes below 2^-10 of the largest are therefore counted as error instead. Scaled so that the largest b is 2,
d and the sums are at most 6, no power exceeds 6^3, and eight of them with less than forty roundings each,
over a product of at least 2 (2^-9)^2, are off by less than 8 * 216 * 40 * 2^-53 * 2^17 / 6 < 2^-20; that much
is taken off.
"""

from __future__ import annotations

from itertools import product
from math import factorial

import numpy as np
from numpy.typing import NDArray

from glocert.rounding import CHARGE

Float64 = NDArray[np.float64]

MOST_PARAMETERS = 3
_SLIGHT = 2.0**-10
_SLACK = 2.0**-20


def positive(centre: Float64, slopes: Float64, error: Float64) -> Float64:
    """Return lower bounds of the share of [-1, 1]^k on which ``centre + slopes u - error > 0`` is proven.

    Args:
        centre: shape (n,).
        slopes: shape (k, n), 1 <= k <= 3.
        error: shape (n,), >= 0; nothing is proven where it is not finite.

    Returns:
        Shape (n,), in [0, 1].
    """
    size = np.abs(slopes)
    largest = size.max(0)
    slight = size < _SLIGHT * largest
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        offset = centre - error - np.where(slight, size, 0.0).sum(0)
        offset -= (np.abs(centre) + error + size.sum(0)) * CHARGE
        scaled, level = np.where(slight, 0.0, size / largest), offset / largest
        share = _below(scaled, level + scaled.sum(0)) - _SLACK
    flat = largest == 0
    share = np.where(flat, np.where(offset > 0, 1.0, 0.0), share)
    known = np.isfinite(error) & np.isfinite(centre)
    return np.clip(np.where(known, np.nan_to_num(share, nan=0.0), 0.0), 0.0, 1.0)


def _below(half: Float64, level: Float64) -> Float64:
    """Return P(sum 2 half_j w_j <= level); axes with ``half`` zero take no part."""
    taking = half > 0
    count = taking.sum(0)
    total = np.zeros_like(level)
    level = np.minimum(level, 2.0 * half.sum(0))
    for subset in product((0, 1), repeat=len(half)):
        chosen = np.array(subset, bool)
        inside = (taking | ~chosen[:, None]).all(0)
        rest = np.maximum(level - 2.0 * (half * chosen[:, None]).sum(0), 0.0)
        total += np.where(inside, (-1.0) ** chosen.sum() * rest**count, 0.0)
    factors = np.array([factorial(n) for n in range(len(half) + 1)], np.float64)
    return np.asarray(total / (factors[count] * np.where(taking, 2.0 * half, 1.0).prod(0)))
