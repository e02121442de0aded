"""The invariant of the engine, checked exactly and for every t."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np

from glocert.budget import Budget
from glocert.graph.ir import Graph
from glocert.paths.segment import Segment
from glocert.segments import prepare
from glocert.segments.curve import Run, run
from glocert.segments.walk import blocks
from tests.glocert.segments.rational import ExactCurve, exact_curve, exactly


def runs_of(graph: Graph, segment: Segment, budget: Budget | None = None) -> list[Run]:
    """Return the curve of scores as the engine hands it out, run by run."""
    program = prepare(graph)
    return [run(program, block) for block in blocks(program, segment, budget or Budget())]


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
    """Compare the engine with exact arithmetic on the whole segment and return the exact curve."""
    runs = runs_of(graph, segment, budget)
    assert [runs[0].t[0], runs[-1].t[-1]] == [0.0, 1.0]
    assert all(before.t[-1] == after.t[0] for before, after in pairwise(runs))
    assert all((np.diff(part.t) > 0).all() for part in runs)
    truth = exact_curve(graph, segment)
    assert worst_share(runs, truth) <= 1.0
    return truth
