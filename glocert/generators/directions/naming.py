"""Which known mutation a direction makes, if any: the cosine of both changes of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.generators.decoder import Decoder
from glocert.generators.directions.velocity import Motion
from glocert.generators.jacobian import moved

ALIKE = 0.7
"""least cosine that gives a name"""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike a direction and a mutation are.

    Attributes:
        name: of the mutation.
        cosine: of ``J v`` with the mutation's velocity, over all codes together; negative where the
            direction goes backwards.
        per_latent: units of the mutation that one latent unit is, by least squares; negative likewise.
        unit: of the mutation.
    """

    name: str
    cosine: float
    per_latent: float
    unit: str

    def to_json(self) -> dict[str, object]:
        """Return the form that a direction's measures show."""
        return {"name": self.name, "cosine": self.cosine, "per_latent": self.per_latent, "unit": self.unit}


def likenesses(
    decoder: Decoder, codes: Tensor, vectors: Tensor, motions: Sequence[Motion]
) -> list[list[Likeness]]:
    """Compare directions with mutations; per direction the most alike first, those of no meaning left out.

    Args:
        decoder: the generator; its images suit the mutations.
        codes: float64, shape (n, d).
        vectors: shape (r, d).
        motions: the mutations.
    """
    images = decoder.images(codes)
    velocities = [motion.velocity(images).flatten() for motion in motions]
    found = []
    for vector in vectors:
        change = moved(decoder, codes, vector).flatten()
        one = [
            _alike(motion, change, velocity)
            for motion, velocity in zip(motions, velocities, strict=True)
            if float(velocity.norm()) > 0 and float(change.norm()) > 0
        ]
        found.append(sorted(one, key=lambda each: -abs(each.cosine)))
    return found


def name_of(alike: Sequence[Likeness]) -> Likeness | None:
    """Return the mutation that a direction is named after, None where none is near."""
    return alike[0] if alike and abs(alike[0].cosine) >= ALIKE else None


def _alike(motion: Motion, change: Tensor, velocity: Tensor) -> Likeness:
    product = float(change @ velocity)
    cosine = product / float(change.norm() * velocity.norm())
    per_latent = product / float(velocity.square().sum())
    return Likeness(motion.name, max(-1.0, min(1.0, cosine)), per_latent, motion.unit)


def same_sense(vector: Tensor, alike: Likeness | None) -> Tensor:
    """Return a direction in the sense of the mutation that it is named after."""
    return -vector if alike is not None and alike.cosine < 0 else torch.clone(vector)
