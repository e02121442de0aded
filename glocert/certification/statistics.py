"""Statistics of right answers: Wilson's interval (JASA 22, 1927) and the sign test of McNemar (1947)."""

from __future__ import annotations

from math import comb, sqrt

import numpy as np
from numpy.typing import NDArray

from glocert.report import Interval

TWO_SIDED_95 = 1.959963984540054
"""quantile of the normal distribution"""


def wilson(right: int, items: int) -> Interval:
    """Return the 95 % interval of the share behind ``right`` of ``items``; [0, 1] for no item.

    A statistic, not a proof: rounding is not accounted for.
    """
    if items == 0:
        return Interval(0.0, 1.0)
    share, z2 = right / items, TWO_SIDED_95**2
    centre = (share + z2 / (2 * items)) / (1 + z2 / items)
    spread = TWO_SIDED_95 / (1 + z2 / items) * sqrt(share * (1 - share) / items + z2 / (4 * items**2))
    return Interval(min(share, max(0.0, centre - spread)), max(share, min(1.0, centre + spread)))


def alike(one: NDArray[np.bool_], other: NDArray[np.bool_], level: float = 0.05) -> bool:
    """Whether right answers on the same items cannot tell two candidates apart.

    Only items on which exactly one of them is right say anything; of those, each would have half if they were
    equally good (exact two-sided binomial test).

    Args:
        one: where the first is right, shape (items,).
        other: where the second is, same items.
        level: chance of calling equally good ones different.
    """
    first, second = int((one & ~other).sum()), int((other & ~one).sum())
    apart = first + second
    tail = sum(comb(apart, few) for few in range(min(first, second) + 1))
    return bool(2 * tail > level * 2**apart)
