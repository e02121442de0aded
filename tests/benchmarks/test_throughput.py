"""Two ways of asking are compared number by number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks import throughput
from benchmarks.questions import Question, label_of
from glocert import engine
from glocert.report import Interval
from glocert.spec import Verdict
from tests.glocert.segments.networks import mlp, random_segment


def asked() -> tuple[engine.Program, list[Question]]:
    rng = np.random.default_rng(5)
    graph = mlp(rng, 4, 20, 20, 3)
    paths = [random_segment(rng, (4,)) for _ in range(6)]
    return engine.prepare(graph), [Question("mlp", "any", graph, p, label_of(graph, p.start)) for p in paths]


def test_answers_of_a_batch_are_those_of_one_at_a_time():
    program, questions = asked()
    alone = throughput._alone(program, questions)
    together = throughput._together(program, questions)
    assert throughput.different(alone, together)[:2] == (0, 0)


def test_a_different_answer_is_counted():
    program, questions = asked()
    alone = throughput._alone(program, questions)
    changed = [replace(alone[0], verdict=Verdict.UNDECIDED), *alone[1:]]
    assert throughput.different(alone, changed) == (1, 0, 0)
    mass = alone[1].robust_mass
    wider = replace(alone[1], robust_mass=Interval(max(0.0, mass.lower - 1e-6), mass.upper))
    assert throughput.different(alone, [alone[0], wider, *alone[2:]])[2] == 1
