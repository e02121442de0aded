"""Jacobians of a generator and the quadratic forms that say which pixels a step moves.

For a set S of numbers of the image, ``J_S`` is the part of the Jacobian in S and ``M_S = J_S^T J_S / |S|``: a
step ``u`` changes S by ``u^T M_S u`` per number, squared, to first order. Averages of ``M_S`` over many
codes are accumulated block by block; no more than one block of Jacobians is ever held.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.generators.decoder import Decoder

Mask = NDArray[np.bool_]
EVERYWHERE = "everywhere"


def jacobians(decoder: Decoder, codes: Tensor) -> Iterator[Tensor]:
    """Yield the Jacobian at every code, transposed: shape (dimension, numbers of an image), float64.

    Args:
        decoder: the generator.
        codes: float64, shape (n, dimension).
    """
    for code in codes:
        yield torch.cat(list(decoder.pushed(*_along_every_axis(code))))


def by_reverse_mode(decoder: Decoder, code: Tensor) -> Tensor:
    """Return the same of one code by reverse mode: a pass per number of the image, for comparison."""
    count = int(np.prod(decoder.shape))
    rows = torch.eye(count, dtype=torch.float64)
    return decoder.pulled(code.expand(count, -1), rows).T


def moved(decoder: Decoder, codes: Tensor, vector: Tensor) -> Tensor:
    """Return ``J(z) v`` at every code, shape (n, numbers of an image)."""
    return torch.cat(list(decoder.pushed(codes, vector.expand_as(codes))))


@dataclass(frozen=True, slots=True, eq=False)
class Forms:
    """``M_S`` of several sets S, averaged over the same codes.

    Attributes:
        of: name of the set -> float64, shape (dimension, dimension), symmetric.
        sizes: name of the set -> how many numbers of the image it has.
    """

    of: Mapping[str, Tensor]
    sizes: Mapping[str, int]


def forms(decoder: Decoder, codes: Tensor, masks: Mapping[str, Mask] | None = None) -> Forms:
    """Return ``M_S`` averaged over codes, of the whole image and of every mask.

    Args:
        decoder: the generator.
        codes: float64, shape (n, dimension), at least one.
        masks: name -> bool, of the image's shape or one that broadcasts to it.

    Raises:
        InvalidSpec: a slope is not finite.
    """
    full = {EVERYWHERE: np.ones(decoder.shape, dtype=np.bool_)} | dict(masks or {})
    places = {
        name: torch.from_numpy(np.flatnonzero(np.broadcast_to(mask, decoder.shape)))
        for name, mask in full.items()
    }
    sums = {name: torch.zeros(decoder.dimension, decoder.dimension, dtype=torch.float64) for name in places}
    for slopes in jacobians(decoder, codes):
        for name, where in places.items():
            part = slopes[:, where]
            sums[name] += part @ part.T
    sizes = {name: len(where) for name, where in places.items()}
    means = {name: total / (max(1, sizes[name]) * len(codes)) for name, total in sums.items()}
    return Forms({name: (mean + mean.T) / 2 for name, mean in means.items()}, sizes)


def around(codes: Tensor, radius: float, count: int, random: np.random.Generator) -> Tensor:
    """Return every code with ``count - 1`` others within ``radius``, uniform in the ball.

    A piecewise linear generator has one Jacobian in a whole piece: averages over a small ball avoid
    directions that are special to one of them.
    """
    rows, dimension = codes.shape
    ways = random.standard_normal((count - 1, rows, dimension))
    ways /= np.maximum(np.linalg.norm(ways, axis=2, keepdims=True), 1e-300)
    lengths = radius * random.uniform(size=(count - 1, rows, 1)) ** (1.0 / dimension)
    return torch.cat([codes, (codes + torch.from_numpy(lengths * ways)).reshape(-1, dimension)])


def _along_every_axis(code: Tensor) -> tuple[Tensor, Tensor]:
    size = len(code)
    return code.expand(size, size), torch.eye(size, dtype=torch.float64)
