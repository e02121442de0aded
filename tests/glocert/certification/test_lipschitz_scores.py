"""What a lead must exceed: the error of computed scores, and what a float32 runtime may do further out."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch

from glocert.certification.lipschitz_scores import Scores, from_l2, in_l2, measured
from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.lipschitz.execution import ledger
from glocert.spec_lipschitz import Distance, Execution, LipschitzSpec


def dense() -> Graph:
    builder = GraphBuilder.start("x", (200,), Limits())
    name = builder.parameter(np.random.default_rng(2).normal(size=(3, 200)), "w")
    return builder.finish(builder.add(Node("dense", "Gemm", ("x", name), "y", {}, "Gemm")))


def items() -> np.ndarray:
    return np.random.default_rng(3).random((5, 200), np.float32)


def test_the_slack_of_real_arithmetic_covers_the_error_of_computed_leads() -> None:
    graph = dense()
    (weight,) = graph.parameters.values()
    scores = measured(graph, ledger(graph), items(), LipschitzSpec((0.1,), arithmetic=Execution.REAL))
    slack = scores.slack(torch.zeros(5, dtype=torch.float64))
    worst = 0.0
    for place, row in enumerate(items().tolist()):
        exact = [
            sum(Fraction(w) * Fraction(v) for w, v in zip(line, row, strict=True)) for line in weight.tolist()
        ]
        for j in range(3):
            for i in range(3):
                lead = Fraction(float(scores.values[place, j])) - Fraction(float(scores.values[place, i]))
                off = float(abs(lead - (exact[j] - exact[i])))
                worst = max(worst, off)
                assert off <= float(slack[place]) < 1e-8
    assert worst > 0


def test_the_slack_of_floats_grows_with_the_distance() -> None:
    graph = dense()
    scores = measured(graph, ledger(graph), items(), LipschitzSpec((0.5,), arithmetic=Execution.FLOAT32))
    norms = torch.from_numpy(items()).double().norm(dim=1)
    before = torch.zeros(5, dtype=torch.float64)
    for far in (0.0, 0.5, 100.0):
        found = scores.slack(torch.full((5,), far, dtype=torch.float64))
        assert bool((before < found).all())
        assert bool((found <= ledger(graph).slack(norms + far, 2.0**-24)).all())
        before = found
    assert scores.distances == (0.5, 2.0, float("inf"))


def test_where_float32_answers_another_class_or_none_nothing_is_enough() -> None:
    builder = GraphBuilder.start("x", (1,), Limits())
    weight = builder.parameter(np.array([[1.0], [1.0 + 2.0**-30], [0.0]]), "w")
    graph = builder.finish(builder.add(Node("dense", "Gemm", ("x", weight), "y", {}, "Gemm")))
    beyond = GraphBuilder.start("x", (1,), Limits())
    huge = beyond.parameter(np.array([[3e38], [1.0], [0.0]]), "w")
    overflows = beyond.finish(beyond.add(Node("dense", "Gemm", ("x", huge), "y", {}, "Gemm")))
    spec, none = LipschitzSpec((0.1,)), torch.zeros(1, dtype=torch.float64)
    for network, item in ((graph, 1.0), (overflows, 100.0)):
        scores = measured(network, ledger(network), np.array([[item]], np.float32), spec)
        assert float(scores.slack(none)) == float("inf")
        assert int(scores.values.argmax()) == 0


def test_a_radius_reaches_no_further_than_its_slack() -> None:
    values = torch.zeros(1, 2, dtype=torch.float64)

    def left(slack: torch.Tensor) -> torch.Tensor:
        return (1 - slack).clamp_min(0.0)

    for distances, expected in (((0.25,), 0.25), ((0.25, 1.0), 0.25), ((0.5, 0.75), 0.5), ((0.75,), 0.25)):
        assert float(Scores(values, lambda far: far, distances).best(left)) == expected
    assert float(Scores(values, lambda far: torch.full_like(far, 0.5), (0.1, float("inf"))).best(left)) == 0.5


def test_distances_of_other_norms_are_rounded_to_the_safe_side() -> None:
    for coordinates in (1, 7, 784, 3072):
        radius = torch.tensor([0.3], dtype=torch.float64)
        flat = float(from_l2(radius, Distance.LINF, coordinates))
        assert Fraction(flat) ** 2 * coordinates <= Fraction(0.3) ** 2
        assert Fraction(in_l2(0.3, Distance.LINF, coordinates)) ** 2 >= Fraction(0.3) ** 2 * coordinates
    assert float(from_l2(radius, Distance.L1, 784)) == 0.3
