"""How evenly an image moves along a path through the latent space, and how much of it moves outside a mask.

Where the generator is piecewise linear, the curve of its image is followed exactly: on each piece the image
moves straight and evenly, so speeds, lengths and integrals have closed forms. They are computed in float64
and are measures of quality: nothing is certified by them, and their rounding is not enclosed. Of other
generators, and where time is short, the image is taken at some points of the path.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import fsum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from glocert import segments
from glocert.budget import Budget
from glocert.graph.families import Family, family
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.paths.segment import Float64, Segment
from glocert.segments.runs import run as scores_of
from glocert.segments.walk import blocks

POINTS = 257
SLOW = 0.05
"""share of the mean speed below which the image stands still"""
_SHORT = 1e-9
"""pieces shorter than that tell no speed: it would be mostly rounding"""

Mask = NDArray[np.bool_]
Vertices = tuple[Float64, Float64]


@dataclass(frozen=True, slots=True)
class Measures:
    """What is measured along a path, t from 0 to 1; speeds and lengths are Euclidean, over all numbers.

    Attributes:
        exact: whether every piece was followed, up to rounding; else the image was sampled.
        pieces: straight pieces, or steps between samples.
        fastest: K, the largest speed: the Lipschitz constant along the path.
        slowest: k, the smallest.
        length: of the path that the image takes.
        distance: between the first and the last image.
        largest_piece: longest piece of that path.
        stall: share of t on which the speed is below a twentieth of the mean.
        moved: integral of the squared distance to the first image.
        leaked: the part of it outside the mask; ``None`` without a mask.
        background: largest change of one number outside the mask; likewise.
    """

    exact: bool
    pieces: int
    fastest: float
    slowest: float
    length: float
    distance: float
    largest_piece: float
    stall: float
    moved: float
    leaked: float | None = None
    background: float | None = None

    @property
    def jump_index(self) -> float | None:
        """``K / length``: 1 for an even motion; ``None`` where nothing moves, as for the next ones."""
        return self.fastest / self.length if self.length > 0 else None

    @property
    def straightness(self) -> float | None:
        """Distance over length: 1 for a straight line."""
        return min(1.0, self.distance / self.length) if self.length > 0 else None

    @property
    def largest_share(self) -> float | None:
        """Share of the length that the longest piece has."""
        return self.largest_piece / self.length if self.length > 0 else None

    @property
    def leakage(self) -> float | None:
        """Share of the change, squared and integrated, outside the mask."""
        return None if self.leaked is None or self.moved == 0 else self.leaked / self.moved

    def continuity(self) -> dict[str, Any]:
        """Return the form that rows show."""
        return {
            "exact": self.exact,
            "pieces": self.pieces,
            "lipschitz": self.fastest,
            "slowest": self.slowest,
            "length": self.length,
            "jump_index": self.jump_index,
            "stall": self.stall,
            "straightness": self.straightness,
            "largest_piece": self.largest_share,
        }

    def independency(self) -> dict[str, Any] | None:
        """Return the form that rows show; nothing without a mask."""
        if self.leaked is None:
            return None
        return {"leakage": self.leakage, "background_change": self.background}


def measure(
    picture: Graph, path: Segment, mask: Mask | None = None, budget: Budget | None = None, device: str = "cpu"
) -> Measures:
    """Measure the image along a path through the latent space.

    Args:
        picture: code -> image.
        path: through codes, of the graph's input shape.
        mask: of the image's shape: where the mutation is meant to act; ``None`` for everywhere.
        budget: limits of following; what they end is sampled instead.
        device: torch device.
    """
    outside = None if mask is None else ~np.broadcast_to(mask, picture.output_shape).reshape(-1)
    if family(picture) is Family.EXACT:
        tally = Tally(outside)
        for vertices in _followed(picture, path, budget or Budget(), device):
            tally.add(vertices)
        if tally.done == 1.0:
            return tally.measures(exact=True)
    tally = Tally(outside)
    tally.add(_sampled(picture, path))
    return tally.measures(exact=False)


@dataclass(slots=True)
class Tally:
    """What is measured so far, in order of t.

    Attributes:
        outside: coordinates of the background, flat; ``None`` without a mask.
        done: how far.
        first: image at t = 0.
    """

    outside: Mask | None
    done: float = 0.0
    first: Float64 | None = None
    _last: Float64 | None = None
    _steps: list[Float64] = field(default_factory=list)
    _lengths: list[Float64] = field(default_factory=list)
    _moved: list[float] = field(default_factory=list)
    _leaked: list[float] = field(default_factory=list)
    _background: float = 0.0

    def add(self, vertices: Vertices) -> None:
        """Take the next vertices: t, shape (n,), and images, shape (n, numbers)."""
        t, images = vertices
        if self.first is None:
            self.first = images[0].copy()
        steps = np.diff(t)
        self._steps.append(steps)
        self._lengths.append(np.linalg.norm(np.diff(images, axis=0), axis=1))
        change = images - self.first
        self._moved.append(_integral(steps, change))
        if self.outside is not None:
            behind = change[:, self.outside]
            self._leaked.append(_integral(steps, behind))
            self._background = max(self._background, float(np.abs(behind).max(initial=0.0)))
        self.done, self._last = float(t[-1]), images[-1].copy()

    def measures(self, *, exact: bool) -> Measures:
        """Return everything."""
        assert self.first is not None
        assert self._last is not None
        steps, lengths = np.concatenate(self._steps), np.concatenate(self._lengths)
        length = fsum(lengths)
        long = steps >= _SHORT
        speeds = lengths[long] / steps[long]
        return Measures(
            exact=exact,
            pieces=len(steps),
            fastest=float(speeds.max()),
            slowest=float(speeds.min()),
            length=length,
            distance=float(np.linalg.norm(self._last - self.first)),
            largest_piece=float(lengths.max()),
            stall=min(1.0, fsum(steps[long][(speeds < SLOW * length) | (speeds == 0.0)])),
            moved=fsum(self._moved),
            leaked=None if self.outside is None else fsum(self._leaked),
            background=None if self.outside is None else self._background,
        )


def _integral(steps: Float64, change: Float64) -> float:
    """Integrate the squared length of what is straight between vertices: a quadratic on each piece."""
    squares = np.einsum("ij,ij->i", change, change)
    products = np.einsum("ij,ij->i", change[:-1], change[1:])
    return fsum(steps * (squares[:-1] + products + squares[1:]) / 3)


def _followed(picture: Graph, path: Segment, budget: Budget, device: str) -> Iterator[Vertices]:
    program = segments.prepare(picture, device)
    for block in blocks(program, path, budget):
        found = scores_of(program, block)
        yield found.t, found.scores


def _sampled(picture: Graph, path: Segment) -> Vertices:
    t = np.linspace(0.0, 1.0, POINTS)
    codes = np.stack([path.at([share]) for share in t.tolist()])
    with torch.inference_mode():
        images = run(picture, torch.from_numpy(codes)).reshape(len(t), -1).numpy()
    return t, images
