"""What a run leaves open around crossings is followed again."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from glocert.budget import Budget
from glocert.segments import closer, prepare
from glocert.segments.pieces import Run
from glocert.segments.runs import runs
from tests.glocert.segments.invariant import worst_share
from tests.glocert.segments.networks import Draft, line, mlp, random_segment, scalar_line
from tests.glocert.segments.rational import exact_curve


def blurred(factor):
    """Return ``runs`` whose whole-path runs claim less than is known."""

    def wide(program, segment, budget, span=(0.0, 1.0)):
        for part in runs(program, segment, budget, span):
            wider = part.radius * factor if span == (0.0, 1.0) else part.radius
            yield Run(part.t, part.scores, wider)

    return wide


@pytest.mark.parametrize("seed", range(6))
def test_what_a_wide_radius_leaves_open_is_decided(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 4, 40, 40, 2)
    segment, program = random_segment(rng, (4,)), prepare(graph)
    monkeypatch.setattr(closer, "runs", blurred(1e6))
    found = list(closer.decided(program, segment, Budget(), (0.0, 1.0), (0, 0.0)))
    parts = [part for part, _ in found]
    assert [parts[0].t[0], parts[-1].t[-1]] == [0.0, 1.0]
    assert all(before.t[-1] == after.t[0] for before, after in pairwise(parts))
    assert worst_share(parts, exact_curve(graph, segment)) <= 1.0
    maybe = sum(stop - start for _, one in found for start, stop in one.maybe)
    safe = sum(stop - start for _, one in found for start, stop in one.safe)
    assert maybe - safe <= 1e-6


def test_a_tie_all_along_is_not_followed_twice(monkeypatch):
    draft = Draft(1)
    x = draft.relu(draft.gemm("x", np.array([[1.0], [-1.0]]), np.array([-0.25, 0.75])))
    program = prepare(draft.graph(draft.gemm(x, np.ones((2, 2)))))
    asked = []
    monkeypatch.setattr(closer, "runs", lambda *a: asked.append(a) or runs(*a))
    found = list(closer.decided(program, scalar_line(), Budget(), (0.0, 1.0), (0, 0.0)))
    assert len(asked) == len(found) == 1
    assert not found[0][1].safe


def test_what_is_not_finite_is_not_followed_twice(monkeypatch):
    program = prepare(mlp(np.random.default_rng(0), 2, 5, 2))
    asked = []
    monkeypatch.setattr(closer, "runs", lambda *a: asked.append(a) or runs(*a))
    list(closer.decided(program, line([np.inf, 0.0], [1.0, 1.0]), Budget(), (0.0, 1.0), (0, 0.0)))
    assert len(asked) == 1


def test_grids_are_taken_as_they_are(monkeypatch):
    rng = np.random.default_rng(1)
    program = replace(prepare(mlp(rng, 4, 30, 2)), events=None)
    monkeypatch.setattr(closer, "runs", blurred(1e9))
    segment = random_segment(rng, (4,))
    found = list(closer.decided(program, segment, Budget(), (0.0, 1.0), (0, 0.0)))
    assert len(found) == len(list(runs(program, segment, Budget())))


@pytest.mark.parametrize(
    ("spans", "taken", "left"),
    [
        ([(0.0, 1.0)], [], [(0.0, 1.0)]),
        ([(0.0, 1.0)], [(0.0, 1.0)], []),
        ([(0.0, 0.5), (0.6, 1.0)], [(0.1, 0.2), (0.6, 0.9)], [(0.0, 0.1), (0.2, 0.5), (0.9, 1.0)]),
        ([(0.2, 0.4)], [(0.0, 0.1), (0.3, 0.35)], [(0.2, 0.3), (0.35, 0.4)]),
    ],
)
def test_differences_of_intervals(spans, taken, left):
    assert closer._without(spans, taken) == left
