"""Mutations as straight lines: one function per type, affine in its parameter before the clamp.

A mutation is written once, on ``Rounded`` numbers: its value at ``from`` and at ``to`` are the ends of the
segment, and the error bound of the arithmetic that made them is the radius of the segment. Because the
mutation is affine in its parameter and the parameter is affine in t, every exact x(t) is the same convex
combination of the exact ends as the stored one is of the stored ends, and therefore as close to it as the
worse of the two ends.

Exact by definition are: the item (float32), the parameters of the request (float64), the veil or the pattern
(made from its seed by ``glocert.paths.patterns``) and the overlay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from glocert.errors import InvalidSpec
from glocert.paths import patterns
from glocert.paths.items import Float32, Items
from glocert.paths.layered import Layer
from glocert.paths.overlay import overlay_image
from glocert.paths.rounded import Rounded
from glocert.paths.segment import Float64, Segment
from glocert.spec import Mutation


@dataclass(frozen=True, slots=True)
class Scene:
    """What a mutation may look at besides the item and its parameter.

    Attributes:
        mutation: the request, for its options.
        items: the data set, and through it the preprocessing.
        shape: of the item in the image domain.
    """

    mutation: Mutation
    items: Items
    shape: tuple[int, ...]

    def level(self, name: str, default: float) -> Rounded:
        """Return a number among the options."""
        return Rounded.exact(float(self.mutation.options.get(name, default)))

    @property
    def seed(self) -> int:
        """Seed of what is generated."""
        return int(self.mutation.options.get("seed", 0))

    @property
    def rows_and_columns(self) -> tuple[int, int]:
        """Height and width; refuses data that has none."""
        if len(self.shape) != 3:
            raise InvalidSpec(f"{self.mutation.type} needs images, the items have shape {self.shape}")
        return self.shape[1], self.shape[2]

    def grey(self, veil: Float64) -> Rounded:
        """Return levels in [0, 1] stretched to the domain; what rounding makes of them is the veil."""
        domain = self.items.preprocessing
        return Rounded.exact(domain.lower + veil * (domain.upper - domain.lower))


Path = Callable[[Rounded, Rounded, Scene], Rounded]
MUTATIONS: dict[str, Path] = {}


def mutation(name: str) -> Callable[[Path], Path]:
    """Register a mutation: ``f(item, parameter, scene)``, affine in ``parameter``."""

    def register(path: Path) -> Path:
        MUTATIONS[name] = path
        return path

    return register


def segment(request: Mutation, item: Float32, *, items: Items) -> Segment:
    """Return the path of one item, before the clamp.

    Args:
        request: type, parameter at both ends, options.
        item: float32, image domain.
        items: the data set, for mutations that mix two items.

    Raises:
        InvalidSpec: the type is unknown, an option does not fit the items, or an end of the path is not
            finite.
    """
    return segment_from(request, Rounded.exact(item.astype(np.float64)), items=items)


def segment_from(request: Mutation, start: Rounded, *, items: Items) -> Segment:
    """Return the path that starts at an image known up to a radius.

    Raises:
        InvalidSpec: see ``segment``.
    """
    if request.type not in MUTATIONS:
        raise InvalidSpec(f"no mutation {request.type!r}; there are {', '.join(sorted(MUTATIONS))}")
    shape = start.value.shape
    path, scene = MUTATIONS[request.type], Scene(request, items, shape)
    with np.errstate(over="ignore", invalid="ignore"):
        ends = [
            path(start, Rounded.exact(value), scene).like(shape) for value in (request.start, request.stop)
        ]
    if not all(np.isfinite(part).all() for end in ends for part in (end.value, end.radius)):
        raise InvalidSpec(
            f"{request.type} from {request.start} to {request.stop} leaves the numbers of float64"
        )
    first, last = ends
    return Segment(first.value, last.value, np.maximum(first.radius, last.radius))


def layer_from(request: Mutation, shape: tuple[int, ...], *, items: Items) -> Layer:
    """Return a mutation as what it does to any image of a shape: all of them are affine in the image, too.

    The shift is what becomes of an image of zeros; the gain is what one more in every number adds to it.

    Raises:
        InvalidSpec: see ``segment``.
    """
    nothing = segment_from(request, Rounded.exact(np.zeros(shape)), items=items)
    scene, path = Scene(request, items, shape), MUTATIONS[request.type]
    gains = []
    for value in (request.start, request.stop):
        parameter = Rounded.exact(value)
        one, zero = (path(Rounded.exact(np.full(shape, level)), parameter, scene) for level in (1.0, 0.0))
        gains.append((one - zero).like(shape))
    first, last = gains
    return Layer(Segment(first.value, last.value, np.maximum(first.radius, last.radius)), nothing)


@mutation("brightness")
def brightness(x: Rounded, added: Rounded, _scene: Scene) -> Rounded:
    """Add to every value: x + b."""
    return x + added


@mutation("contrast")
def contrast(x: Rounded, factor: Rounded, scene: Scene) -> Rounded:
    """Stretch about a level: about + a (x - about)."""
    about = scene.level("about", 0.5)
    return about + factor * (x - about)


@mutation("fog")
def fog(x: Rounded, density: Rounded, scene: Scene) -> Rounded:
    """Blend towards clouds."""
    return _blend(x, density, scene.grey(patterns.fog(scene.seed, *scene.rows_and_columns)))


@mutation("haze")
def haze(x: Rounded, density: Rounded, scene: Scene) -> Rounded:
    """Blend towards a veil that grows with depth."""
    return _blend(x, density, scene.grey(patterns.haze(scene.seed, *scene.rows_and_columns)))


@mutation("blend")
def blend(x: Rounded, share: Rounded, scene: Scene) -> Rounded:
    """Blend towards an overlay: (1 - s) x + s overlay."""
    overlay = overlay_image(scene.mutation.options.get("overlay"), scene.items, scene.shape)
    return _blend(x, share, Rounded.exact(overlay))


@mutation("noise")
def noise(x: Rounded, amplitude: Rounded, scene: Scene) -> Rounded:
    """Add a fixed pattern p of -1 and +1: x + a p."""
    return x + amplitude * Rounded.exact(patterns.signs(scene.seed, scene.shape))


@mutation("chord")
def chord(x: Rounded, share: Rounded, scene: Scene) -> Rounded:
    """Go straight to another item y: (1 - s) x + s y."""
    other = scene.items[int(scene.mutation.options["item"])]
    return _blend(x, share, Rounded.exact(other.astype(np.float64)))


def _blend(x: Rounded, share: Rounded, other: Rounded) -> Rounded:
    """Written so that share 0 gives x and share 1 gives the other image without rounding."""
    return (Rounded.exact(1.0) - share) * x + share * other
