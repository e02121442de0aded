"""Global directions of matrices and of networks, and the low-rank option (A35, A38)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.errors import InvalidSpec, NoDirection
from glocert.generators.directions.eigen import eigen
from glocert.generators.directions.found import signed
from glocert.generators.directions.overall import global_directions
from glocert.generators.directions.rpca import rpca
from glocert.generators.jacobian import EVERYWHERE, forms
from tests.glocert.generators.decoders import linear, orthogonal_columns, relu_net


def form_of_matrix(weight: np.ndarray) -> torch.Tensor:
    origin = torch.zeros(1, weight.shape[1], dtype=torch.float64)
    return forms(linear(weight), origin).of[EVERYWHERE]


@pytest.mark.parametrize("seed", range(4))
def test_directions_of_a_matrix_are_its_right_singular_vectors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.array([5.0, 3.0, 2.0, 1.0, 0.6])
    right = orthogonal_columns(rng, 5, 5)
    weight = orthogonal_columns(rng, 40, 5) * values @ right.T
    found = global_directions(form_of_matrix(weight), 5)
    np.testing.assert_allclose(found.energies.numpy(), values**2 / 40, rtol=1e-12)
    np.testing.assert_allclose(np.abs(found.vectors.numpy() @ right), np.eye(5), atol=1e-10)
    assert found.identified == (True,) * 5


def test_a_share_of_the_energy_decides_how_many_there_are() -> None:
    found = global_directions(form_of_matrix(np.diag([10.0, 1.0, 0.5, 1e-4])))
    assert len(found) == 2  # 100 of 101.25 is less than 99 %, 101 is not
    assert len(global_directions(form_of_matrix(np.diag([10.0, 1.0, 0.5, 1e-4])), 9)) == 3  # 1e-10 is nothing
    assert len(global_directions(form_of_matrix(np.diag([1.0, 1.0, 1.0, 1e-4])), 2)) == 2
    exact = global_directions(form_of_matrix(np.diag([1.0, 0.0, 1.0])))
    assert len(exact) == 2


def test_signs_are_fixed_by_the_first_of_the_largest_entries() -> None:
    rows = torch.tensor([[0.6, -0.8], [-0.6, -0.6], [0.6, -0.6 * (1 + 1e-15)]], dtype=torch.float64)
    assert torch.equal(
        signed(rows).sign(), torch.tensor([[-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    )


def test_equal_energies_are_not_identified() -> None:
    weight = np.diag([3.0, 2.0, 2.0 * (1 + 1e-9), 1.0])
    found = global_directions(form_of_matrix(weight), 4)
    assert found.identified == (True, False, False, True)
    assert float((found.vectors @ found.vectors.T - torch.eye(4)).abs().max()) < 1e-10


def test_one_latent_dimension() -> None:
    found = global_directions(form_of_matrix(np.array([[2.0], [1.0]])))
    assert found.vectors.tolist() == [[1.0]]
    assert found.energies.tolist() == pytest.approx([2.5])


def test_a_generator_that_does_not_move_has_no_direction() -> None:
    with pytest.raises(NoDirection, match="does not depend"):
        global_directions(torch.zeros(3, 3, dtype=torch.float64))


def test_a_form_with_nan_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="not finite"):
        global_directions(torch.full((3, 3), torch.nan, dtype=torch.float64))
    with pytest.raises(InvalidSpec, match="not finite"):
        eigen(torch.diag(torch.tensor([1.0, torch.inf], dtype=torch.float64)))


@pytest.mark.parametrize("seed", range(3))
def test_directions_of_a_network_are_orthonormal_and_move_what_they_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    decoder = relu_net(rng, 7, 30, (1, 6, 6))
    codes = torch.from_numpy(rng.standard_normal((12, 7)))
    found = global_directions(forms(decoder, codes).of[EVERYWHERE], 4)
    np.testing.assert_allclose((found.vectors @ found.vectors.T).numpy(), np.eye(4), atol=1e-10)
    assert (found.energies.diff() <= 0).all()
    step = 1e-6
    for vector, energy in zip(found.vectors, found.energies.tolist(), strict=True):
        change = decoder.images(codes + step * vector) - decoder.images(codes)
        assert float(change.square().mean()) / step**2 == pytest.approx(energy, rel=1e-4)


def planted(size: int = 100, rank: int = 3, share: float = 0.03) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(7)
    factors = orthogonal_columns(rng, size, rank) * np.array([3.0, 2.0, 1.5])[:rank]
    low = factors @ factors.T
    noise = np.where(rng.random((size, size)) < share / 2, rng.choice([-1.0, 1.0], (size, size)), 0.0)
    return torch.from_numpy(low), torch.from_numpy(np.triu(noise, 1) + np.triu(noise, 1).T)


def test_a_planted_low_rank_part_is_recovered() -> None:
    low, sparse = planted()
    split = rpca(low + sparse)
    assert (split.rank, split.warnings) == (3, ())
    assert float((split.low - low).norm() / low.norm()) < 1e-4
    assert float((split.sparse - sparse).norm() / sparse.norm()) < 1e-4


@pytest.mark.parametrize(("size", "sparsity"), [(8, None), (30, None), (5, 0.9)])
@pytest.mark.parametrize("decades", [0, 3])
def test_the_split_of_a_form_of_full_rank_is_the_optimum(
    size: int, sparsity: float | None, decades: int
) -> None:
    rng = np.random.default_rng(size)
    weight = rng.standard_normal((3 * size, size)) * 10.0 ** -np.linspace(0, decades, size)
    split = rpca(torch.from_numpy(weight.T @ weight), sparsity)
    assert -1e-9 <= split.gap < 1e-4


def test_the_split_does_not_depend_on_the_scale() -> None:
    low, sparse = planted(40, 2, 0.02)
    small, large = rpca(low + sparse), rpca(1e9 * (low + sparse))
    assert small.steps == large.steps
    np.testing.assert_allclose(1e9 * small.low.numpy(), large.low.numpy(), rtol=1e-6, atol=1e-2)


def test_directions_of_the_low_rank_part_are_never_padded() -> None:
    low, sparse = planted()
    found = global_directions(low + sparse, 10, method="rpca")
    assert len(found) == 3
    wanted = eigen(low).vectors[:3]
    np.testing.assert_allclose((found.vectors @ wanted.T).abs().numpy(), np.eye(3), atol=1e-3)


@pytest.mark.parametrize("size", [5, 50])
def test_a_sparsity_that_leaves_no_low_rank_part_is_told(size: int) -> None:
    weight = np.random.default_rng(size).standard_normal((200, size))
    form = form_of_matrix(weight)
    split = rpca(form, 1 / 60)
    assert split.rank == 0
    assert "degenerate λ" in split.warnings[0]
    with pytest.raises(NoDirection, match="degenerate λ"):
        global_directions(form, method="rpca", sparsity=1 / 60)


def test_a_split_that_does_not_settle_says_so() -> None:
    low, sparse = planted(40, 2, 0.05)
    with pytest.raises(InvalidSpec, match="not settled after 3 steps"):
        rpca(low + sparse, most_steps=3)
    nothing = rpca(torch.zeros(4, 4, dtype=torch.float64))
    assert (nothing.rank, nothing.steps) == (0, 0)
