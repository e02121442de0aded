"""What is known about one path of several parameters, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glocert.report import Interval
from glocert.spec import Verdict

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class BoxReport:
    """Answer about one path through [0, 1]^k and one label.

    Attributes:
        verdict: ``certified``, ``falsified`` or ``undecided``; a violation is proven in real arithmetic.
        robust_mass: share of [0, 1]^k on which the property is proven to hold, and its proven upper bound.
        certified_to: the property is proven on [0, certified_to]^k; -1.0 where not even near 0.
        witnesses: points of proven violations, the clearest first.
        pieces: boxes that were bounded.
        safe: boxes that are proven as a whole, as (lower, upper) ends, shape (n, 2, k).
        violated: boxes that are refuted as a whole.
        reason: why ``undecided``: ``budget``, ``tie``, ``numeric`` or ``non-finite``.
        next_step: what the user can do about it.
    """

    verdict: Verdict
    robust_mass: Interval
    certified_to: float
    witnesses: tuple[tuple[float, ...], ...]
    pieces: int
    safe: Float64
    violated: Float64
    reason: str = ""
    next_step: str = ""
