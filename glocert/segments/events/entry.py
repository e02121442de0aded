"""Paths as they enter a network, and how far a run may go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glocert.budget import Budget
from glocert.paths.segment import Segment
from glocert.rounding import CHARGE, UP
from glocert.segments.events.layers import Float64
from glocert.segments.events.network import Network


def lines(network: Network, paths: Sequence[Segment]) -> tuple[Float64, Float64, Float64]:
    """Return start, change and error of paths as the network's input in memory order, a row each.

    The change has a rounding, and a point on the path three more, all of numbers no larger than twice the
    largest of the ends: ``CHARGE`` is more.
    """
    start, stop, off = np.empty((3, len(paths), len(network.entry)))
    for at, path in enumerate(paths):
        start[at] = path.start.reshape(-1)[network.entry]
        stop[at] = path.stop.reshape(-1)[network.entry]
        off[at] = path.radius.reshape(-1)[network.entry]
    with np.errstate(all="ignore"):
        peak = np.maximum(np.abs(start), np.abs(stop))
        return start, stop - start, (off + CHARGE * peak) * UP


def room_for(network: Network, budget: Budget, most: int) -> int:
    """Return how many vertices a run may have: two, or up to ``most`` where memory and budget allow."""
    fits = budget.block_bytes // (8 * (len(network.exit) + 1))
    return max(2, min(most, budget.pieces + 1, fits))
