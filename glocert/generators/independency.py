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
from glocert.generators.jacobian import Mask, moved

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
    coupling = torch.stack([_coupling(decoder, code[None], vectors) for code in codes]).mean(0)
    along, leakage = [], []
    for place, (vector, extent) in enumerate(zip(vectors, extents.tolist(), strict=True)):
        points = torch.stack([segment_points(code, vector, extent, POINTS) for code in codes], 1)
        others = torch.arange(len(vectors)) != place
        rows = [_coupling_with(decoder, some, vectors, place) for some in points]
        along.append(max((float(row[others].max()) for row in rows if others.any()), default=0.0))
        if outside is not None:
            leakage.append(torch.tensor([_leaked(decoder, some, vector, outside) for some in points]))
    return Independency(
        coupling,
        torch.tensor(along, dtype=torch.float64),
        vectors @ vectors.T,
        torch.stack(leakage) if leakage else None,
    )


def _coupling(decoder: Decoder, codes: Tensor, vectors: Tensor) -> Tensor:
    """Return |cosine| of the changes that directions make, pair by pair; 0 where one makes none."""
    changes = torch.stack([moved(decoder, codes, vector).flatten() for vector in vectors])
    lengths = changes.norm(dim=1)
    product = (changes @ changes.T).abs()
    scale = lengths[:, None] * lengths
    return torch.where(scale > 0, product / scale.clamp_min(1e-300), torch.zeros_like(scale)).clamp(max=1.0)


def _coupling_with(decoder: Decoder, codes: Tensor, vectors: Tensor, place: int) -> Tensor:
    return torch.stack([_coupling(decoder, code[None], vectors)[place] for code in codes]).mean(0)


def _leaked(decoder: Decoder, codes: Tensor, vector: Tensor, outside: Tensor) -> float:
    change = moved(decoder, codes, vector).square()
    total = float(change.sum())
    return float(change[:, outside].sum()) / total if total > 0 else 0.0
