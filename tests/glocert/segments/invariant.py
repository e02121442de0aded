"""The invariant of the engine, checked exactly and for every t."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np

from glocert.budget import Budget
from glocert.graph.ir import Graph
from glocert.paths.segment import Segment
from glocert.segments import prepare
from glocert.segments.events import network, sweep
from glocert.segments.pieces import Run
from glocert.segments.runs import run
from glocert.segments.walk import blocks
from tests.glocert.segments.rational import ExactCurve, exact_curve, exactly

ROOM = 7


def runs_of(graph: Graph, segment: Segment, budget: Budget | None = None) -> list[Run]:
    """Return the curve of scores, followed by grids, run by run."""
    program = prepare(graph)
    return [run(program, block) for block in blocks(program, segment, budget or Budget())]


def events_of(graph: Graph, segment: Segment) -> list[Run]:
    """Return the curve of scores, followed event by event, with room for few vertices in a run."""
    made = network.prepare(graph)
    assert made is not None
    return list(sweep.runs(made, segment, Budget(), room=ROOM))


def worst_share(runs: list[Run], truth: ExactCurve) -> float:
    """Return the largest error as a share of its radius; the engine is sound where that is at most one.

    Both curves are straight between the vertices of either, so their largest difference is at such a vertex.
    """
    return max(_share(part, truth) for part in runs)


def _share(part: Run, truth: ExactCurve) -> float:
    own = [Fraction(t) for t in part.t]
    where = sorted({*own, *(t for t in truth.t if own[0] <= t <= own[-1])})
    model = ExactCurve(own, exactly(part.scores)).at(where)
    error = abs(truth.at(where) - model).max(axis=0)
    assert np.isfinite(part.radius).all()
    return max(
        float(e / Fraction(r)) if r else float(e > 0) * 2 for e, r in zip(error, part.radius, strict=True)
    )


def assert_sound(graph: Graph, segment: Segment, budget: Budget | None = None) -> ExactCurve:
    """Compare both ways to follow the whole segment with exact arithmetic and return the exact curve."""
    truth = exact_curve(graph, segment)
    for parts in (runs_of(graph, segment, budget), events_of(graph, segment)):
        assert [parts[0].t[0], parts[-1].t[-1]] == [0.0, 1.0]
        assert all(before.t[-1] == after.t[0] for before, after in pairwise(parts))
        assert all((np.diff(part.t) > 0).all() for part in parts)
        assert worst_share(parts, truth) <= 1.0
    return truth
