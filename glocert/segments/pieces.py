"""A run of pieces of the curve of scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A run of pieces of the curve of scores that share one radius.

    Attributes:
        t: shape (vertices,), strictly increasing.
        scores: shape (vertices, classes), the network's output flattened.
        radius: shape (classes,): the exact scores are within it of the straight line between two vertices.
    """

    t: Float64
    scores: Float64
    radius: Float64
