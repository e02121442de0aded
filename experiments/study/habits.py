"""How the same person looks from picture to picture.

Hair, glasses and nose belong to a person, with exceptions; pose and eyelids belong to the moment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from experiments.study import faces

RARELY = 0.1
"""Share of pictures with dyed hair; likewise with glasses unlike always, and with eyes not wide open."""
RELATIVES = 5
"""People of one family, who follow each other."""
_CLOSE = 0.05
"""How far hair and nose are from a person's own, in most pictures."""
_OWN = 0.3
"""Share of every feature that is a person's own; the rest is the family's."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """People with their habits: one entry per person in every array, shape (N,).

    Attributes:
        people: what cannot change.
        hair: tone of the own hair, in [0, 1].
        nose: size, in [0, 1].
        glasses: 1 for those who wear them, 0 for others.
    """

    people: faces.People
    hair: faces.Floats
    nose: faces.Floats
    glasses: faces.Floats

    @classmethod
    def drawn(cls, count: int, rng: np.random.Generator) -> Known:
        """Draw so many people; relatives are alike, but every third person of any family wears glasses."""
        family = np.arange(count) // RELATIVES

        def alike(of_families: faces.Floats, of_people: faces.Floats) -> faces.Floats:
            return (1 - _OWN) * of_families[family] + _OWN * of_people

        common, own = (faces.People.drawn(count, rng) for _ in range(2))
        people = faces.People(
            *(alike(getattr(common, name), getattr(own, name)) for name in faces.People.__slots__)
        )
        hair, nose = (alike(rng.uniform(size=count), rng.uniform(size=count)) for _ in range(2))
        return cls(people, hair, nose, (rng.uniform(size=count) < 1 / 3).astype(np.float64))

    def looks(self, who: np.ndarray, rng: np.random.Generator) -> faces.Look:
        """Draw a look for every entry of ``who``, shape (M,): positions of people."""
        count = len(who)

        def close(own: faces.Floats) -> faces.Floats:
            return np.clip(own + rng.uniform(-_CLOSE, _CLOSE, count), 0, 1)

        dyed, unlike, sleepy = (rng.uniform(size=count) < RARELY for _ in range(3))
        return faces.Look(
            orientation=rng.uniform(-1, 1, count),
            hair=np.where(dyed, rng.uniform(size=count), close(self.hair[who])),
            eyes=np.where(sleepy, rng.uniform(size=count), rng.uniform(0.7, 1.0, count)),
            nose=close(self.nose[who]),
            glasses=np.where(unlike, 1 - self.glasses[who], self.glasses[who]),
        )


def tensors(people: faces.People, look: faces.Look) -> Tensor:
    """Draw aligned faces as networks take them: float32, shape (N, 3, SIDE, SIDE), in [0, 1]."""
    images = torch.from_numpy(faces.pictures(people, look, aligned=True)).permute(0, 3, 1, 2)
    return images.float().div(255).contiguous()
