"""Turn an answer about one path into the pictures of its row."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL.Image import Image

from glocert import pictures
from glocert.boxes.report import BoxReport, Float64
from glocert.certification.confirmation import Confirmed, Images, image_at
from glocert.paths.items import Float32
from glocert.pictures import Axis, Colour, Patch, Stretch
from glocert.report import SegmentReport
from glocert.spec import Mutation, Preprocessing

FRAMES = 9
_RATIOS = tuple(np.linspace(0.0, 1.0, FRAMES).tolist())
"""where on the path the frames are"""
DECIDED = 1e-6
"""Share of the path that no picture can show."""
COUNTEREXAMPLE, PATH, MAP = "counterexample.png", "path.png", "map.png"
_PLANE = 2
_COMPRESSION = 1
"""of PNG: half the time of the default, for a fifth more bytes"""


@dataclass(frozen=True, slots=True, eq=False)
class Story:
    """What the pictures of one input tell.

    Attributes:
        item: image of the domain before the mutation.
        label: label that the network should keep; ``None`` where a band is certified.
        path: images along the certified path.
        mutation: names the path and its parameter.
        domain: bounds of the values.
        answer: the engine's, after confirmation.
        found: the confirmed violation, for falsified inputs.
        captions: of the frames along the path, see ``captions``.
        region: which boxes are proven, where the path has several parameters.
    """

    item: Float32
    label: int | None
    path: Images
    mutation: Mutation
    domain: Preprocessing
    answer: SegmentReport
    found: Confirmed | None
    captions: Sequence[str]
    region: BoxReport | None = None

    def draw(self, folder: pathlib.Path) -> tuple[str, ...]:
        """Write the pictures into ``folder`` (made if need be) and return their names; none for features."""
        if not pictures.drawable(self.item.shape):
            return ()
        drawn: dict[str, Image] = {}
        if self.found is not None:
            drawn[COUNTEREXAMPLE] = self._comparison(self.found)
        if self.region is None:
            drawn[PATH] = self._strip()
        elif len(self.mutation.mutations) == _PLANE:
            drawn[MAP] = self._map(self.region)
        if drawn:
            folder.mkdir(exist_ok=True)
        for name, picture in drawn.items():
            picture.save(folder / name, compress_level=_COMPRESSION)
        return tuple(drawn)

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
        return pictures.strip(
            [image_at(self.path, t, self.domain) for t in _RATIOS],
            self.captions,
            list(self._bar()),
            lower=self.domain.lower,
            upper=self.domain.upper,
        )

    def _map(self, region: BoxReport) -> Image:
        """Draw what is proven of the plane of two parameters; boxes proven in part stay open."""
        patches = [*_patches(region.safe, pictures.PROVEN), *_patches(region.violated, pictures.WRONG)]
        across, up = (
            Axis(f"{one.type} ({one.unit})", f"{one.start:.3g}", f"{one.stop:.3g}")
            for one in self.mutation.mutations
        )
        return pictures.plane(patches, (across, up), None if self.found is None else _point(self.found.t))

    def _value(self, t: float | Sequence[float]) -> str:
        if isinstance(t, float):
            return _shown(self.mutation, t)
        return "\n".join(f"{one.type} {one.value:.3g}" for one in self.mutation.parameters_at(t))

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
            (t,) = _point(self.found.t)
            yield Stretch(max(0.0, t - 0.003), min(1.0, t + 0.003), pictures.WRONG)


def captions(mutation: Mutation) -> tuple[str, ...]:
    """Return what is written under the frames along the path of every input; a ``box`` has none."""
    if mutation.mutations:
        return ()
    return tuple(f"t = {t:.3g}\n{_shown(mutation, t)}" for t in _RATIOS)


def _shown(mutation: Mutation, t: float) -> str:
    return f"{mutation.unit} {mutation.value_at(t):.3g}"


def _point(t: float | tuple[float, ...]) -> tuple[float, ...]:
    return (t,) if isinstance(t, float) else t


def _patches(boxes: Float64, colour: Colour) -> Iterator[Patch]:
    """Yield boxes, shape (n, 2, 2), as patches of the plane."""
    for (left, bottom), (right, top) in boxes.tolist():
        yield Patch(left, bottom, right, top, colour)
