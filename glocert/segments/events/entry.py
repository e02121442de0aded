"""Paths as they enter a network, and how far a run may go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glocert.budget import Budget
from glocert.paths.segment import Segment
from glocert.segments.events.layers import Float64
from glocert.segments.events.loops.entry import entered
from glocert.segments.events.network import Network


def lines(network: Network, paths: Sequence[Segment]) -> tuple[Float64, Float64, Float64]:
    """Return start, change and error of paths as the network's input in memory order, a row each."""
    start = np.array([path.start for path in paths], np.float64)
    stop = np.array([path.stop for path in paths], np.float64)
    radius = np.array([path.radius for path in paths], np.float64)
    count = len(paths)
    return entered(
        (start.reshape(count, -1), stop.reshape(count, -1), radius.reshape(count, -1)), network.entry
    )


def room_for(network: Network, budget: Budget, most: int) -> int:
    """Return how many vertices a run may have: two, or up to ``most`` where memory and budget allow."""
    fits = budget.block_bytes // (8 * (len(network.exit) + 1))
    return max(2, min(most, budget.pieces + 1, fits))
