from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.errors import InvalidSpec, NoDirection
from glocert.generators.directions.attribute import attribute
from glocert.generators.directions.bases import orthogonal
from glocert.generators.directions.pairs import accuracy, difference


def random_rows(seed: int, rows: int, columns: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((rows, columns)))


def test_one_pair_is_its_own_direction() -> None:
    before = random_rows(0, 1, 4)
    found = difference(before, before + torch.tensor([3.0, 0.0, -4.0, 0.0], dtype=torch.float64))
    np.testing.assert_allclose(found.vector.numpy(), [0.6, 0.0, -0.8, 0.0], atol=1e-15)
    assert (found.extent, found.cosine, found.warnings) == (pytest.approx(5.0), pytest.approx(1.0), ())


def test_many_pairs_are_averaged_without_regard_to_their_lengths() -> None:
    before = torch.zeros(2, 2, dtype=torch.float64)
    after = torch.tensor([[100.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    found = difference(before, after)
    np.testing.assert_allclose(found.vector.numpy(), [0.5**0.5, 0.5**0.5], atol=1e-15)
    assert found.cosine == pytest.approx(0.5**0.5)
    assert found.extent == pytest.approx(101 * 0.5**0.5 / 2)
    assert "rests on 2 pairs" in found.warnings[0]


def test_pairs_that_disagree_are_told() -> None:
    before = random_rows(1, 80, 30)
    assert "different ways" in difference(before, before + random_rows(2, 80, 30)).warnings[0]


def test_pairs_without_a_direction() -> None:
    codes = random_rows(3, 4, 3)
    with pytest.raises(NoDirection, match="changes no code"):
        difference(codes, codes.clone())
    change = torch.tensor([[1.0, 2.0, 0.0], [-2.0, -4.0, 0.0]], dtype=torch.float64)
    with pytest.raises(NoDirection, match="opposite ways"):
        difference(torch.zeros(2, 3, dtype=torch.float64), change)


def groups(seed: int, count: int, gap: float, spread: tuple[float, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Two clouds that differ by ``gap`` along the first axis, of given deviations."""
    positive = torch.arange(count) % 2 == 0
    codes = random_rows(seed, count, len(spread)) * torch.tensor(spread, dtype=torch.float64)
    codes[:, 0] += gap * positive
    return codes, positive


@pytest.mark.parametrize("method", ["means", "separator"])
def test_an_attribute_is_the_way_between_its_groups(method: str) -> None:
    codes, positive = groups(4, 2000, 4.0, (1.0, 1.0, 1.0))
    found = attribute(codes, positive, method)
    assert float(found.vector[0]) > 0.99
    assert found.distance == pytest.approx(4.0, abs=0.2)
    assert found.accuracy == pytest.approx(0.977, abs=0.01)  # of a threshold two deviations from both means
    assert (found.counts, found.warnings) == ((1000, 1000), ())


def test_a_separator_is_not_misled_by_how_codes_spread_together() -> None:
    """The clouds are flat: a mean moves along them, what tells them apart is across."""
    codes, positive = groups(5, 400, 0.5, (0.1, 0.1))
    shear = torch.tensor([[1.0, 0.0], [3.0, 1.0]], dtype=torch.float64)
    turned = codes @ torch.linalg.inv(shear).T  # across is (1, 0) of the codes, which is shear's first row
    means, plane = attribute(turned, positive, "means"), attribute(turned, positive, "separator")
    assert plane.accuracy is not None
    assert means.accuracy is not None
    assert plane.accuracy > 0.98
    assert plane.accuracy >= means.accuracy


@pytest.mark.parametrize("method", ["means", "separator"])
def test_items_that_one_group_has_twice_change_nothing(method: str) -> None:
    codes, positive = groups(6, 60, 2.0, (1.0, 1.0))
    twice = torch.cat([codes, codes[positive], codes[positive]])
    labels = torch.cat([positive, positive[positive], positive[positive]])
    once, more = attribute(codes, positive, method), attribute(twice, labels, method)
    np.testing.assert_allclose(once.vector.numpy(), more.vector.numpy(), atol=1e-9)
    assert once.fitted == pytest.approx(more.fitted)


def test_an_attribute_that_codes_do_not_tell_is_warned_about() -> None:
    codes, positive = groups(7, 300, 0.0, (1.0, 1.0, 1.0))
    found = attribute(codes, positive, "separator")
    assert found.accuracy is not None
    assert abs(found.accuracy - 0.5) < 0.12
    assert "what was left out" in found.warnings[0]


def test_attributes_without_a_direction() -> None:
    codes = random_rows(8, 6, 3)
    with pytest.raises(InvalidSpec, match="too small"):
        attribute(codes, torch.arange(6) == 0)
    same = torch.cat([codes, codes])
    with pytest.raises(NoDirection, match="same mean"):
        attribute(same, torch.arange(12) < 6)


def test_the_accuracy_of_a_threshold_counts_ties_as_they_are() -> None:
    heights = torch.tensor([[0.0], [1.0], [1.0], [2.0]], dtype=torch.float64)
    along = torch.ones(1, dtype=torch.float64)
    assert accuracy(heights, torch.tensor([False, False, True, True]), along) == pytest.approx(0.75)
    assert accuracy(heights, torch.tensor([False, False, False, True]), along) == 1.0
    assert accuracy(-heights, torch.tensor([False, False, False, True]), along) == 0.5


@pytest.mark.parametrize("method", ["gram-schmidt", "loewdin"])
def test_directions_become_orthonormal(method: str) -> None:
    rows = random_rows(9, 4, 10)
    rows[1] = rows[0] + 1e-4 * rows[1]
    found = orthogonal(rows, method)
    np.testing.assert_allclose((found.vectors @ found.vectors.T).numpy(), np.eye(4), atol=1e-12)
    np.testing.assert_allclose(torch.linalg.matrix_rank(torch.cat([rows, found.vectors])).item(), 4)


def test_gram_schmidt_keeps_the_first_and_loewdin_turns_both_alike() -> None:
    angle = np.radians(30.0)
    rows = torch.tensor([[1.0, 0.0], [np.cos(angle), np.sin(angle)]], dtype=torch.float64)
    np.testing.assert_allclose(orthogonal(rows).turned.numpy(), [0.0, 60.0], atol=1e-6)
    np.testing.assert_allclose(orthogonal(rows, "loewdin").turned.numpy(), [30.0, 30.0], atol=1e-9)


def test_directions_that_depend_on_each_other_are_refused() -> None:
    rows = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]], dtype=torch.float64)
    for method in ("gram-schmidt", "loewdin"):
        with pytest.raises(InvalidSpec, match="depend on each other"):
            orthogonal(rows, method)
    with pytest.raises(InvalidSpec, match="depend on each other"):
        orthogonal(random_rows(10, 3, 2))
    with pytest.raises(InvalidSpec, match="no method"):
        orthogonal(rows[:2], "qr")
