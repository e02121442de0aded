"""Principal component pursuit of a symmetric matrix: low rank plus sparse.

Minimises ``|L|_* + lambda |S|_1`` with ``L + S = M`` by the alternating direction method, on the matrix
divided by its Frobenius norm, so that every tolerance is relative. Both residuals must be small: the primal
one alone is small long before the optimum. How far the split is from the optimum follows from its dual.

Source: Candès, Li, Ma & Wright, "Robust Principal Component Analysis?", Journal of the ACM 2011.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from glocert.errors import InvalidSpec

PRIMAL, DUAL = 1e-7, 1e-5
MOST_STEPS = 10_000
_BALANCED, _FREE, _FACTOR = 20, 2_000, 4.0
"""Steps between two changes of the weight, after how many it stays, and the largest change."""
_NOTHING = 1e-6
"""share of the largest eigenvalue below which one is zero"""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """``M = low + sparse``.

    Attributes:
        low: symmetric, shape (d, d).
        sparse: likewise.
        rank: of ``low``; never padded.
        steps: until both residuals were small.
        gap: how far the objective can be from the optimum, as a share of it: proven by the dual, up to
            rounding.
        warnings: why the split may mean nothing.
    """

    low: Tensor
    sparse: Tensor
    rank: int
    steps: int
    gap: float = 0.0
    warnings: tuple[str, ...] = ()


def rpca(matrix: Tensor, sparsity: float | None = None, most_steps: int = MOST_STEPS) -> Split:
    """Split a symmetric matrix.

    Args:
        matrix: float64, shape (d, d), finite.
        sparsity: lambda; ``1 / sqrt(d)`` by default.
        most_steps: after which it is given up.

    Raises:
        InvalidSpec: it does not converge.
    """
    size, scale = len(matrix), float(matrix.norm())
    factor = 1.0 / sqrt(size) if sparsity is None else sparsity
    if scale == 0.0:
        return Split(matrix, matrix, 0, 0)
    low, sparse, dual, steps = _pursued(matrix / scale, factor, most_steps)
    gap = _gap(matrix / scale, sparse, dual, factor)
    values = torch.linalg.eigvalsh(low).abs()
    rank = int((values > _NOTHING * max(1.0, float(values.max()))).sum())
    return Split(scale * low, scale * sparse, rank, steps, gap, _degenerate(matrix, factor))


def _gap(matrix: Tensor, sparse: Tensor, dual: Tensor, factor: float) -> float:
    """Compare ``S`` and ``L = M - S`` with the dual ``max <Y, M>``, ``|Y|_2 <= 1``, ``|Y_ij| <= lambda``."""
    reached = float(torch.linalg.eigvalsh(matrix - sparse).abs().sum()) + factor * float(sparse.abs().sum())
    spectral, entry = float(torch.linalg.matrix_norm(dual, 2)), float(dual.abs().max())
    bound = float((dual * matrix).sum()) / max(1.0, spectral, entry / factor)
    return (reached - bound) / reached


def _degenerate(matrix: Tensor, factor: float) -> tuple[str, ...]:
    """Warn where no low-rank part can come out.

    ``lambda sign(M)`` is a subgradient of the sparse term at ``S = M``; where its spectral norm is at most
    1 it is one of the nuclear norm at ``L = 0``, too, and all of M is the sparse part.
    """
    if float(torch.linalg.matrix_norm(factor * matrix.sign(), 2)) > 1.0:
        return ()
    size = len(matrix)
    return (
        f"degenerate λ: with λ = {factor:.4g} and {size} latent dimensions the low-rank part of the optimum "
        'is zero, whatever the generator; take a larger λ, or "method": "eigen".',
    )


def _pursued(matrix: Tensor, factor: float, most_steps: int) -> tuple[Tensor, Tensor, Tensor, int]:
    """Return low-rank part, sparse part, dual and steps, for a matrix of Frobenius norm one."""
    weight = matrix.numel() / (4.0 * float(matrix.abs().sum()))
    sparse, dual = torch.zeros_like(matrix), torch.zeros_like(matrix)
    for step in range(1, most_steps + 1):
        low = _singular_values_shrunk(matrix - sparse + dual / weight, 1.0 / weight)
        rest = matrix - low + dual / weight
        before, sparse = sparse, rest.sign() * (rest.abs() - factor / weight).clamp_min(0.0)
        gap = matrix - low - sparse
        dual = dual + weight * gap
        primal, other = float(gap.norm()), weight * float((sparse - before).norm())
        if primal <= PRIMAL and other <= DUAL:
            return low, sparse, dual, step
        weight *= _balance(primal / PRIMAL, other / DUAL, step)
    raise InvalidSpec(
        f"the low-rank part has not settled after {most_steps} steps; take another λ, or the method eigen"
    )


def _balance(primal: float, dual: float, step: int) -> float:
    """Return by what to change the weight, so that both residuals fall alike whatever the spectrum."""
    if step % _BALANCED or step > _FREE:  # it converges once the weight stays
        return 1.0
    return float(min(_FACTOR, max(1.0 / _FACTOR, (primal / max(dual, 1e-300)) ** 0.5)))


def _singular_values_shrunk(matrix: Tensor, by: float) -> Tensor:
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    shrunk = values.sign() * (values.abs() - by).clamp_min(0.0)
    return torch.mm(vectors * shrunk, vectors.T)
