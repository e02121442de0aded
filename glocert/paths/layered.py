"""Several mutations at once, each with a parameter of its own.

A base path makes an image of its own parameters; layers follow, each affine in the image and in its own
parameter: ``x -> g(p) x + h(p)`` number by number, as brightness (1, p), contrast (p, about (1 - p)), blends
(1 - p, p v) and noise (1, p n) are. Nothing is clamped in between.

**Proof.** Let the image be ``c + sum s_j u_j`` up to e, the gain ``a + b v`` up to f with a parameter v that
the image does not have. Then the product is

    c a + sum (s_j a) u_j + (c b) v + [ b v sum s_j u_j ] + gain times what the image is off by
        + (c + sum s_j u_j) times what the gain is off by,

and as |u_j|, |v| <= 1 the last three are at most ``|b| sum |s_j| + e (|a| + |b| + f) + f (|c| + sum |s_j|)``.
So the mixed term of two parameters, which no plane can follow, is all that is lost besides rounding. Every
coefficient is one product and at most one further sum; together with the shift, fewer than fifteen roundings
of numbers below ``M = (|c| + sum |s_j|)(|a| + |b|) + |shift|``, which ``CHARGE M`` pays for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from glocert.errors import InvalidSpec
from glocert.paths.path import Enclosure, Loaded, Path
from glocert.paths.segment import Float64, LoadedSegment, Segment
from glocert.rounding import CHARGE, TINY, UP

_UP = UP * UP


@dataclass(frozen=True, slots=True)
class Layer:
    """``x -> g(t) x + h(t)``, both straight in t.

    Attributes:
        gain: g, of the image's shape.
        shift: h.
    """

    gain: Segment
    shift: Segment


@dataclass(frozen=True, slots=True, eq=False)
class Layered:
    """A base path and layers on it, before any clamp.

    Attributes:
        base: makes the image that the layers start from.
        layers: applied in this order.
        places: for every parameter of the base and then for every layer, which parameter of the whole it is:
            a permutation.
    """

    base: Path
    layers: tuple[Layer, ...]
    places: tuple[int, ...]

    def __post_init__(self) -> None:
        if sorted(self.places) != list(range(self.dimensions)):
            raise InvalidSpec(f"{self.dimensions} parameters cannot have the places {self.places}")
        if any(part.shape != self.shape for layer in self.layers for part in (layer.gain, layer.shift)):
            raise InvalidSpec("all layers of a path must have the shape of its images")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image."""
        return self.base.shape

    @property
    def dimensions(self) -> int:
        """Parameters of the base, and one for each layer."""
        return self.base.dimensions + len(self.layers)

    @property
    def joints(self) -> tuple[float, ...]:
        """None: only paths of one parameter have any."""
        return self.base.joints if self.dimensions == 1 else ()

    def at(self, t: Sequence[float]) -> Float64:
        """Return the image at ``t`` in float64."""
        own = [t[place] for place in self.places]
        image = self.base.at(own[: self.base.dimensions])
        for layer, share in zip(self.layers, own[self.base.dimensions :], strict=True):
            image = layer.gain.at([share]) * image + layer.shift.at([share])
        return np.asarray(image)

    def loaded(self, device: torch.device) -> LoadedLayers:
        """Load base and layers."""
        layers = tuple((layer.gain.loaded(device), layer.shift.loaded(device)) for layer in self.layers)
        return LoadedLayers(self.base.loaded(device), self.base.dimensions, layers, self.places)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedLayers:
    """A base path and layers on a device.

    Attributes:
        base: see ``Layered``.
        parameters: how many the base has.
        layers: (gain, shift) of each.
        places: see ``Layered``.
    """

    base: Loaded
    parameters: int
    layers: tuple[tuple[LoadedSegment, LoadedSegment], ...]
    places: tuple[int, ...]

    def enclose(self, middle: Tensor, half: Tensor) -> Enclosure:
        """Enclose the base, then one layer after the other; slopes end in the order of the parameters."""
        columns = torch.tensor(self.places, device=middle.device)
        middle, half = middle[:, columns], half[:, columns]
        found = self.base.enclose(middle[:, : self.parameters], half[:, : self.parameters])
        for at, (gain, shift) in enumerate(self.layers, self.parameters):
            own = middle[:, at : at + 1], half[:, at : at + 1]
            found = _applied(found, gain.enclose(*own), shift.enclose(*own))
        order = [0, *(1 + self.places.index(place) for place in range(len(self.places)))]
        return Enclosure(found.lines[order].contiguous(), found.error)


def _applied(image: Enclosure, gain: Enclosure, shift: Enclosure) -> Enclosure:
    """Return ``gain image + shift``, gain and shift with one parameter that the image does not have."""
    centre, slopes = image.lines[0], image.lines[1:]
    level, slope = gain.lines
    lines = torch.cat([image.lines * level, (centre * slope)[None]])
    lines[0] += shift.lines[0]
    lines[-1] += shift.lines[1]
    swing = slopes.abs().sum(0)
    size, factor = centre.abs() + swing, level.abs() + slope.abs()
    error = slope.abs() * swing + image.error * (factor + gain.error) + gain.error * size + shift.error
    terms = size * factor + shift.lines.abs().sum(0)
    return Enclosure(lines, (error + terms * CHARGE) * _UP + TINY)
