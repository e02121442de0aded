"""Proven upper bounds on the largest eigenvalue of symmetric matrices.

Let G be a symmetric float64 matrix of size n that is known to be within ``error`` of a matrix A in the
spectral norm. Take t and form M = t I - G - c I in floating point, where c exceeds what the steps below
may lose. If the floating-point Cholesky factorisation of M runs to completion, then

    lambda_min(M)  >=  - gamma(n + 1) / (1 - gamma(n + 1)) * trace(M)

for any order of its sums (Rump, Verification of positive definiteness, BIT 2006, theorem 2.3; underflow adds
less than n^2 times the smallest normal number). The trace is at most n t, the subtractions on the diagonal
lose at most 4 u t, and A is off G by at most ``error``. So t I - A is positive semidefinite, and t is not
below the largest eigenvalue of A. Nothing depends on how t was found.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from glocert.rounding import TINY, UNIT

_SLACKS = (1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
_DENSE = 384
_STEPS = 96
_POWER = 12
_LEADERS = 8


def largest(gram: Tensor, error: float = 0.0) -> float:
    """Return a proven upper bound on the largest eigenvalue of every matrix that ``gram`` stands for.

    Args:
        gram: float64, shape (*batch, n, n), symmetric; only the lower triangle counts.
        error: bound on the spectral norm of the difference between ``gram`` and the exact matrices, which are
            positive semidefinite.

    Returns:
        The bound; infinite where nothing could be proven.
    """
    if not bool(torch.isfinite(gram).all()) or not math.isfinite(error):
        return math.inf
    rest = gram.reshape(-1, *gram.shape[-2:])
    bound = 0.0
    while len(rest):
        bound = max(bound, _of_leaders(rest, error))
        rest = rest[~proven(rest, bound, error)] if math.isfinite(bound) else rest[:0]
    return bound


def _of_leaders(gram: Tensor, error: float) -> float:
    """Return a bound that is proven for at least one of the matrices, those that look largest."""
    leaders = gram[_growth(gram).topk(min(_LEADERS, len(gram))).indices]
    guess = max(estimate(leaders), 0.0)
    floor = 4 * (_loss(gram.shape[-1], guess) + error) + TINY
    for slack in _SLACKS:
        bound = math.nextafter(guess * (1 + slack) + floor, math.inf)
        if bool(proven(leaders, bound, error).all()):
            return bound
    return math.inf


def _growth(gram: Tensor) -> Tensor:
    """Return how much each matrix stretches a vector after a few steps of power iteration; a guess."""
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(*gram.shape[:2], 1, generator=generator, dtype=torch.float64)
    for _ in range(_POWER):
        vector = gram @ (vector / vector.norm(dim=1, keepdim=True).clamp_min(TINY))
    lengths: Tensor = torch.linalg.vector_norm(vector, dim=1)
    return lengths.squeeze(1)


def proven(gram: Tensor, bound: float, error: float) -> Tensor:
    """Return for which matrices, shape (count, n, n), no eigenvalue exceeds ``bound``; see the module."""
    shift = bound - (_loss(gram.shape[-1], bound) + error) * (1 + 2.0**-20) - TINY
    matrices = -gram
    matrices.diagonal(dim1=-2, dim2=-1).add_(shift)
    failures: Tensor = torch.linalg.cholesky_ex(matrices).info
    return failures.eq(0)


def _loss(size: int, bound: float) -> float:
    """Return what factorisation and diagonal may lose together, generously rounded up."""
    gamma = 1.02 * (size + 2) * UNIT
    if gamma > 2.0**-6:
        return math.inf
    return (1.05 * gamma * size + 8 * UNIT) * abs(bound) + size * size * TINY


def estimate(gram: Tensor) -> float:
    """Return the largest eigenvalue as an unproven number."""
    if gram.shape[-1] <= _DENSE:
        return float(torch.linalg.eigvalsh(gram)[..., -1].max())
    matrices = gram.reshape(-1, *gram.shape[-2:])
    return max(lanczos(matrix.mv, len(matrix), _STEPS) for matrix in matrices)


def lanczos(apply: Callable[[Tensor], Tensor], size: int, steps: int) -> float:
    """Return the largest Ritz value of a Krylov space from a fixed start, orthogonalised in full.

    Args:
        apply: a symmetric map of float64 vectors of length ``size``.
        size: of its vectors.
        steps: at most so many applications.
    """
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(size, generator=generator, dtype=torch.float64)
    basis = [vector / vector.norm()]
    diagonal, beside = [], []
    for _ in range(min(steps, size)):
        image = apply(basis[-1])
        diagonal.append(float(image @ basis[-1]))
        stack = torch.stack(basis)
        for _ in range(2):
            image = image - stack.T @ (stack @ image)
        length = float(image.norm())
        if length <= 1e-14 * max(map(abs, diagonal)):
            break
        beside.append(length)
        basis.append(image / length)
    off = torch.tensor(beside[: len(diagonal) - 1], dtype=torch.float64)
    small = torch.diag(torch.tensor(diagonal, dtype=torch.float64)) + torch.diag(off, 1) + torch.diag(off, -1)
    return float(torch.linalg.eigvalsh(small)[-1])
