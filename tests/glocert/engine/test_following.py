"""Paths that are followed straight, on several threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.budget import Budget
from glocert.engine import Question, certify_many, cost, prepare
from glocert.graph.ir import Graph
from glocert.graph.run import run as execute
from glocert.spec import Analysis, Verdict
from tests.glocert.segments.networks import mlp, random_segment


def questions(rng: np.random.Generator, graph: Graph, count: int) -> list[Question]:
    paths = [random_segment(rng, graph.input_shape) for _ in range(count)]
    labels = [int(execute(graph, torch.from_numpy(path.start[None])).argmax()) for path in paths]
    analyses = Analysis.COMPLETE, Analysis.QUANTITATIVE
    return [
        Question(path, label, 0.05 * (at % 3), analyses[at % 2], partition=at % 7 == 0)
        for at, (path, label) in enumerate(zip(paths, labels, strict=True))
    ]


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("cheap", [True, False])
def test_answers_of_many_threads_are_those_of_one(cheap, monkeypatch):
    """A path that costs much is a part of the work by itself."""
    if not cheap:
        monkeypatch.setattr(cost, "_TOGETHER", 0.0)
    rng = np.random.default_rng(0)
    graph = mlp(rng, 8, 30, 30, 4)
    program, asked = prepare(graph), questions(rng, graph, 37)
    assert (program.cost.small, program.cost.mostly_calls) == (True, cheap)
    together = list(certify_many(program, asked))
    torch.set_num_threads(1)
    alone = [next(certify_many(program, [question])).report for question in asked]
    assert {answer.position: answer.report for answer in together} == dict(enumerate(alone))
    assert len({report.verdict for report in alone}) > 1


@pytest.mark.usefixtures("threads")
def test_a_spent_budget_holds_for_all_threads():
    rng = np.random.default_rng(1)
    graph = mlp(rng, 8, 20, 4)
    for answer in certify_many(prepare(graph), questions(rng, graph, 20), Budget(deadline=-1.0)):
        assert (answer.report.verdict, answer.report.reason) == (Verdict.UNDECIDED, "budget")
