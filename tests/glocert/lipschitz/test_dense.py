"""Spectral norms of matrices: never below the truth, and close to it."""

import mpmath
import pytest
import torch

from glocert.lipschitz.dense import matrix_norm
from glocert.lipschitz.roots import ERROR, roots_of_unity
from glocert.lipschitz.spectrum import largest, proven


def exact_norm(weight: torch.Tensor) -> mpmath.mpf:
    """The norm with 40 digits."""
    with mpmath.workdps(40):
        matrix = mpmath.matrix(weight.tolist())
        return mpmath.svd_r(matrix, compute_uv=False)[0]


@pytest.mark.parametrize("scale", [1e-300, 1e-20, 1e-5, 1.0, 1e20, 1e290])
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (12, 5), (9, 9)])
def test_the_bound_is_above_and_close(shape: tuple[int, int], scale: float) -> None:
    torch.manual_seed(sum(shape))
    weight = torch.randn(*shape, dtype=torch.float64) * scale
    found = matrix_norm(weight)
    truth = exact_norm(weight)
    assert found.upper >= truth
    assert found.upper <= truth * (1 + 1e-9)
    assert found.lower <= truth * (1 + 1e-9)


@pytest.mark.parametrize("sizes", [(40, 40), (300, 64), (64, 300)])
def test_flat_spectra_are_bounded_tightly(sizes: tuple[int, int]) -> None:
    torch.manual_seed(1)
    weight = torch.nn.init.orthogonal_(torch.empty(*sizes, dtype=torch.float64))
    assert 1.0 <= matrix_norm(weight).upper * (1 + 1e-15) <= 1 + 1e-8


def test_a_leading_vector_that_a_fixed_start_misses_is_found() -> None:
    """The largest singular value belongs to a vector orthogonal to everything that one might start from."""
    torch.manual_seed(2)
    basis = torch.linalg.qr(torch.randn(500, 500, dtype=torch.float64))[0]
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(500, generator=generator, dtype=torch.float64)
    leader = basis[:, 0] - start * (basis[:, 0] @ start) / (start @ start)
    leader = leader / leader.norm()
    weight = torch.eye(500, dtype=torch.float64) + 4.0 * torch.outer(leader, leader)
    assert matrix_norm(weight).upper >= 5.0


def test_zero_and_rank_one() -> None:
    assert matrix_norm(torch.zeros(4, 3, dtype=torch.float64)).upper == 0.0
    assert matrix_norm(torch.tensor([[1e-5]], dtype=torch.float64)).upper >= 1e-5
    one = torch.ones(50, 70, dtype=torch.float64)
    assert 3500**0.5 <= matrix_norm(one).upper <= 3500**0.5 * (1 + 1e-9)


def test_numbers_that_are_not_finite_have_no_bound() -> None:
    assert matrix_norm(torch.tensor([[1.0, float("nan")]], dtype=torch.float64)).upper == float("inf")


def test_what_the_matrix_may_be_off_is_part_of_the_bound() -> None:
    gram = torch.diag(torch.tensor([1.0, 2.0], dtype=torch.float64))
    assert largest(gram, error=0.5) >= 2.5


@pytest.mark.parametrize("size", [1, 2, 30, 200])
def test_only_what_is_true_is_proven(size: int) -> None:
    torch.manual_seed(size)
    gram = torch.randn(5, size, size, dtype=torch.float64)
    gram = gram @ gram.mT
    truth = torch.linalg.eigvalsh(gram)[:, -1]
    for row in range(5):
        top = float(truth[row])
        assert bool(proven(gram[row : row + 1], top * (1 + 1e-9), 0.0)[0])
        assert not bool(proven(gram[row : row + 1], top * (1 - 1e-9), 0.0)[0])
        assert not bool(proven(gram[row : row + 1], top * (1 + 1e-9), top * 1e-8)[0])


def test_of_many_matrices_the_largest_counts() -> None:
    torch.manual_seed(3)
    grams = torch.randn(200, 6, 6, dtype=torch.float64)
    grams = grams @ grams.mT
    truth = float(torch.linalg.eigvalsh(grams).max())
    assert truth <= largest(grams) <= truth * (1 + 1e-9)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 8, 12, 31, 34, 100, 257])
def test_roots_of_unity_keep_their_promise(count: int) -> None:
    with mpmath.workdps(40):
        for j, root in enumerate(roots_of_unity(count)):
            exact = mpmath.expjpi(mpmath.mpf(2 * j) / count)
            assert abs(exact.real - root.real.item()) <= ERROR
            assert abs(exact.imag - root.imag.item()) <= ERROR
