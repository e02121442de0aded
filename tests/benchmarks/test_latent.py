"""A bound of one output as a question about two scores, and a search that is stopped and goes on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import latent
from glocert import engine
from glocert.graph.run import run
from tests.benchmarks.networks import small
from tests.glocert.segments.networks import Draft, line, mlp


def one_output():
    draft = Draft(3)
    rng = np.random.default_rng(2)
    hidden = draft.relu(draft.gemm("x", rng.standard_normal((20, 3)), rng.standard_normal(20)))
    return draft.graph(draft.gemm(hidden, rng.standard_normal((1, 20))))


def test_the_first_score_wins_where_the_output_is_above_the_floor():
    graph = one_output()
    points = torch.randn(50, 3, dtype=torch.float64)
    plain = run(graph, points)[:, 0]
    scores = run(latent.above(graph, 0.25), points)
    assert torch.equal(scores[:, 0] > scores[:, 1], plain > 0.25)


def test_the_minimum_of_an_output_is_certified_a_little_below_and_refuted_above():
    graph, path = one_output(), line([-1.0, 2.0, 0.0], [1.0, -1.0, 2.0])
    floor = float(latent.outputs(graph, path, 5000).min())
    for shift, verdict in ((-0.01, "certified"), (0.01, "falsified")):
        assert engine.certify(engine.prepare(latent.above(graph, floor + shift)), path, 0).verdict == verdict


@pytest.mark.parametrize("graph", [mlp(np.random.default_rng(1), 4, 60, 60, 3), small(3)])
def test_going_on_loses_nothing(graph):
    rng = np.random.default_rng(0)
    path = line(rng.random(graph.input_shape), rng.random(graph.input_shape))
    program = engine.prepare(graph)
    first, known, _ = latent._interrupted(program, path, {}, 0.0)
    again, more, _ = latent._interrupted(program, path, known, 60.0)
    assert latent._decided(again) >= latent._decided(first)
    whole = engine.certify(program, path, 0)
    assert again.verdict is whole.verdict
    assert latent._apart_by(again, whole) <= 1e-6
    assert set(more) >= set(known)
