"""How fast an image changes under a mutation that has a formula, by finite differences of the true one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import hypot

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.errors import InvalidSpec
from glocert.paths.items import Items
from glocert.paths.request import path
from glocert.spec import MUTATION_UNITS, NEUTRAL, Mutation, Preprocessing

STEPS: Mapping[str, float] = {
    "rotation": 0.5, "scaling": 0.01, "shear": 0.01, "translation": 0.25, "brightness": 0.01,
    "contrast": 0.01, "blur": 1.0, "fog": 0.01, "haze": 0.01, "noise": 0.01,
}  # fmt: skip
"""Mutation type -> half-width of the difference, in the mutation's unit."""
_ONE_SIDED = frozenset({"blur"})
"""Without a derivative at the unchanged image: the change up to the step stands for it."""
_IMAGE = 3


@dataclass(frozen=True, slots=True)
class Motion:
    """A mutation with a formula, and its sense.

    Attributes:
        name: shown to users.
        mutation: its ends do not matter, but the sense from one to the other.
    """

    name: str
    mutation: Mutation

    @property
    def unit(self) -> str:
        """Unit of the parameter."""
        return MUTATION_UNITS[self.mutation.type]

    @property
    def neutral(self) -> float:
        """Parameter that leaves an image as it is."""
        return NEUTRAL.get(self.mutation.type, 0.0)

    def to(self, images: Tensor, change: float) -> Tensor:
        """Return images mutated by ``change`` from the neutral parameter, not clamped, float64.

        Args:
            images: float64, shape (n, *image); taken as float32, which is exact enough for a measure.
            change: in the mutation's unit.

        Raises:
            InvalidSpec: the mutation does not suit the images.
        """
        return torch.stack([torch.from_numpy(_mutated(self, image, change)) for image in images.numpy()])

    def velocity(self, images: Tensor) -> Tensor:
        """Return the change per unit of the mutation at the unchanged images, shape (n, *image).

        Raises:
            InvalidSpec: the mutation does not suit the images.
        """
        step = STEPS[self.mutation.type]
        if self.mutation.type in _ONE_SIDED:
            return (self.to(images, step) - self.to(images, 0.0)) / step
        return (self.to(images, step) - self.to(images, -step)) / (2 * step)


def motion(mutation: Mutation) -> Motion:
    """Return a mutation as a motion.

    Raises:
        InvalidSpec: it has no such derivative.
    """
    if mutation.type not in STEPS:
        raise InvalidSpec(f"{mutation.type} has no derivative; there are {', '.join(STEPS)}")
    name = mutation.type
    if name == "translation":
        x, y = (float(mutation.options[axis]) for axis in ("x", "y"))
        name = f"translation ({x:g}, {y:g})" if x and y else f"translation {'x' if x else 'y'}"
    return Motion(name, mutation)


def known(shape: tuple[int, ...]) -> list[Motion]:
    """Return the mutations that directions of images of a shape are compared with."""
    found = [Mutation("brightness", 0.0, 1.0), Mutation("contrast", 1.0, 2.0)]
    if len(shape) == _IMAGE:
        found += [Mutation(kind, 0.0, 1.0) for kind in ("rotation", "shear")]
        found += [Mutation("scaling", 1.0, 2.0), Mutation("blur", 0.0, 1.0, {"sigma": 1.0})]
        found += [Mutation("translation", 0.0, 1.0, {"x": x, "y": 1.0 - x}) for x in (1.0, 0.0)]
    return [motion(one) for one in found]


def _mutated(of: Motion, image: NDArray[np.float64], change: float) -> NDArray[np.float64]:
    item = image.astype(np.float32)
    items = Items(item[None], item.shape, Preprocessing(scale=False))
    request, t = _request(of, change)
    return path(request, item, items=items).at([t])


def _request(of: Motion, change: float) -> tuple[Mutation, float]:
    """Return a mutation with an end where it is wanted, and which end that is."""
    mutation, options = of.mutation, dict(of.mutation.options)
    if mutation.type == "translation":
        x, y = float(options["x"]), float(options["y"])
        length = hypot(x, y)
        if length == 0:
            raise InvalidSpec("a translation by nothing has no direction")
        options |= {"x": change * x / length, "y": change * y / length}
    if mutation.type == "blur":
        options["sigma"] = change
    # away from a path of no length; the other end does not matter
    return replace(mutation, start=of.neutral, stop=of.neutral + change, options=options), 1.0
