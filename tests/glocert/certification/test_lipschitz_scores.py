"""What a lead must exceed: the error of computed scores, and what a float32 runtime may do further out."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch

from glocert.certification.lipschitz_scores import Scores, from_l2, in_l2, measured, refined
from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.graph.run import run
from glocert.lipschitz.execution import ledger
from glocert.lipschitz.magnitudes import Magnitudes
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


def test_the_slack_of_floats_grows_with_the_distance_and_is_smaller_when_looked_at_closely() -> None:
    graph = dense()
    book = ledger(graph)
    scores = measured(graph, book, items(), LipschitzSpec((0.5,), arithmetic=Execution.FLOAT32))
    rows = torch.tensor([1, 3])
    close = refined(scores, Magnitudes.of(graph, book), items(), rows)
    norms = torch.from_numpy(items()).double().norm(dim=1)
    before = torch.zeros(2, dtype=torch.float64)
    for far in (0.0, 0.5, 100.0):
        wide = torch.full((5,), far, dtype=torch.float64)
        found, better = scores.slack(wide), close.slack(wide)
        assert bool((found >= book.slack(norms + far, 2.0**-24)).all())
        assert bool((before < better[rows]).all())
        assert bool((better[rows] < found[rows] / 2).all())
        assert torch.equal(better[[0, 2, 4]], found[[0, 2, 4]])
        before = better[rows]
    near, *further = scores.distances
    assert 0.5 < near < 0.501  # a claim up to an epsilon itself would not exceed it
    assert further == [2.0, float("inf")]
    assert close.distances == scores.distances
    exact = torch.from_numpy(items()).double() @ torch.from_numpy(next(iter(graph.parameters.values()))).T
    computed = run(graph, torch.from_numpy(items()).double())[rows]
    assert torch.allclose(close.values[rows], computed, rtol=1e-14)
    assert torch.allclose(close.values[rows], exact[rows], rtol=1e-12)
    assert torch.equal(close.values[[0, 2, 4]], scores.values[[0, 2, 4]])


def test_where_float32_answers_another_class_or_none_nothing_is_enough() -> None:
    spec, none = LipschitzSpec((0.1,)), torch.zeros(1, dtype=torch.float64)
    for column, item in (([1.0, 1.0 + 2.0**-30, 0.0], 1.0), ([3e38, 1.0, 0.0], 100.0)):
        builder = GraphBuilder.start("x", (1,), Limits())
        weight = builder.parameter(np.array(column)[:, None], "w")
        graph = builder.finish(builder.add(Node("dense", "Gemm", ("x", weight), "y", {}, "Gemm")))
        images, book = np.array([[item]], np.float32), ledger(graph)
        scores = measured(graph, book, images, spec)
        close = refined(scores, Magnitudes.of(graph, book), images, torch.tensor([0]))
        assert float(close.slack(none)) == float("inf")
        assert int(close.values.argmax()) == 0


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
