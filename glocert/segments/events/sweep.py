"""Following a segment event by event."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glocert.budget import Budget
from glocert.paths.segment import Segment
from glocert.segments.events.entry import lines, room_for
from glocert.segments.events.layers import Float64
from glocert.segments.events.loops.tables import CHANNELS, HEIGHT, OFFSET, STATE, VALUE, WIDTH
from glocert.segments.events.network import Network
from glocert.segments.pieces import Run


def runs(
    network: Network,
    segment: Segment,
    budget: Budget,
    span: tuple[float, float] = (0.0, 1.0),
    room: int | None = None,
) -> Iterator[Run]:
    """Follow a part of a segment; yield the curve of its scores in order of t.

    Stops early, between two runs, when the budget's deadline has passed: the rest is then missing.

    Args:
        network: what it goes through.
        segment: the path.
        budget: limits.
        span: the part, start below stop.
        room: most vertices of a run, those of the network's loops where none is given; fewer where the budget
            asks for it.
    """
    start, change, off = (rows[0] for rows in lines(network, [segment]))
    loops, layers = network.loops, network.plan[0]
    state = np.empty((STATE, network.units))
    place = (
        state,
        np.empty(len(network.owner)),
        np.empty((len(layers), 4), np.int64),
        network.owner,
        np.empty(network.units, np.int64),
    )
    end = layers[-1]
    own = slice(end[OFFSET], end[OFFSET] + end[HEIGHT] * end[WIDTH] * end[CHANNELS])
    now, stop = float(span[0]), float(span[1])
    room = room_for(network, budget, room or loops.room)
    while now < stop and not budget.out_of_time:
        loops.begin(network.plan, place, network.shifts, (_at(start, change, now), change), (now, stop))
        times, scores = np.empty(room), np.empty((room, own.stop - own.start))
        count, _, reached = loops.follow(network.plan, place, (now, stop), (times, scores))
        known, factors = (off, network.sizes), (network.gammas, network.lifts)
        error = np.empty(own.stop - own.start)
        loops.radius(network.absolute, place, known, reached, factors, error)
        times, scores = times[:count], scores[:count]
        if reached > times[-1]:
            times, scores = np.append(times, reached), np.vstack([scores, state[VALUE, own]])
        yield Run(times, scores.take(network.exit, axis=1), error[network.exit])
        now = reached


def _at(start: Float64, change: Float64, now: float) -> Float64:
    with np.errstate(all="ignore"):
        return start + now * change
