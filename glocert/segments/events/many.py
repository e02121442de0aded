"""Following many paths with one call for a few of them: short paths cost mostly calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glocert.budget import Budget
from glocert.laws import Span
from glocert.paths.segment import Segment
from glocert.report import WHOLE, SegmentReport
from glocert.segments.decision import Decided, pairs
from glocert.segments.events.entry import lines, room_for
from glocert.segments.events.layers import Float64
from glocert.segments.events.loops import many as loops
from glocert.segments.events.network import Network
from glocert.spec import Verdict

Asked = tuple[Segment, int, float]
"""path, label and margin"""

_EVERYWHERE, _REACHED = 3, 8
"""among the facts of a path, see ``loops.many``: whether every vertex holds, and how far it was followed"""


class First(NamedTuple):
    """The first run of a path, which leaves something to say.

    Attributes:
        found: what it says.
        pieces: how many it has.
    """

    found: Decided
    pieces: int


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Paths that are followed with one call, each for one run: most often to its end.

    Packing and telling are Python's, following holds no lock: other threads do that meanwhile.

    Attributes:
        network: what they go through.
        lines: their start, change and error, see ``entry.lines``.
        asked: labels and margins.
    """

    network: Network
    lines: tuple[Float64, Float64, Float64]
    asked: tuple[NDArray[np.int64], Float64]

    @classmethod
    def of(cls, network: Network, asked: Sequence[Asked]) -> Batch:
        """Pack any number of questions."""
        paths, labels, margins = zip(*asked, strict=True)
        wanted = np.array(labels, np.int64), np.array(margins, np.float64)
        return cls(network, lines(network, paths), wanted)

    def followed(self, budget: Budget) -> Runs:
        """Follow each path from its start for one run, which the budget limits."""
        network = self.network
        constants = network.owner, network.shifts, network.sizes, network.exit
        factors, room = (network.gammas, network.lifts), room_for(network, budget, network.loops.room)
        args = constants, factors, self.lines, self.asked, room
        return Runs(*loops.followed(network.plan, network.absolute, *args))


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """What the loops say of the paths of a batch, see ``loops.many.followed``."""

    facts: Float64
    counts: NDArray[np.int64]
    safe: tuple[Float64, Float64]
    maybe: tuple[Float64, Float64]

    def told(self) -> list[First | SegmentReport]:
        """Return the answer to each question whose path is proven, what its run says of any other."""
        pieces, safe, maybe, finite = self.counts.T.tolist()
        spans = _each(self.safe, safe), _each(self.maybe, maybe)
        return list(map(_told, self.facts.tolist(), pieces, finite, *spans))


def _told(
    row: list[float], pieces: int, finite: int, safe: list[Span], maybe: list[Span]
) -> First | SegmentReport:
    """Return the answer where a run settles everything."""
    if finite and row[_EVERYWHERE] and row[_REACHED] == 1.0:
        best, at, _, _, radius, *_ = row
        return SegmentReport(Verdict.CERTIFIED, WHOLE, 1.0, best, at, radius, pieces=pieces)
    return First(_decided(row, finite, safe, maybe), pieces)


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


def _each(parts: tuple[Float64, Float64], counts: Sequence[int]) -> Iterator[list[Span]]:
    """Yield the parts of each path, given how many each has."""
    every = pairs(parts)
    for first, last in pairwise([0, *accumulate(counts)]):
        yield every[first:last]
