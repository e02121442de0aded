"""Turn an answer about one path into the pictures of its row."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL.Image import Image

from glocert import pictures
from glocert.certification.confirmation import Confirmed, image_at
from glocert.paths.items import Float32
from glocert.paths.path import Path
from glocert.pictures import Stretch
from glocert.report import SegmentReport
from glocert.spec import Mutation, Preprocessing

FRAMES = 9
DECIDED = 1e-6
"""Share of the path that no picture can show."""
COUNTEREXAMPLE, PATH = "counterexample.png", "path.png"


@dataclass(frozen=True, slots=True, eq=False)
class Story:
    """What the pictures of one input tell.

    Attributes:
        item: image of the domain before the mutation.
        label: label that the network should keep; ``None`` where a band is certified.
        path: the certified path.
        mutation: names the path and its parameter.
        domain: bounds of the values.
        answer: the engine's, after confirmation.
        found: the confirmed violation, for falsified inputs.
    """

    item: Float32
    label: int | None
    path: Path
    mutation: Mutation
    domain: Preprocessing
    answer: SegmentReport
    found: Confirmed | None

    def draw(self, folder: pathlib.Path) -> tuple[str, ...]:
        """Write the pictures into ``folder`` (made if need be) and return their names; none for features."""
        if not pictures.drawable(self.item.shape):
            return ()
        folder.mkdir(exist_ok=True)
        self._strip().save(folder / PATH)
        if self.found is None:
            return (PATH,)
        self._comparison(self.found).save(folder / COUNTEREXAMPLE)
        return (COUNTEREXAMPLE, PATH)

    def _comparison(self, found: Confirmed) -> Image:
        largest = float(np.abs(found.image.astype(np.float64) - self.item).max())
        before, after = ("\n", "\n") if self.label is None else (
            f"\nlabel {self.label}", f"\nlabel {found.predicted}, "
        )  # fmt: skip
        captions = (
            f"original{before}",
            f"counterexample{after}{self._value(found.t)}",
            f"difference (grey: none)\nat most {largest:.3g}",
        )
        return pictures.comparison(
            self.item, found.image, captions, lower=self.domain.lower, upper=self.domain.upper
        )

    def _strip(self) -> Image:
        ratios = np.linspace(0.0, 1.0, FRAMES)
        return pictures.strip(
            [image_at(self.path, float(t), self.domain) for t in ratios],
            [f"t = {t:.3g}\n{self._value(float(t))}" for t in ratios],
            list(self._bar()),
            lower=self.domain.lower,
            upper=self.domain.upper,
        )

    def _value(self, t: float) -> str:
        return f"{self.mutation.unit} {self.mutation.value_at(t):.3g}"

    def _bar(self) -> Iterator[Stretch]:
        """Yield what is proven, then what is known to be wrong."""
        reach, mass = self.answer.certified_to, self.answer.robust_mass
        if reach > 0:
            yield Stretch(0.0, reach, pictures.PROVEN)
        uniform = self.answer.law == "uniform"  # else the mass is no length
        if self.found is not None and uniform and mass.upper - max(reach, 0.0) <= DECIDED:
            yield Stretch(max(reach, 0.0), 1.0, pictures.WRONG)  # all that may hold lies before it
        for part in self.answer.partition:
            if part.label != self.label:
                yield Stretch(part.start, part.stop, pictures.WRONG)
        if self.found is not None:
            yield Stretch(max(0.0, self.found.t - 0.003), min(1.0, self.found.t + 0.003), pictures.WRONG)
