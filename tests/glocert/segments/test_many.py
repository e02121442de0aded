from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.budget import Budget
from glocert.errors import InvalidSpec
from glocert.graph.ir import Graph
from glocert.graph.run import run as execute
from glocert.laws import UNIFORM
from glocert.laws.points import Points
from glocert.paths.segment import Segment
from glocert.segments import Asked, Program, certify, certify_many, closer, prepare
from glocert.segments.closer import left_open
from glocert.segments.events.many import Batch, First
from glocert.segments.events.network import PROVEN
from glocert.segments.grid import joins
from glocert.segments.runs import run
from glocert.segments.walk import follow, together
from glocert.spec import Verdict
from tests.glocert.segments.networks import Draft, Wild, line, mlp, random_segment
from tests.glocert.segments.rational import exact_curve


def by_events(program: Program) -> Program:
    return program


def in_short_runs(program: Program) -> Program:
    """Event by event, no run with more than a few vertices."""
    short = None if program.events is None else replace(program.events, loops=PROVEN._replace(room=4))
    return replace(program, events=short)


def by_grids(program: Program) -> Program:
    return replace(program, events=None)


WAYS = by_events, in_short_runs, by_grids


@settings(max_examples=60)
@given(st.integers(0, 10**9), st.booleans(), st.sampled_from(WAYS), st.sampled_from([2**9, 2**13, 2**22]))
def test_each_answer_is_right_about_its_own_path(seed, whole, way, memory):
    """Every number of every report holds for the exact curve of that path."""
    rng = np.random.default_rng(seed)
    graph = Wild(rng, whole).build(int(rng.integers(1, 4)))
    paths = [random_segment(rng, graph.input_shape, whole) for _ in range(int(rng.integers(2, 5)))]
    label = int(rng.integers(np.prod(graph.output_shape)))
    asked = [(path, label, 0.0, False, UNIFORM) for path in paths]
    found = certify_many(way(prepare(graph)), asked, Budget(block_bytes=memory))
    for path, report in zip(paths, found, strict=True):
        mass = exact_curve(graph, path).robust_mass(label)
        assert Fraction(report.robust_mass.lower) <= mass <= Fraction(report.robust_mass.upper)
        assert (report.verdict is Verdict.CERTIFIED) <= (mass == 1)


@pytest.mark.parametrize("seed", range(6))
def test_by_grids_together_and_alone_agree(seed):
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 8, 30, 30, 4)
    program, paths = by_grids(prepare(graph)), [random_segment(rng, (8,)) for _ in range(9)]
    labels = [int(execute(graph, torch.from_numpy(path.start[None])).argmax()) for path in paths]
    asked = [(path, label, 0.1, True, UNIFORM) for path, label in zip(paths, labels, strict=True)]
    for (path, label, *_), found in zip(asked, certify_many(program, asked, Budget()), strict=True):
        alone = certify(program, path, label, margin=0.1, partition=True)
        assert (found.verdict, found.pieces) == (alone.verdict, alone.pieces)
        assert found.robust_mass.lower == pytest.approx(alone.robust_mass.lower, abs=1e-9)
        assert found.certified_to == pytest.approx(alone.certified_to, abs=1e-9)
        assert [part.label for part in found.partition] == [part.label for part in alone.partition]


@pytest.mark.parametrize("way", [by_events, in_short_runs])
@pytest.mark.parametrize("seed", range(8))
def test_event_by_event_together_is_alone_to_the_last_bit(seed, way):
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 8, 30, 30, 4) if seed % 2 else Wild(rng, seed % 4 == 0).build(3)
    program = way(prepare(graph))
    paths = [random_segment(rng, graph.input_shape) for _ in range(19)]
    labels = [int(execute(graph, torch.from_numpy(path.start[None])).argmax()) for path in paths]
    laws = Points((Fraction(0), Fraction(1, 2)), (Fraction(1, 2), Fraction(1, 2))), UNIFORM
    asked = [
        (path, label, 0.1 * (at % 2), at % 5 == 0, laws[at % 3 > 0])
        for at, (path, label) in enumerate(zip(paths, labels, strict=True))
    ]
    for (path, label, margin, partition, law), found in zip(
        asked, certify_many(program, asked, Budget()), strict=True
    ):
        assert found == certify(program, path, label, margin=margin, partition=partition, law=law)


def of_first_labels(graph: Graph, paths: list[Segment]) -> list[Asked]:
    """Ask whether the class at the start wins."""
    first = [execute(graph, torch.from_numpy(path.start[None])).flatten() for path in paths]
    return [
        (path, int(scores.argmax()), 0.0, False, UNIFORM) for path, scores in zip(paths, first, strict=True)
    ]


