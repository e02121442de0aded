"""Faces that are drawn: people with fixed features, and attributes that can be turned by hand.

Photographs of people cannot be shipped; these stand in for them. Everything is a smooth function of its
parameters, so that half-closed eyes and half-dyed hair exist, as they do between two photographs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SIDE = 32
"""Rows and columns of a picture."""
_EYES = 0.06
"""Height of the eyes above the middle of every picture: aligned pictures are cropped about them."""
_SOFT = 1.4 / SIDE
"""Width of an edge, in units of the picture."""


@dataclass(frozen=True, slots=True)
class People:
    """What makes a person: one entry per face in every array, shape (N,).

    Attributes:
        width: half the width of the head, as a share of the picture.
        height: half its height.
        gap: half the distance of the eyes.
        level: height of the eyes above the middle.
        lips: half the width of the mouth.
        chin: distance of the mouth from the middle.
        skin: tone, in [0, 1].
        brow: thickness of the eyebrows.
    """

    width: Floats
    height: Floats
    gap: Floats
    level: Floats
    lips: Floats
    chin: Floats
    skin: Floats
    brow: Floats

    @classmethod
    def drawn(cls, count: int, rng: np.random.Generator) -> People:
        """Draw so many people at random."""

        def between(low: float, high: float) -> Floats:
            return rng.uniform(low, high, count)

        return cls(
            width=between(0.24, 0.34), height=between(0.32, 0.40), gap=between(0.10, 0.16),
            level=between(0.02, 0.10), lips=between(0.06, 0.14), chin=between(0.16, 0.24),
            skin=between(0.0, 1.0), brow=between(0.010, 0.028),
        )  # fmt: skip

    def __getitem__(self, which: Any) -> People:
        return People(*(getattr(self, name)[which] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Look:
    """What a person can change: one entry per face in every array, shape (N,).

    Attributes:
        orientation: of the head, -1 (to the left) to 1 (to the right).
        hair: its tone, 0 (dark) to 1 (fair).
        eyes: 0 (closed) to 1 (open).
        nose: its size, 0 to 1.
        glasses: 0 (none) to 1.
    """

    orientation: Floats
    hair: Floats
    eyes: Floats
    nose: Floats
    glasses: Floats = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def drawn(cls, count: int, rng: np.random.Generator) -> Look:
        """Draw so many looks at random; every third face wears glasses."""
        orientation, hair, eyes, nose = (rng.uniform(low, 1.0, count) for low in (-1.0, 0.0, 0.0, 0.0))
        glasses = (rng.uniform(size=count) < 1 / 3).astype(np.float64)
        return cls(orientation, hair, eyes, nose, glasses)

    def having(self, **changes: float) -> Look:
        """Return the same looks with some attributes set for all."""
        count = len(self.hair)
        return replace(self, **{name: np.full(count, value) for name, value in changes.items()})

    def __getitem__(self, which: Any) -> Look:
        return Look(*(getattr(self, name)[which] for name in self.__slots__))


def pictures(people: People, look: Look, *, aligned: bool = False) -> NDArray[np.uint8]:
    """Draw faces.

    Args:
        people: N of them.
        look: of each.
        aligned: whether the pictures are cropped about the eyes, as photographs are for recognition.

    Returns:
        uint8, shape (N, SIDE, SIDE, 3).
    """
    canvas = _Canvas(people, look, aligned=aligned)
    canvas.head()
    canvas.eyes()
    canvas.nose_and_mouth()
    return np.asarray(np.rint(255 * canvas.image.clip(0, 1)), dtype=np.uint8)


class _Canvas:
    """N pictures, painted from the back to the front."""

    def __init__(self, people: People, look: Look, *, aligned: bool) -> None:
        middles = (np.arange(SIDE) + 0.5) / SIDE - 0.5
        self._people = {name: getattr(people, name)[:, None, None] for name in people.__slots__}
        self._look = {name: getattr(look, name)[:, None, None] for name in look.__slots__}
        self.image = np.full((len(people.width), SIDE, SIDE, 3), 0.62)
        turn = self._look["orientation"]
        self._shift, self._squeeze = 0.10 * turn, 1 - 0.18 * turn**2
        self.x, self.y = middles[None, None, :], middles[None, :, None]
        if aligned:
            self.x, self.y = self.x + self._shift, self.y - self._people["level"] + _EYES

    def head(self) -> None:
        """Paint hair, then skin over it, then the fringe."""
        who, turn = self._people, self._look["orientation"]
        fair = self._look["hair"][..., None]
        hair = (1 - fair) * np.array([0.13, 0.08, 0.05]) + fair * np.array([0.93, 0.80, 0.45])
        tone = who["skin"][..., None]
        skin = (1 - tone) * np.array([0.46, 0.30, 0.20]) + tone * np.array([0.96, 0.78, 0.66])
        crown = self._ellipse(-0.04 * turn, -0.06, who["width"] + 0.07, who["height"] + 0.04)
        self._paint(crown, hair)
        self._paint(self._ellipse(0.02 * turn, 0.05, who["width"], who["height"] - 0.02), skin)
        fringe = self._ellipse(-0.03 * turn, -0.30, who["width"] * 0.95, np.asarray(0.14))
        self._paint(fringe, hair)

    def eyes(self) -> None:
        """Paint whites, pupils, brows, and glasses where they are worn."""
        who, look = self._people, self._look
        for side in (-1.0, 1.0):
            at = self._shift + side * who["gap"] * self._squeeze
            height = 0.008 + 0.045 * look["eyes"]
            opened = self._ellipse(at, -who["level"], np.asarray(0.062), height)
            self._paint(opened, np.array([0.97, 0.97, 0.97]))
            self._paint(
                opened * self._ellipse(at, -who["level"], np.asarray(0.032), np.asarray(0.05)),
                np.array([0.08, 0.07, 0.12]),
            )
            above = -who["level"] - 0.095
            self._paint(self._bar(at, above, np.asarray(0.07), who["brow"]), np.array([0.10, 0.07, 0.05]))
            outer = self._ellipse(at, -who["level"], np.asarray(0.105), np.asarray(0.088))
            inner = self._ellipse(at, -who["level"], np.asarray(0.072), np.asarray(0.055))
            self._paint(look["glasses"] * (outer - inner).clip(0, 1), np.array([0.05, 0.05, 0.08]))

    def nose_and_mouth(self) -> None:
        """Paint the shade of the nose and the lips."""
        who, look = self._people, self._look
        size = 0.020 + 0.050 * look["nose"]
        at = 1.25 * self._shift
        self._paint(
            0.55 * self._ellipse(at, np.asarray(0.075), size, 0.03 + size), np.array([0.45, 0.22, 0.16])
        )
        lips = self._ellipse(self._shift, who["chin"], who["lips"] * self._squeeze, np.asarray(0.030))
        self._paint(lips, np.array([0.66, 0.16, 0.18]))

    def _paint(self, cover: Floats, colour: Floats) -> None:
        share = cover[..., None]
        self.image = (1 - share) * self.image + share * colour

    def _ellipse(self, x: Floats, y: Floats | float, width: Floats, height: Floats) -> Floats:
        """Return how much of every pixel an ellipse covers, with a soft edge."""
        across, down = (self.x - x) / width, (self.y - y) / height
        reach = np.sqrt(across**2 + down**2)
        steepness = np.sqrt((across / width) ** 2 + (down / height) ** 2) / np.maximum(reach, 1e-9)
        return np.asarray(_covered((reach - 1) / np.maximum(steepness, 1e-9)))

    def _bar(self, x: Floats, y: Floats, width: Floats, height: Floats) -> Floats:
        outside = np.maximum(np.abs(self.x - x) - width, np.abs(self.y - y) - height)
        return np.asarray(_covered(outside))


def _covered(outside: Floats) -> Floats:
    """Return 1 well inside an edge and 0 well outside, and a straight slope between."""
    return np.asarray((0.5 - outside / _SOFT).clip(0, 1))
