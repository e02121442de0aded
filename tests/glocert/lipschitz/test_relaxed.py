"""W6: relaxed radii against the plain ones, and against every pair by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from glocert.lipschitz.radius import radii
from glocert.lipschitz.relaxed import top_sets


def case(seed: int, classes: int = 6) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    table = torch.rand(classes, classes, dtype=torch.float64) + 0.1
    scores = torch.randn(200, classes, dtype=torch.float64)
    scores[:20, 1] = scores[:20, 0]  # ties, some of them at the top
    return scores, (table + table.T).fill_diagonal_(0.0)


@pytest.mark.parametrize("seed", range(3))
def test_w6_one_class_is_the_plain_question(seed: int) -> None:
    scores, table = case(seed)
    assert torch.equal(top_sets(scores, table, 0.01, 1).radius, radii(scores, table, 0.01).radius)


@pytest.mark.parametrize("seed", range(3))
def test_w6_groups_of_one_class_are_the_plain_question(seed: int) -> None:
    scores, table = case(seed)
    groups = [[label] for label in range(6)]
    assert torch.equal(top_sets(scores, table, 0.0, 1, groups).radius, radii(scores, table).radius)


def test_w6_every_radius_is_the_smallest_over_pairs_and_more_choice_never_hurts() -> None:
    scores, table = case(4)
    found = top_sets(scores, table, 0.02, 5)
    for row in range(0, 200, 7):
        order = scores[row].argsort(descending=True, stable=True).tolist()
        for k in range(1, 6):
            truth = min(
                max(0.0, float(scores[row, j] - scores[row, i]) - 0.02) / float(table[j, i])
                for j in order[:k]
                for i in order[k:]
            )
            assert truth * (1 - 1e-12) - 1e-12 <= float(found.sets[row, k - 1]) <= truth
    plain = radii(scores, table, 0.02).radius
    assert bool((found.radius >= plain).all())
    for most in (1, 2, 3):
        assert bool((top_sets(scores, table, 0.02, most).radius <= found.radius).all())


def test_a_set_counts_only_within_a_group() -> None:
    scores = torch.tensor([[3.0, 2.9, 0.0, -1.0]], dtype=torch.float64)
    table = torch.ones(4, 4, dtype=torch.float64).fill_diagonal_(0.0)
    within = top_sets(scores, table, 0.0, 2, [[0, 1], [2], [3]])
    assert within.guaranteed(1.0).tolist() == [[False, True]]
    assert within.robust(torch.tensor([1]), 1.0).tolist() == [True]
    assert within.robust(torch.tensor([2]), 1.0).tolist() == [False]
    across = top_sets(scores, table, 0.0, 2, [[0, 2], [1, 3]])
    assert across.guaranteed(1.0).tolist() == [[False, False]]


def test_equal_scores_across_the_border_of_a_set_have_no_radius() -> None:
    scores = torch.tensor([[2.0, 1.0, 1.0, 0.0]], dtype=torch.float64)
    table = torch.ones(4, 4, dtype=torch.float64).fill_diagonal_(0.0)
    sets = top_sets(scores, table, 0.0, 3).sets[0].tolist()
    assert sets[1] == 0.0
    assert min(sets[0], sets[2]) > 0.99


def test_the_loosest_set_that_stays_decides_for_the_label() -> None:
    scores = torch.tensor([[5.0, 3.0, 0.0]], dtype=torch.float64)
    table = torch.ones(3, 3, dtype=torch.float64).fill_diagonal_(0.0)
    found = top_sets(scores, table, 0.0, 2)
    assert found.robust(torch.tensor([1]), 2.5).tolist() == [True]  # {0, 1} stays to 3
    assert found.robust(torch.tensor([1]), 3.5).tolist() == [False]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_certify_nothing(bad: float) -> None:
    scores, table = case(0)
    scores[3, 2] = bad
    assert top_sets(scores, table, 0.0, 3).radius[3] == 0.0
    assert bool((top_sets(scores[:2], table, bad, 3).radius == 0.0).all())