def assert_each_is_as_alone(program: Program, asked: list[Asked], budget: Budget) -> None:
    for (path, label, *_), found in zip(asked, certify_many(program, asked, budget), strict=True):
        assert found == certify(program, path, label, budget=budget)


@pytest.mark.parametrize("limits", [{"pieces": 0}, {"pieces": 3}, {"pieces": 10}, {"block_bytes": 400}])
@pytest.mark.parametrize("way", [by_events, in_short_runs])
def test_limits_are_those_of_each_alone(limits, way):
    rng = np.random.default_rng(4)
    graph = mlp(rng, 8, 30, 30, 4)
    paths = [random_segment(rng, (8,)) for _ in range(9)]
    program = way(prepare(graph))
    assert_each_is_as_alone(program, of_first_labels(graph, paths), Budget(**limits))


def test_scores_are_in_their_own_order():
    """Channels lie last in memory, and first in the network's output."""
    rng = np.random.default_rng(5)
    draft = Draft(2, 4, 4)
    x = draft.relu(draft.conv("x", rng.standard_normal((3, 2, 3, 3)), rng.standard_normal(3), (1, 1)))
    graph = draft.graph(draft.conv(x, rng.standard_normal((3, 3, 1, 1)) * [[[[1]]], [[[9]]], [[[81]]]]))
    program = prepare(graph)
    assert program.events is not None
    assert program.events.exit.tolist() != sorted(program.events.exit.tolist())
    paths = [random_segment(rng, (2, 4, 4)) for _ in range(9)]
    assert_each_is_as_alone(program, of_first_labels(graph, paths), Budget())


def test_what_is_left_open_is_looked_at_again(monkeypatch):
    monkeypatch.setattr(closer, "ENOUGH", 0.0)
    rng = np.random.default_rng(6)
    graph = mlp(rng, 8, 30, 30, 4)
    paths, program = [random_segment(rng, (8,)) for _ in range(9)], prepare(graph)
    asked = of_first_labels(graph, paths)
    runs = Batch.of(program.events, [one[:3] for one in asked]).followed(Budget())
    assert any(isinstance(one, First) and left_open(one.found) for one in runs.told())
    assert_each_is_as_alone(program, asked, Budget())


def test_paths_that_are_not_finite_leave_the_others_alone():
    rng = np.random.default_rng(7)
    graph = mlp(rng, 3, 8, 8, 3)
    paths = [line([np.inf, 0.0, 1.0], np.ones(3)), random_segment(rng, (3,)), line([1e308] * 3, [-1e308] * 3)]
    asked = of_first_labels(graph, paths)
    assert_each_is_as_alone(prepare(graph), asked, Budget())
    assert [one.reason for one in certify_many(prepare(graph), asked, Budget())][::2] == ["non-finite"] * 2


def test_what_lies_between_two_paths_is_neither_cut_nor_charged():
    rng = np.random.default_rng(0)
    graph = mlp(rng, 4, 50, 50, 3)
    still = [line(point, point) for point in rng.standard_normal((2, 4)) * 10]
    program = prepare(graph)
    (block,) = follow(program, together(program, still), Budget())
    found = run(program, block)
    assert found.t.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert found.radius.max() < 1e-10


@pytest.mark.parametrize("memory", [2**10, 2**14])
def test_blocks_hold_whole_paths_or_parts_of_one(memory):
    rng = np.random.default_rng(1)
    program = prepare(mlp(rng, 6, 40, 40, 3))
    first = together(program, [random_segment(rng, (6,)) for _ in range(7)])
    for block in follow(program, first, Budget(block_bytes=memory)):
        inner = joins(block.t)
        ends = block.t % 2
        assert inner is None or not inner.any() or (ends[0] == 0 and ends[-1] == 1)


def test_a_spent_budget_leaves_paths_undecided():
    rng = np.random.default_rng(2)
    program = prepare(mlp(rng, 6, 20, 3))
    asked = [(random_segment(rng, (6,)), 0, 0.0, False, UNIFORM) for _ in range(3)]
    for report in certify_many(program, asked, Budget(deadline=-1.0)):
        assert (report.verdict, report.reason) == (Verdict.UNDECIDED, "budget")
        assert (report.robust_mass.lower, report.robust_mass.upper) == (0.0, 1.0)


def test_a_question_that_does_not_fit_is_refused():
    program = prepare(mlp(np.random.default_rng(3), 6, 20, 3))
    with pytest.raises(InvalidSpec):
        certify_many(program, [(line(np.zeros(6), np.ones(6)), 3, 0.0, False, UNIFORM)], Budget())
