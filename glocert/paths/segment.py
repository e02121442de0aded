"""A straight line between two images, known up to a radius."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """The path ``x(t) = (1 - t) a + t b``, t in [0, 1], before any clamp.

    Attributes:
        start: float64, shape of the graph's input: the stored ``a``.
        stop: same shape: the stored ``b``.
        radius: same shape, >= 0: proven bound on how far each stored end is from the exact one, so that the
            exact x(t) is within ``radius`` of the stored line at every t.
    """

    start: Float64
    stop: Float64
    radius: Float64
