"""Local directions of generators whose blocks are known (A36, A37)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.errors import InvalidSpec, NoDirection
from glocert.generators.decoder import Decoder
from glocert.generators.directions.found import Found
from glocert.generators.directions.local import INSIDE, OUTSIDE, Tolerance, local_directions, localised
from glocert.generators.jacobian import Forms, forms
from tests.glocert.generators.decoders import linear, orthogonal_columns, relu_net

EXACT = Tolerance(least=1)


def seen(decoder: Decoder, inside: np.ndarray, codes: torch.Tensor | None = None) -> Forms:
    if codes is None:
        codes = torch.zeros(1, decoder.dimension, dtype=torch.float64)
    return forms(decoder, codes, {INSIDE: inside, OUTSIDE: ~inside})


def blocks(rng: np.random.Generator, shared: float = 0.0) -> tuple[Decoder, np.ndarray]:
    """Ten numbers driven by z_1..z_3, twenty by z_4..z_7; ``shared`` of z_1 also drives the latter."""
    weight = np.zeros((30, 7))
    weight[:10, :3] = rng.standard_normal((10, 3))
    weight[10:, 3:] = rng.standard_normal((20, 4))
    weight[10:, 0] += shared * np.ones(20)
    return linear(weight), np.arange(30) < 10


def assert_orthonormal(found: Found) -> None:
    eye = np.eye(len(found))
    np.testing.assert_allclose((found.vectors @ found.vectors.T).numpy(), eye, atol=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_blocks_of_their_own_are_found_without_leakage(seed: int) -> None:
    decoder, inside = blocks(np.random.default_rng(seed))
    found = local_directions(seen(decoder, inside), tolerance=EXACT)
    assert len(found) == 3
    assert float(found.vectors[:, 3:].abs().max()) < 1e-10
    assert float(found.leakage.max()) < 1e-12
    assert_orthonormal(found)
    assert (found.energies.diff() <= 0).all()


def test_the_energies_of_a_block_are_its_singular_values() -> None:
    rng = np.random.default_rng(0)
    decoder, inside = blocks(rng)
    (jacobian,) = [seen(decoder, inside).of[INSIDE]]
    values = torch.linalg.eigvalsh(jacobian).flip(0)[:3]
    found = local_directions(seen(decoder, inside), tolerance=EXACT)
    np.testing.assert_allclose(found.energies.numpy(), values.numpy(), rtol=1e-12)


def test_the_leakage_through_a_shared_coordinate_is_the_analytic_one() -> None:
    weight = np.zeros((4, 1))
    weight[:, 0] = [2.0, 1.0, 1.0, 1.0]
    found = local_directions(seen(linear(weight), np.array([True, False, False, False])))
    assert found.leakage.tolist() == pytest.approx([3.0 / 7.0], rel=1e-12)
    assert found.energies.tolist() == pytest.approx([4.0])


def test_a_faintly_shared_coordinate_is_used_and_reported() -> None:
    rng = np.random.default_rng(1)
    decoder, inside = blocks(rng, shared=1e-3)
    (weight,) = [np.asarray(seen(decoder, inside).of[OUTSIDE])]
    found = local_directions(seen(decoder, inside), 3)
    vectors = found.vectors.numpy()
    behind = 20 * np.einsum("ri,ij,rj->r", vectors, weight, vectors)
    within = 10 * found.energies.numpy()
    np.testing.assert_allclose(found.leakage.numpy(), behind / (behind + within), rtol=1e-9)
    assert 0 < float(found.leakage.max()) < 1e-4


@pytest.mark.parametrize("method", ["subspace", "ratio"])
@pytest.mark.parametrize("seed", range(3))
def test_a_background_that_everything_moves_is_no_failure(seed: int, method: str) -> None:
    rng = np.random.default_rng(seed)
    decoder = relu_net(rng, 12, 50, (1, 10, 10))
    inside = np.zeros((1, 10, 10), dtype=bool)
    inside[:, 2:5, 2:5] = True
    found = local_directions(
        seen(decoder, inside, torch.from_numpy(rng.standard_normal((6, 12)))), method=method
    )
    assert len(found) > 0
    for part in (found.vectors, found.energies, found.leakage):
        assert torch.isfinite(part).all()
    np.testing.assert_allclose(found.vectors.norm(dim=1).numpy(), 1.0, atol=1e-10)
    assert float(found.leakage.min()) > 1e-3
    if method == "subspace":
        assert_orthonormal(found)


def test_a_background_of_low_rank_leaks_nothing() -> None:
    rng = np.random.default_rng(2)
    weight = np.zeros((40, 9))
    weight[:12] = rng.standard_normal((12, 9))
    weight[12:] = rng.standard_normal((28, 3)) @ orthogonal_columns(rng, 9, 3).T
    found = local_directions(seen(linear(weight), np.arange(40) < 12))
    assert len(found) == 6
    assert float(found.leakage.max()) <= 1e-12
    assert_orthonormal(found)


def test_projecting_afterwards_would_not_be_orthonormal() -> None:
    """What the method avoids: the leading vectors of the region, projected one by one."""
    rng = np.random.default_rng(3)
    weight = rng.standard_normal((40, 9))
    weight[12:] = rng.standard_normal((28, 4)) @ orthogonal_columns(rng, 9, 4).T
    both = seen(linear(weight), np.arange(40) < 12)
    leading = torch.linalg.eigh(both.of[INSIDE])[1].T[-3:]
    projected = torch.stack([localised(both, vector).vector for vector in leading])
    assert float((projected @ projected.T - torch.eye(3)).abs().max()) > 0.05
    assert_orthonormal(local_directions(both, 3))


def test_a_region_of_everything_is_the_global_case() -> None:
    rng = np.random.default_rng(4)
    weight = rng.standard_normal((15, 4))
    both = seen(linear(weight), np.ones(15, dtype=bool))
    for method in ("subspace", "ratio"):
        found = local_directions(both, method=method)
        values = np.linalg.svd(weight)[1] ** 2 / 15
        np.testing.assert_allclose(found.energies.numpy(), values, rtol=1e-10)
        assert found.leakage.tolist() == [0.0] * 4


def test_the_ratio_is_stationary_and_its_directions_move_the_background_apart() -> None:
    rng = np.random.default_rng(5)
    both = seen(linear(rng.standard_normal((60, 6))), np.arange(60) < 20)
    found = local_directions(both, method="ratio")
    regular = both.of[OUTSIDE] + 1e-3 * both.of[OUTSIDE].trace() * torch.eye(6)
    across = (found.vectors @ regular @ found.vectors.T).numpy()
    np.testing.assert_allclose(across, np.diag(np.diag(across)), atol=1e-10)
    ratios = torch.tensor(found.measures["ratios"])
    left = found.vectors @ both.of[INSIDE]
    np.testing.assert_allclose(left.numpy(), (ratios[:, None] * (found.vectors @ regular)).numpy(), atol=1e-9)
    assert np.abs(np.array(found.measures["gram"]) - np.eye(6)).max() > 1e-3


def test_a_region_that_nothing_moves_has_no_mutation() -> None:
    weight = np.vstack([np.zeros((2, 3)), np.eye(3)])
    with pytest.raises(NoDirection, match="No mutation in the region"):
        local_directions(seen(linear(weight), np.arange(5) < 2))


def test_a_region_that_moves_with_the_background_only() -> None:
    weight = np.vstack([np.eye(2, 8), 100 * np.eye(8)[:2], np.zeros((1, 8))])
    with pytest.raises(NoDirection, match="moves the background, too"):
        local_directions(seen(linear(weight), np.arange(5) < 2))


def test_a_given_direction_is_projected_and_what_remains_of_it_told() -> None:
    decoder, inside = blocks(np.random.default_rng(6))
    both = seen(decoder, inside)
    given = torch.tensor([3.0, 0, 0, 4.0, 0, 0, 0], dtype=torch.float64)
    kept = localised(both, given, EXACT)
    np.testing.assert_allclose(kept.vector.numpy(), np.eye(7)[0], atol=1e-10)
    assert kept.retention == pytest.approx(0.6)
    assert kept.leakage < 1e-12
    with pytest.raises(NoDirection, match="leaves the background"):
        localised(both, torch.tensor([0.01, 0, 0, 1.0, 0, 0, 0], dtype=torch.float64), EXACT)


def test_slopes_that_are_not_finite_are_refused() -> None:
    both = Forms(
        {
            INSIDE: torch.eye(2, dtype=torch.float64),
            OUTSIDE: torch.full((2, 2), torch.nan, dtype=torch.float64),
        },
        {INSIDE: 1, OUTSIDE: 1},
    )
    with pytest.raises(InvalidSpec, match="not finite"):
        local_directions(both)
