"""How much an event sets in motion. No answer depends on it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from glocert.segments.events.loops import workload as loops
from glocert.segments.events.loops.tables import BENT, CHANNELS, HEIGHT, KIND, WIDTH
from glocert.segments.events.network import Network


class Workload(NamedTuple):
    """Averages over all units that switch.

    Attributes:
        products: of an event.
        renewed: units whose slope an event changes.
        everything: products of one pass of all units through the network.
    """

    products: float
    renewed: float
    everything: float


def workload(network: Network, share: float) -> Workload:
    """Follow a unit in the middle of each layer through the network.

    Args:
        network: what events go through.
        share: of the changes behind a rectifier that are not zero.
    """
    plan, layers = network.plan, network.plan[0]
    sizes = layers[:, HEIGHT] * layers[:, WIDTH] * layers[:, CHANNELS]
    boxes, counts = np.empty((len(layers), 4), np.int64), np.empty(len(layers))
    found, total, units = np.empty(2), np.zeros(2), 0
    for first in np.flatnonzero(layers[:, KIND] == BENT).tolist():
        loops.event(plan, first, share, boxes, counts, found)
        total += sizes[first] * found
        units += int(sizes[first])
    products, renewed = (total / max(units, 1)).tolist()
    everything = sum(loops.products(plan, layer) for layer in range(1, len(layers)))
    return Workload(products, renewed, float(everything))
