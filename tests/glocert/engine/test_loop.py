from __future__ import annotations

import contextlib
import itertools
import json
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert import engine, segments
from glocert.budget import Budget
from glocert.engine import Question, cost
from glocert.graph.run import run as execute
from glocert.spec import Analysis, Verdict
from tests.glocert.segments.networks import Wild, line, mlp, random_segment
from tests.glocert.segments.rational import exact_curve


@pytest.fixture
def _searching(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks would be followed at once: have them searched."""
    monkeypatch.setattr(cost.Cost, "small", property(lambda _: False))


@settings(max_examples=40)
@given(st.integers(0, 10**9), st.booleans())
def test_every_number_holds_for_the_exact_curve(seed, whole):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost.Cost, "small", property(lambda _: False))
        rng = np.random.default_rng(seed)
        graph = Wild(rng, whole).build(int(rng.integers(1, 4)))
        program = engine.prepare(graph)
        paths = [random_segment(rng, graph.input_shape, whole) for _ in range(2)]
        label = int(rng.integers(np.prod(graph.output_shape)))
        for answer in engine.certify_many(program, [Question(path, label) for path in paths]):
            truth, found = exact_curve(graph, paths[answer.position]), answer.report
            mass = truth.robust_mass(label)
            assert Fraction(found.robust_mass.lower) <= mass <= Fraction(found.robust_mass.upper)
            assert (found.verdict is Verdict.CERTIFIED) <= (mass == 1)
            assert (found.verdict is Verdict.FALSIFIED) <= (mass < 1)


@pytest.mark.usefixtures("_searching")
@pytest.mark.parametrize("seed", range(8))
def test_the_loop_agrees_with_the_curve_domain_to_many_digits(seed):
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 12, 80, 80, 5)
    path = random_segment(rng, (12,))
    label = int(execute(graph, torch.from_numpy(path.start[None])).argmax())
    plain = segments.certify(graph, path, label)
    found = engine.certify(engine.prepare(graph), path, label)
    assert found.verdict is plain.verdict
    assert found.certified_to == pytest.approx(plain.certified_to, abs=1e-9)
    assert found.robust_mass.lower == pytest.approx(plain.robust_mass.lower, abs=1e-9)
    assert found.robust_mass.upper == pytest.approx(plain.robust_mass.upper, abs=1e-9)
    assert found.family == "exact"


@pytest.mark.usefixtures("_searching")
def test_a_robust_path_costs_no_breakpoint():
    rng = np.random.default_rng(0)
    graph = mlp(rng, 12, 80, 80, 5)
    start = rng.standard_normal(12)
    path = line(start, start + 1e-3 * rng.standard_normal(12))
    label = int(execute(graph, torch.from_numpy(path.start[None])).argmax())
    found = engine.certify(engine.prepare(graph), path, label)
    assert found.verdict is Verdict.CERTIFIED
    assert found.pieces <= 8


@pytest.mark.usefixtures("_searching")
def test_a_spent_deadline_leaves_what_is_decided():
    rng = np.random.default_rng(0)
    graph = mlp(rng, 10, 60, 60, 60, 3)
    path, program = line(*rng.standard_normal((2, 10))), engine.prepare(graph)
    whole, mass = engine.certify(program, path, 0), [(-1.0, 2.0)]
    for ticks in (0, 4, 8, 16, 32, 10**6):
        counter = itertools.count()
        budget = Budget(deadline=ticks, clock=lambda counter=counter: next(counter))
        found = engine.certify(program, path, 0, budget=budget)
        assert found.robust_mass.lower <= whole.robust_mass.upper
        assert found.robust_mass.upper >= whole.robust_mass.lower
        assert found.robust_mass.lower >= mass[-1][0] - 1e-9
        assert found.robust_mass.upper <= mass[-1][1] + 1e-9
        mass.append((found.robust_mass.lower, found.robust_mass.upper))
    assert mass[1] == (0.0, 1.0)
    assert found.verdict is whole.verdict


@pytest.mark.usefixtures("_searching")
def test_quantitative_stops_at_the_gap():
    rng = np.random.default_rng(1)
    graph = mlp(rng, 10, 60, 60, 60, 3)
    program, path = engine.prepare(graph), random_segment(rng, (10,))
    fine = engine.certify(program, path, 1)
    early = engine.certify(program, path, 1, analysis=Analysis.QUANTITATIVE, gap=0.3)
    assert early.verdict is fine.verdict is Verdict.FALSIFIED
    assert early.robust_mass.lower <= fine.robust_mass.lower
    assert early.robust_mass.upper >= fine.robust_mass.upper
    assert early.robust_mass.upper - early.robust_mass.lower <= 0.3


@pytest.mark.usefixtures("_searching")
def test_a_question_out_of_time_does_not_end_the_others():
    rng = np.random.default_rng(2)
    graph = mlp(rng, 10, 60, 60, 3)
    paths = [random_segment(rng, (10,)) for _ in range(3)]
    questions = [Question(path, 0, seconds=0.0 if at == 1 else 1e9) for at, path in enumerate(paths)]
    found = {one.position: one.report for one in engine.certify_many(engine.prepare(graph), questions)}
    assert found[1].reason == "budget"
    assert found[0].verdict is not Verdict.UNDECIDED
    assert found[2].verdict is not Verdict.UNDECIDED


class Killed(Exception):
    """The process ended here."""


@pytest.mark.usefixtures("_searching")
@pytest.mark.parametrize("seed", range(6))
def test_what_was_decided_before_a_kill_is_not_looked_at_again(seed):
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 10, 80, 80, 80, 3)
    program, path = engine.prepare(graph), random_segment(rng, (10,))
    whole = engine.certify(program, path, 1)
    states: list[str] = []

    def watch(_position, state):
        states.append(json.dumps(state()))
        if len(states) > 1 + seed:
            raise Killed

    with contextlib.suppress(Killed):
        list(engine.certify_many(program, [Question(path, 1)], Budget(block_bytes=2**12), watch))
    before = json.loads(states[-1])
    rest = next(engine.certify_many(program, [Question(path, 1, known=before)])).report
    assert rest.verdict is whole.verdict
    assert rest.robust_mass.lower == pytest.approx(whole.robust_mass.lower, abs=1e-9)
    assert rest.robust_mass.upper == pytest.approx(whole.robust_mass.upper, abs=1e-9)
    assert rest.pieces >= before["pieces"]
    decided = sum(stop - start for start, stop in before["safe"] + before["violated"])
    if decided > 0.99:
        assert rest.pieces - before["pieces"] < whole.pieces / 2
