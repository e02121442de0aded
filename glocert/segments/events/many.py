"""Following many paths with one call for a few of them: short paths cost mostly calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glocert.budget import Budget
from glocert.laws import Span
from glocert.paths.segment import Segment
from glocert.segments.decision import Decided, pairs
from glocert.segments.events.entry import lines, room_for
from glocert.segments.events.layers import Float64
from glocert.segments.events.loops import many as loops
from glocert.segments.events.network import Network

Asked = tuple[Segment, int, float]
"""path, label and margin"""


class First(NamedTuple):
    """The first run of a path.

    Attributes:
        found: what it says.
        pieces: how many it has.
    """

    found: Decided
    pieces: int


def followed(network: Network, asked: Sequence[Asked], budget: Budget) -> list[First]:
    """Follow each path from its start for one run, most often to its end.

    Args:
        network: what they go through.
        asked: any number of questions.
        budget: limits of each.
    """
    start, change, off = lines(network, [path for path, _, _ in asked])
    labels = np.array([label for _, label, _ in asked], np.int64)
    required = np.array([margin for _, _, margin in asked], np.float64)
    constants = network.owner, network.shifts, network.sizes, network.exit
    facts, counts, safe, maybe = loops.followed(
        network.plan,
        network.absolute,
        constants,
        (network.gammas, network.lifts),
        (start, change, off),
        (labels, required),
        room_for(network, budget, network.loops.room),
    )
    proven, possible = _each(safe, counts[:, 1]), _each(maybe, counts[:, 2])
    pieces, _, _, finite = counts.T.tolist()
    said = map(_decided, facts.tolist(), finite, proven, possible)
    return [First(*one) for one in zip(said, pieces, strict=True)]


def _decided(row: list[float], finite: int, safe: list[Span], maybe: list[Span]) -> Decided:
    """Return what a run says; of the vertices with a violation only the worst is kept."""
    *found, worst, where, reached = row
    wrong = [(worst, where)] if worst < np.inf else []
    if not finite:
        return Decided((0.0, reached), safe, maybe, wrong, False)
    best, at, reach, everywhere, radius, scale = found
    return Decided(
        (0.0, reached), safe, maybe, wrong, True, (best, at), reach, bool(everywhere), radius, scale
    )


def _each(parts: tuple[Float64, Float64], counts: NDArray[np.int64]) -> Iterator[list[Span]]:
    """Yield the parts of each path, given how many each has."""
    every = pairs(parts)
    for first, last in pairwise([0, *np.cumsum(counts).tolist()]):
        yield every[first:last]
