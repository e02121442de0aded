"""A1-A7: radii in closed form, ties, scaling, permutations; against exact rationals."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from torch import Tensor

from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.graph.run import run
from glocert.lipschitz.network import bound
from glocert.lipschitz.radius import BOTTOM, bottom, radii


def pairs(classes: int, seed: int = 0) -> Tensor:
    """Return a symmetric table of constants with a zero diagonal."""
    torch.manual_seed(seed)
    table = torch.rand(classes, classes, dtype=torch.float64) + 0.1
    return (table + table.T).fill_diagonal_(0.0)


def dense(weight: np.ndarray, bias: np.ndarray) -> Graph:
    """Return a linear classifier."""
    builder = GraphBuilder.start("x", (weight.shape[1],), Limits())
    names = [builder.parameter(weight, "w"), builder.parameter(bias, "b")]
    return builder.finish(builder.add(Node("dense", "Gemm", ("x", *names), "y", {}, "Gemm")))


@pytest.mark.parametrize("seed", range(10))
def test_a1_a_linear_model_has_the_distance_to_its_boundary(seed: int) -> None:
    chance = np.random.default_rng(seed)
    weight, bias, x = chance.normal(size=(4, 6)), chance.normal(size=4), chance.normal(size=6)
    graph = dense(weight, bias)
    with mpmath.workdps(50):
        exact = [
            mpmath.fsum(mpmath.mpf(float(w)) * mpmath.mpf(float(v)) for w, v in zip(row, x, strict=True))
            + float(b)
            for row, b in zip(weight, bias, strict=True)
        ]
        j = max(range(4), key=exact.__getitem__)
        truth = min(
            (exact[j] - exact[i]) / mpmath.sqrt(mpmath.fsum(mpmath.mpf(float(d)) ** 2 for d in gaps))
            for i in range(4)
            if i != j
            for gaps in [
                [Fraction(float(a)) - Fraction(float(b)) for a, b in zip(weight[j], weight[i], strict=True)]
            ]
        )
    scores = run(graph, torch.tensor(x)[None])
    found = radii(scores, bound(graph).pairs, slack=1e-13)
    assert int(found.label[0]) == j
    assert truth * (1 - 1e-11) <= mpmath.mpf(float(found.radius[0])) <= truth


def test_a2_ties_are_never_certified() -> None:
    scores = torch.tensor([[1.0, 1.0, 0.0], [2.0, 2.0, 2.0], [3.0, 1.0, 0.0]], dtype=torch.float64)
    found = radii(scores, pairs(3))
    assert found.radius[:2].tolist() == [0.0, 0.0]
    assert found.answers(0.0).tolist() == [BOTTOM, BOTTOM, 0]


def test_a2_a_margin_of_exactly_epsilon_times_the_constant_is_bottom() -> None:
    table = torch.tensor([[0.0, 2.0], [2.0, 0.0]], dtype=torch.float64)
    found = radii(torch.tensor([[1.0, 0.0]], dtype=torch.float64), table)
    assert found.answers(0.5).tolist() == [BOTTOM]
    assert found.answers(0.5 - 1e-9).tolist() == [0]


def test_a3_rows_that_are_the_same_can_never_overtake() -> None:
    weight = np.array([[1.0, 2.0], [1.0, 2.0]])
    x = torch.tensor([[3.0, -1.0]], dtype=torch.float64)
    lower = dense(weight, np.array([1.0, 0.0]))
    assert radii(run(lower, x), bound(lower).pairs).radius.tolist() == [float("inf")]
    equal = dense(weight, np.array([1.0, 1.0]))
    assert radii(run(equal, x), bound(equal).pairs).radius.tolist() == [0.0]


def test_a4_scaling_the_scores_leaves_radii_and_scaling_the_input_divides_them() -> None:
    chance = np.random.default_rng(3)
    weight, bias, x = (
        chance.normal(size=(3, 5)),
        chance.normal(size=3),
        torch.tensor(chance.normal(size=(20, 5))),
    )
    plain, scaled, faster = dense(weight, bias), dense(8 * weight, 8 * bias), dense(4 * weight, bias)
    radius = radii(run(plain, x), bound(plain).pairs).radius
    assert torch.allclose(radii(run(scaled, x), bound(scaled).pairs).radius, radius, rtol=1e-12, atol=0)
    quarter = radii(run(faster, x / 4), bound(faster).pairs).radius
    assert torch.allclose(quarter, radius / 4, rtol=1e-12, atol=0)


def test_a5_permuting_the_classes_permutes_the_answer() -> None:
    torch.manual_seed(1)
    scores, table, order = torch.randn(50, 5, dtype=torch.float64), pairs(5), torch.randperm(5)
    plain, moved = radii(scores, table), radii(scores[:, order], table[order][:, order])
    assert torch.equal(order[moved.label], plain.label)
    assert torch.equal(moved.radius, plain.radius)


def test_a7_certified_means_a_lead_above_epsilon_times_the_constant() -> None:
    torch.manual_seed(2)
    table = pairs(4)
    scores = (
        torch.randn(10_000, 4, dtype=torch.float64) * 10.0 ** torch.randint(-300, 10, (10_000, 1)).double()
    )
    found = radii(scores, table)
    epsilon = 0.3
    certified = found.certified(epsilon)
    for row, sure in zip(scores[:2000].tolist(), certified[:2000].tolist(), strict=True):
        label = max(range(4), key=row.__getitem__)
        leads = [
            Fraction(row[label]) - Fraction(row[i]) - Fraction(epsilon) * Fraction(float(table[label, i]))
            for i in range(4)
            if i != label
        ]
        if sure:
            assert min(leads) > 0
        elif min(leads) > 0:
            assert min(leads) < Fraction(1, 10**12) * Fraction(max(map(abs, row))) + Fraction(2) ** -900


def test_slack_is_taken_off_every_lead() -> None:
    table = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    scores = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    found = radii(scores, table, torch.tensor([0.25, 2.0], dtype=torch.float64))
    assert 0.75 * (1 - 1e-12) <= float(found.radius[0]) <= 0.75
    assert float(found.radius[1]) == 0.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_never_certified(bad: float) -> None:
    table = pairs(3)
    scores = torch.tensor([[5.0, bad, 0.0]], dtype=torch.float64)
    assert radii(scores, table).radius.tolist() == [0.0]
    good = torch.tensor([[5.0, 1.0, 0.0]], dtype=torch.float64)
    assert radii(good, table, float("nan")).radius.tolist() == [0.0]
    assert radii(good, torch.full_like(table, float("nan"))).radius.tolist() == [0.0]


def test_a_radius_below_zero_cannot_be_asked_for() -> None:
    found = radii(torch.tensor([[5.0, 1.0]], dtype=torch.float64), pairs(2))
    for epsilon in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="cannot be asked for"):
            found.certified(epsilon)


def test_the_bottom_score_leads_exactly_where_nothing_is_certified() -> None:
    torch.manual_seed(4)
    scores, table = torch.randn(500, 6, dtype=torch.float64), pairs(6)
    found = radii(scores, table)
    margin = scores.amax(dim=1) - bottom(scores, table, 0.7)
    sure = margin.abs() > 1e-12
    assert torch.equal((margin > 0)[sure], found.certified(0.7)[sure])


def distance_scores(x: Tensor) -> Tensor:
    """Return distances to the complements of {a < 0}, {a > 0, b > 0} and {a > 0, b < 0}; shape (N, 3)."""
    builder = GraphBuilder.start("x", (2,), Limits())

    def add(operator: str, *inputs: str) -> str:
        return builder.add(Node(operator, operator, inputs, operator, {}, operator))

    def rectified(*row: float) -> str:
        return add("Relu", add("Gemm", "x", builder.parameter(np.array([row]), "w")))

    def smaller(first: str, second: str) -> str:
        return add("Sub", first, add("Relu", add("Sub", first, second)))

    right = rectified(1.0, 0.0)
    parts = [rectified(-1.0, 0.0), smaller(right, rectified(0.0, 1.0)), smaller(right, rectified(0.0, -1.0))]
    joined = builder.add(Node("join", "Concat", tuple(parts), "y", {"axis": 0}, "Concat"))
    return run(builder.finish(joined), x)


def test_a6_distances_to_the_other_regions_certify_the_true_distance_to_the_boundary() -> None:
    torch.manual_seed(6)
    x, y = torch.randn(2, 4000, 2, dtype=torch.float64)
    scores, others = distance_scores(x), distance_scores(y)
    for j in range(3):
        for i in range(3):
            change = ((scores[:, j] - scores[:, i]) - (others[:, j] - others[:, i])).abs()
            assert bool((change <= (x - y).norm(dim=1) * (1 + 1e-12)).all())  # so all constants are one
    found = radii(scores, torch.ones(3, 3, dtype=torch.float64).fill_diagonal_(0.0), slack=1e-14)
    a, b = x.T
    truth = torch.where(a < 0, -a, torch.minimum(a, b.abs()))
    assert bool((found.radius <= truth).all())
    assert torch.allclose(found.radius, truth, rtol=1e-12, atol=1e-13)
    assert torch.equal(found.label, torch.where(a < 0, 0, torch.where(b > 0, 1, 2)))


@pytest.mark.parametrize("ends", [(-1.0, 2.0), (0.25, 0.75)])
def test_a6_intervals_on_a_line(ends: tuple[float, float]) -> None:
    low, high = ends
    x = torch.linspace(-3, 3, 1001, dtype=torch.float64)
    scores = torch.stack(
        [(low - x).relu(), torch.minimum((x - low).relu(), (high - x).relu()), (x - high).relu()], dim=1
    )
    found = radii(scores, torch.ones(3, 3, dtype=torch.float64).fill_diagonal_(0.0))
    truth = torch.minimum((x - low).abs(), (x - high).abs())
    assert bool((found.radius <= truth * (1 + 1e-15)).all())
    assert torch.allclose(found.radius, truth, rtol=1e-12, atol=1e-250)
