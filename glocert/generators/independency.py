"""How independent directions are: to first order, at codes and along their segments.

Two directions are coupled as much as the changes of the image that they make are alike. A direction is of
first order only at the code where it was found: so the measures are taken at several points of its segment.
The exact share of the change outside a mask along a segment is ``glocert.generators.measures``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glocert.generators.decoder import Decoder
from glocert.generators.directions.extent import segment_points
from glocert.generators.jacobian import Mask

POINTS = 6
"""of a segment, both ends included"""


@dataclass(frozen=True, slots=True, eq=False)
class Independency:
    """Measures of several directions at some codes.

    Attributes:
        coupling: |cosine| of the changes that two directions make, mean over codes, shape (r, r).
        along: largest mean coupling of each direction with any other, at points of its segment, shape (r,).
        gram: ``v_i . v_j``, shape (r, r).
        leakage: share of the squared change outside the mask at each point of the segment, shape
            (r, POINTS); ``None`` without a mask.
    """

    coupling: Tensor
    along: Tensor
    gram: Tensor
    leakage: Tensor | None

    def of(self, place: int) -> Mapping[str, Any]:
        """Return the measures of one direction as JSON."""
        found: dict[str, Any] = {
            "coupling": self.coupling[place].tolist(),
            "coupling_along": float(self.along[place]),
            "gram": self.gram[place].tolist(),
        }
        if self.leakage is not None:
            found["leakage_along"] = self.leakage[place].tolist()
        return found


def independency(
    decoder: Decoder, codes: Tensor, vectors: Tensor, extents: Tensor, mask: Mask | None = None
) -> Independency:
    """Measure directions.

    Args:
        decoder: the generator.
        codes: float64, shape (n, d): where segments begin.
        vectors: of length one, shape (r, d).
        extents: of the segments, shape (r,).
        mask: bool, broadcasts to an image; ``None`` for no leakage.
    """
    outside = None if mask is None else torch.from_numpy(~np.broadcast_to(mask, decoder.shape).flatten())
    coupling = torch.stack([_coupled(changes) for changes in _changes(decoder, codes, vectors)]).mean(0)
    along, leakage = [], []
    for place in range(len(vectors)):
        with_others, leaked = _on_segments(decoder, codes, vectors, place, float(extents[place]), outside)
        along.append(with_others)
        leakage.append(leaked)
    return Independency(
        coupling,
        torch.tensor(along, dtype=torch.float64),
        vectors @ vectors.T,
        None if outside is None else torch.stack(leakage),
    )


def _on_segments(
    decoder: Decoder, codes: Tensor, vectors: Tensor, place: int, extent: float, outside: Tensor | None
) -> tuple[float, Tensor]:
    """Return the largest mean coupling of one direction with another, and its leakage, along its segments.

    Both are averaged over codes: the coupling, and the two parts of the squared change that leaks.
    """
    coupled = torch.zeros(POINTS, len(vectors), dtype=torch.float64)
    beyond, whole = torch.zeros(2, POINTS, dtype=torch.float64)
    for code in codes:
        points = segment_points(code, vectors[place], extent, POINTS)
        for point, changes in enumerate(_changes(decoder, points, vectors)):
            coupled[point] += _coupled(changes)[place] / len(codes)
            own = changes[place].square()
            whole[point] += own.sum()
            if outside is not None:
                beyond[point] += own[outside].sum()
    others = torch.arange(len(vectors)) != place
    most = float(coupled[:, others].max()) if others.any() else 0.0
    return most, torch.where(whole > 0, beyond / whole.clamp_min(1e-300), torch.zeros_like(whole))


def _changes(decoder: Decoder, codes: Tensor, vectors: Tensor) -> Tensor:
    """Return ``J(z) v`` for every code and direction, shape (n, r, numbers of an image)."""
    rows, ways = codes.repeat_interleave(len(vectors), 0), vectors.repeat(len(codes), 1)
    return torch.cat(list(decoder.pushed(rows, ways))).reshape(len(codes), len(vectors), -1)


def _coupled(changes: Tensor) -> Tensor:
    """Return |cosine| of the rows of an image's changes, pair by pair; 0 where one is nothing."""
    lengths = changes.norm(dim=1)
    product, scale = (changes @ changes.T).abs(), lengths[:, None] * lengths
    return torch.where(scale > 0, product / scale.clamp_min(1e-300), torch.zeros_like(scale)).clamp(max=1.0)
