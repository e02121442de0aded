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

from glocert.rounding import TINY, UNIT, dot, grow

_SLACKS = (1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
_DENSE = 384
_STEPS = 96
_POWER = 12
_LEADERS = 8
_PARTS = 2**23


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
    floor = 4 * (float(_loss(gram.shape[-1], torch.tensor(guess, dtype=torch.float64))) + error) + TINY
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


def proven(gram: Tensor, bound: float | Tensor, error: float | Tensor) -> Tensor:
    """Return for which matrices, shape (count, n, n), no eigenvalue exceeds ``bound``; see the module.

    ``bound`` and ``error`` are one number each, or one for each matrix.
    """
    bounds = torch.as_tensor(bound, dtype=torch.float64)
    shift = bounds - (_loss(gram.shape[-1], bounds) + error) * (1 + 2.0**-20) - TINY
    matrices = -gram
    matrices.diagonal(dim1=-2, dim2=-1).add_(shift.reshape(-1, 1))
    failures: Tensor = torch.linalg.cholesky_ex(matrices).info
    return failures.eq(0)


def _loss(size: int, bounds: Tensor) -> Tensor:
    """Return what factorisation and diagonal may lose together, generously rounded up."""
    gamma = 1.02 * (size + 2) * UNIT
    if gamma > 2.0**-6:
        return torch.full_like(bounds, torch.inf)
    return (1.05 * gamma * size + 8 * UNIT) * bounds.abs() + size * size * TINY


def proven_norms(matrix: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return proven bounds on the norms of parts of a matrix, shape (N,); no worse than Frobenius norms.

    Args:
        matrix: float64, shape (outputs, inputs), exact.
        rows: bool, shape (N, outputs): which rows count.
        columns: bool, shape (N, inputs): which columns count.
    """
    wide = matrix.shape[1] > matrix.shape[0]
    tall, short = (columns, rows) if wide else (rows, columns)
    base = matrix.T if wide else matrix
    found = torch.full((len(rows),), math.inf, dtype=torch.float64)
    step = max(1, _PARTS // base.numel())
    for first in range(0, len(rows), step):
        part = slice(first, first + step)
        found[part] = _norms_of(base * (tall[part, :, None] & short[part, None, :]))
    return found


def _norms_of(parts: Tensor) -> Tensor:
    """Return proven bounds on the norms of matrices, shape (count, rows, columns)."""
    terms, size = parts.shape[1:]
    gram = parts.mT @ parts
    square = parts.square().sum(dim=(1, 2)) * grow(terms * size)
    error = (dot(terms) * square + terms * TINY * size) * grow(8)
    guess = _ritz(gram)
    found = square.clone()
    for slack in (0.1, 0.02, 0.003):
        bound = guess * (1 + slack) + 4 * error + TINY
        found = torch.where(proven(gram, bound, error), torch.minimum(found, bound), found)
    norms: Tensor = (found * grow(4)).sqrt() * grow(4)
    return norms


def _ritz(gram: Tensor) -> Tensor:
    """Return the Rayleigh quotients after power iteration from a fixed start: guesses."""
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(gram.shape[-1], 1, generator=generator, dtype=torch.float64).expand(len(gram), -1, 1)
    for _ in range(2 * _POWER):
        vector = gram @ (vector / vector.norm(dim=1, keepdim=True).clamp_min(TINY))
    unit = vector / vector.norm(dim=1, keepdim=True).clamp_min(TINY)
    quotients: Tensor = (unit.mT @ gram @ unit).reshape(-1).clamp_min(0.0)
    return quotients


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
