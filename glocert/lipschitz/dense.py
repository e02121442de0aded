"""The spectral norm of a matrix that is known exactly.

Three bounds, the smallest counts:

- *Cholesky*: G = fl(W' W) on the smaller side is within ``gamma(p) ||W||_F^2`` of the exact product, p
  being the length of its sums (entry by entry |G - W'W| <= gamma(p) |W|'|W|, and the Frobenius norm of
  |W|'|W| is at most ||W||_F^2). ``spectrum.largest`` then proves a bound on its largest eigenvalue.
- *Frobenius* and *Schur* (square root of the largest row sum times the largest column sum of |W|): free.

Matrices are first divided by a power of two, so that tiny and huge weights neither underflow nor overflow.
What falls below the smallest normal number on the way is covered by the underflow term.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from glocert.lipschitz.norm import Norm, best
from glocert.lipschitz.spectrum import estimate, largest
from glocert.rounding import TINY, dot, grow

_LARGEST = 1000


def matrix_norm(weight: Tensor) -> Norm:
    """Bound the spectral norm of a matrix.

    Args:
        weight: float64, shape (rows, columns), exact.
    """
    if weight.numel() == 0 or not bool(weight.any()):
        return Norm(0.0, 0.0, "zero")
    if not bool(torch.isfinite(weight).all()):
        return Norm(math.inf, 0.0, "non-finite")
    scaled, exponent = normalised(weight)
    candidates = [_cholesky(scaled), *free_bounds(scaled)]
    found = best(candidates)
    upper = found.upper * grow(2) + weight.numel() * TINY
    return Norm(lifted(upper, exponent), math.ldexp(found.lower, exponent), found.method)


def normalised(weight: Tensor) -> tuple[Tensor, int]:
    """Return ``weight / 2^e`` with entries of about one at most, and e; exact but for underflow."""
    exponent = min(max(math.frexp(float(weight.abs().max()))[1], -_LARGEST), _LARGEST)
    return weight * 2.0**-exponent, exponent


def square_root(bound: float) -> float:
    """Return a number not below the square root of ``bound``."""
    return math.nextafter(math.sqrt(bound), math.inf) if bound > 0 else 0.0


def lifted(bound: float, exponent: int) -> float:
    """Multiply by a power of two; a result that may have been rounded is rounded up."""
    result = math.ldexp(bound, exponent)
    return math.nextafter(result, math.inf) if result < 2.0**-1000 else result


def _cholesky(weight: Tensor) -> Norm:
    tall = weight if weight.shape[0] >= weight.shape[1] else weight.T
    gram = tall.T @ tall
    terms = tall.shape[0]
    square = float(weight.square().sum()) * grow(weight.numel())
    error = (dot(terms) * square + terms * TINY * math.sqrt(gram.numel())) * grow(8)
    guess = max(estimate(gram), 0.0)
    return Norm(square_root(largest(gram, error)), math.sqrt(guess) * (1 - 1e-12), "cholesky")


def free_bounds(weight: Tensor) -> list[Norm]:
    """Return the bounds that cost nothing."""
    size = weight.abs()
    lift = grow(weight.numel())
    frobenius = square_root((float(size.square().sum()) + weight.numel() * TINY) * lift)
    schur = square_root(float(size.sum(0).max()) * float(size.sum(1).max()) * lift * lift)
    return [Norm(frobenius, 0.0, "frobenius"), Norm(schur, 0.0, "schur")]
