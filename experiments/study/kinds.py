"""Kinds of mutations side by side: with a formula, rendered, by a style network, by a latent direction.

Every path starts at the picture itself, so that networks are asked about the same pictures by all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.study.asking import PLAIN
from experiments.study.generators import Generator, Way
from glocert.generators.anchor import Anchor
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.paths.generated import imaging
from glocert.paths.items import Items
from glocert.paths.latent import Move, latent_path
from glocert.paths.path import Path
from glocert.paths.request import path
from glocert.paths.segment import Segment
from glocert.spec import NEUTRAL, Mutation

Picture = NDArray[np.float32]
Filter = Callable[[Tensor], Tensor]
Road = Callable[[Picture, float], Path]
_HALVINGS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A way to change pictures more and more.

    Attributes:
        family: geometric, weather, style, local or global.
        title: which one.
        road: picture, share of the full extent -> path from the picture to that share.
        front: what makes a picture of the path's vectors; ``None`` where they are pictures.
        target: what a style network was to learn, of a batch of pictures; else ``None``.
    """

    family: str
    title: str
    road: Road
    front: Graph | None = None
    target: Filter | None = None

    def changed(self, image: Picture, share: float) -> NDArray[np.float64]:
        """Return a picture after a share of the full change, in [0, 1]."""
        vector = torch.from_numpy(np.asarray(self.road(image, share).at([1.0])))
        if self.front is None:
            return vector.clamp(0, 1).numpy()
        with torch.no_grad():
            return run(self.front, vector[None])[0].clamp(0, 1).numpy()

    def share_at(self, image: Picture, distance: float) -> float | None:
        """Return a share at which the change of a picture has a Euclidean length; ``None`` where none has.

        Lengths that do not grow all the way have several; one of them is returned.
        """
        low, high = 0.0, 1.0
        if self._length(image, high) < distance:
            return None
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self._length(image, middle) < distance else (low, middle)
        return high

    def _length(self, image: Picture, share: float) -> float:
        return float(np.linalg.norm(self.changed(image, share) - image))


def explicit(family: str, title: str, mutation: Mutation) -> Kind:
    """Return a mutation with a formula, from neutral to its end; true, all of it enclosed."""

    def road(image: Picture, share: float) -> Path:
        neutral, options = NEUTRAL.get(mutation.type, 0.0), dict(mutation.options)
        options |= {axis: share * float(options[axis]) for axis in ("x", "y") if axis in options}
        stop = neutral + share * (mutation.stop - neutral)
        asked = replace(mutation, start=neutral, stop=stop, options=options)
        return path(asked, image, items=Items(image[None], image.shape, PLAIN))

    return Kind(family, title, road)


def rendered(family: str, title: str, filtering: Filter) -> Kind:
    """Return the straight line from a picture to what a filter makes of it, exact by definition."""

    def road(image: Picture, share: float) -> Path:
        there = filtering(torch.from_numpy(image)[None])[0].double().numpy()
        start = image.astype(np.float64)
        return Segment(start, start + share * (there - start), np.zeros_like(start))

    return Kind(family, title, road)


def styled(family: str, title: str, painter: Graph, target: Filter | None = None) -> Kind:
    """Return the way from no strength of a style network to full strength."""

    def road(image: Picture, share: float) -> Path:
        row = image.astype(np.float64).ravel()
        start, stop = np.append(row, 0.0), np.append(row, share)
        return Segment(start, stop, np.zeros_like(start))

    return Kind(family, title, road, painter, target)


def latent(family: str, title: str, generator: Generator, way: Way) -> Kind:
    """Return a direction of a generator, about the picture itself: ``G(z + s v) + (x - G(z))``."""
    front, _ = imaging(generator.picture, residual=True)
    anchor = Anchor(generator.picture)

    def road(image: Picture, share: float) -> Path:
        code = generator.codes(torch.from_numpy(image)[None])[0].numpy()
        rest = anchor.residual(code, image)
        return latent_path(code, [Move(way.vector, 0.0, share * way.extent)], [rest])

    return Kind(family, title, road, front)
