"""Units that switch between neighbouring points."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from glocert.compiled import compiled

Array = NDArray[Any]


@compiled("(float32[:, :, ::1], float64[:, ::1])")
def count(values: Array, switches: Array) -> None:
    """Add up how many numbers are on another side of zero at the next point.

    Args:
        values: shape (paths, points, n), in any order along n.
        switches: shape (paths, points - 1).
    """
    for path in range(values.shape[0]):
        for point in range(values.shape[1] - 1):
            here, there, total = values[path, point], values[path, point + 1], 0
            for i in range(len(here)):
                total += (here[i] > 0) != (there[i] > 0)
            switches[path, point] += total
