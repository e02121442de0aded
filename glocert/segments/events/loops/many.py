"""Many short paths one after the other, in the same memory and without a call of Python between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocert.compiled import compiled
from glocert.segments.events.loops.begin import begin
from glocert.segments.events.loops.bend import copy
from glocert.segments.events.loops.follow import follow
from glocert.segments.events.loops.radius import radius
from glocert.segments.events.loops.tables import (
    OFFSET,
    PLAN,
    STATE,
    VALUE,
    Float64,
    Int64,
    Place,
    Plan,
)
from glocert.segments.loops.decision import Spans, decided

FACTS = 9
"""numbers of a path: the six of ``decided``, the smallest margin that is proven negative, its t, and how far
the path was followed"""
COUNTS = 4
"""of a path: pieces, parts that are proven, parts that are possible, and whether all numbers are finite"""

_NETWORK = "Tuple((int64[::1], float64[::1], float64[::1], int64[::1]))"
_LINES = "UniTuple(float64[:, ::1], 3)"
_ASKED = "Tuple((int64[::1], float64[::1]))"


@compiled(f"({PLAN}, {PLAN}, {_NETWORK}, UniTuple(float64[::1], 2), {_LINES}, {_ASKED}, int64)")
def followed(
    plan: Plan,
    absolute: Plan,
    network: tuple[Int64, Float64, Float64, Int64],
    factors: tuple[Float64, Float64],
    lines: tuple[Float64, Float64, Float64],
    asked: tuple[Int64, Float64],
    room: int,
) -> tuple[Float64, NDArray[np.int64], Spans, Spans]:
    """Follow each path from its start for one run, and decide about its label.

    Args:
        plan: the network.
        absolute: the same with the absolute weights.
        network: layer of each block, constants, their sizes, and where each score lies in the last layer.
        factors: see ``loops.radius``.
        lines: the input at the start of each path, its change, and by how much both may be off; shape
            (paths, inputs).
        asked: labels and margins.
        room: most vertices of a run.

    Returns:
        Facts of shape (paths, FACTS), counts of shape (paths, COUNTS), and the parts of all paths, one path
        after the other, that are proven and that are possible.
    """
    owner, shifts, sizes, places = network
    place = (
        np.empty((STATE, len(shifts))),
        np.empty(len(owner)),
        np.empty((len(plan[0]), 4), np.int64),
        owner,
        np.empty(len(shifts), np.int64),
    )
    times, scores, error = np.empty(room + 1), np.empty((room + 1, len(places))), np.empty(len(places))
    paths = len(asked[0])
    facts, counts = np.zeros((paths, FACTS)), np.zeros((paths, COUNTS), np.int64)
    safe, maybe = [(error[:0], error[:0])], [(error[:0], error[:0])]
    for p in range(paths):
        line = lines[0][p], lines[1][p], lines[2][p]
        count, reached = _run((plan, absolute), place, (shifts, sizes), line, factors, (times, scores, error))
        ordered = _ordered(scores[:count], places)
        proven, possible, wrong, found = decided(
            times[:count], ordered, error[places], asked[0][p], asked[1][p]
        )
        safe.append(proven)
        maybe.append(possible)
        counts[p, 0], counts[p, 1], counts[p, 2] = count - 1, len(proven[0]), len(possible[0])
        counts[p, 3] = len(found) > 0
        _note(facts[p], found, wrong, reached)
    return facts, counts, _together(safe), _together(maybe)


@compiled
def _run(
    plans: tuple[Plan, Plan],
    place: Place,
    constants: tuple[Float64, Float64],
    line: tuple[Float64, Float64, Float64],
    factors: tuple[Float64, Float64],
    found: tuple[Float64, Float64, Float64],
) -> tuple[int, float]:
    """Write vertices and radius of one run; return how many vertices there are, and where it ends."""
    (times, scores, error), (start, change, off) = found, line
    room, last = len(times) - 1, plans[0][0][len(plans[0][0]) - 1]
    begin(plans[0], place, constants[0], (start, change), (0.0, 1.0))
    count, _, reached = follow(plans[0], place, (0.0, 1.0), (times[:room], scores[:room]))
    radius(plans[1], place, (off, constants[1]), reached, factors, error)
    if reached > times[count - 1]:
        times[count] = reached
        copy(place[0][VALUE][last[OFFSET] :], scores[count])
        count += 1
    return count, reached


@compiled
def _note(facts: Float64, found: Float64, wrong: Spans, reached: float) -> None:
    """Write the facts of a path, of its violations the worst."""
    facts[: len(found)] = found
    facts[6], facts[8] = np.inf, reached
    if len(wrong[1]) > 0:
        at = np.argmin(wrong[1])
        facts[6], facts[7] = wrong[1][at], wrong[0][at]


@compiled
def _ordered(scores: Float64, places: Int64) -> Float64:
    """Return scores, which lie as in memory, in the order of the network's output."""
    found = np.empty(scores.shape)
    for i in range(len(scores)):
        for k in range(len(places)):
            found[i, k] = scores[i, places[k]]
    return found


@compiled
def _together(parts: list[Spans]) -> Spans:
    """Return the parts of all paths one after the other."""
    total = 0
    for start, _ in parts:
        total += len(start)
    starts, stops, at = np.empty(total), np.empty(total), 0
    for start, stop in parts:
        starts[at : at + len(start)], stops[at : at + len(start)] = start, stop
        at += len(start)
    return starts, stops
