"""Inputs before the engine: the path of each, and what is asked about it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from glocert.certification.band import outputs_at
from glocert.certification.case import LatentCase, Subject
from glocert.certification.confirmation import Images
from glocert.certification.latent import Departure, Generator
from glocert.certification.opening import Opening, opening
from glocert.errors import InvalidSpec
from glocert.graph.ir import Graph
from glocert.paths.items import Float32
from glocert.paths.pair import Fronts, halves, paired
from glocert.paths.path import Path
from glocert.paths.request import path as path_of
from glocert.paths.segment import Float64
from glocert.spec import SegmentSpec, is_latent


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """A path and what is seen along it.

    Attributes:
        path: what is certified, in inputs of the certified network.
        images: what the network itself sees: of a path through a generator not the same.
        scene: what pictures show: of a pair the image that is mutated.
        departure: where a path through a generator begins.
    """

    path: Path
    images: Images
    scene: Images
    departure: Departure | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Input:
    """One input on its way.

    Attributes:
        index: position in the data set.
        item: in the image domain, before the clamp.
        shown: what pictures show of the item: of a pair the image that is mutated.
        opening: what is asked.
        way: its path; ``None`` where nothing is asked and none was looked for.
        seconds: spent so far.
    """

    index: int
    item: Float32
    shown: Float32
    opening: Opening
    way: Way | None
    seconds: float


class Entrance:
    """Opens inputs.

    Args:
        subject: network and data.
        spec: what is asked of every input.
        latent: generator and encoder, where the mutation goes through them.
        device: where measures are followed.

    Attributes:
        network: what is certified: the subject's, with the generator in front of it where there is one.

    Raises:
        InvalidSpec: the mutation does not fit the files.
    """

    def __init__(
        self, subject: Subject, spec: SegmentSpec, latent: LatentCase | None, device: str = "cpu"
    ) -> None:
        self._subject, self._spec = subject, spec
        self.generator: Generator | None = None
        if is_latent(spec.mutation):
            if latent is None:
                raise InvalidSpec("a latent mutation needs a generator")
            self.generator = Generator(subject, latent, spec, device)
        self.network: Graph = self.generator.network if self.generator else subject.network

    def opened(self, index: int) -> Input:
        """Return one input with its question, or with the reason why it has none."""
        began = time.monotonic()
        item = self._subject.item(index)
        shown = halves(item)[0] if self._spec.paired else item
        ways: list[Way] = []

        def centre() -> Float64:
            ways.append(self._way(item, None))
            path = ways[0].path
            return outputs_at(self.network, path.at([0.0] * path.dimensions))

        found = opening(self._subject, self._spec, index, item, centre)
        way = ways[0] if ways else None
        if way is None and found.question is not None:
            way = self._way(item, found.row.label)
        if way is not None and found.question is not None:
            found = self._gated(found, way)
        return Input(index, item, shown, found, way, time.monotonic() - began)

    def _way(self, item: Float32, label: int | None) -> Way:
        items, mutation = self._subject.items, self._spec.mutation
        if self.generator is not None:
            departure = self.generator.depart(item, label)
            return Way(departure.path, departure.images, departure.scene, departure)
        if not self._spec.paired:
            path = path_of(mutation, item, items=items)
            return Way(path, path, path)
        shown, reference = halves(item)
        scene = path_of(mutation, shown, items=Fronts.of(items))
        path = paired(scene, reference)
        return Way(path, path, scene)

    def _gated(self, found: Opening, way: Way) -> Opening:
        """Skip what the generator does not stand for."""
        if self.generator is None or way.departure is None:
            return found
        why = self.generator.refusal(way.departure)
        if not why:
            return found
        about = way.departure.to_json()
        row = replace(found.row, reason=NOT_REPRESENTABLE, next_step=why, latent=about)
        return Opening(row, None)


NOT_REPRESENTABLE = "not-representable"
"""reason of a row that is skipped because the generator does not make the input"""
