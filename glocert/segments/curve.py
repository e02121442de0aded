"""The whole curve of scores along a segment, for plots, tests and measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from glocert.budget import Budget
from glocert.errors import DeadlineExceeded
from glocert.graph.ir import Graph
from glocert.paths.segment import Segment
from glocert.rounding import UP
from glocert.segments.pieces import Run
from glocert.segments.program import Program, prepare
from glocert.segments.runs import runs

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The scores along the whole path.

    Attributes:
        t: shape (vertices,), from 0 to 1.
        scores: shape (vertices, classes).
        radius: shape (classes,), the largest of all runs, and by how much two runs differ where they meet:
            the last bits of a product may depend on the number of its rows.
    """

    t: Float64
    scores: Float64
    radius: Float64

    @property
    def pieces(self) -> int:
        """How many straight pieces the curve has."""
        return len(self.t) - 1

    def at(self, t: Float64) -> Float64:
        """Return the computed scores at any t, shape (len(t), classes)."""
        columns = [np.interp(t, self.t, column) for column in self.scores.T]
        return np.stack(columns, axis=1)


@torch.inference_mode()
def trace(
    graph: Graph | Program, segment: Segment, budget: Budget | None = None, device: str = "cpu"
) -> Curve:
    """Follow a segment to the scores.

    Args:
        graph: the network, or the program made of it (then ``device`` is the program's).
        segment: the path.
        budget: limits; without one only memory is bounded.
        device: torch device.

    Raises:
        UnsupportedOperators: the network has operators that the engine cannot follow.
        DeadlineExceeded: the budget ended before the path.
    """
    program = graph if isinstance(graph, Program) else prepare(graph, device)
    parts = list(runs(program, segment, budget or Budget()))
    if not parts or parts[-1].t[-1] != 1.0:
        raise DeadlineExceeded("the budget ended before the segment")
    return joined(parts)


def joined(parts: Sequence[Run]) -> Curve:
    """Return runs that follow each other as one curve.

    It has the vertex where two runs meet from the first of them. Moving an end of a piece by some distance
    moves no point of the piece by more, so the radius grows by the largest such distance.
    """
    t = np.concatenate([parts[0].t[:1], *(part.t[1:] for part in parts)])
    scores = np.concatenate([parts[0].scores[:1], *(part.scores[1:] for part in parts)])
    radius = np.max([part.radius for part in parts], axis=0)
    with np.errstate(invalid="ignore"):
        apart = [np.abs(before.scores[-1] - after.scores[0]) for before, after in pairwise(parts)]
    return Curve(t, scores, (radius + np.max(apart, axis=0)) * UP if apart else radius)
