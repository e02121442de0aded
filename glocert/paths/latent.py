"""The straight line in a generator's latent space: ``z + s v``, s from one value to another.

The path runs through vectors ``(z, r, y)``, see ``glocert.paths.generated``. Residual and reference are
constant along it. Codes, directions and both ends of s are float64 numbers and exact by definition; the
residual ``x - G(z)`` is known up to a proven radius, which becomes that of the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glocert.errors import InvalidSpec
from glocert.paths.layered import Layer, Layered
from glocert.paths.rounded import Rounded
from glocert.paths.segment import Float64, Segment


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """A way to go in the latent space.

    Attributes:
        vector: v, float64, as long as a code.
        start: s at t = 0.
        stop: s at t = 1.
    """

    vector: Float64
    start: float
    stop: float

    def from_code(self, code: Float64) -> Segment:
        """Return ``z + s v`` with the rounding of both ends.

        Raises:
            InvalidSpec: the vector is not as long as the code, or an end leaves the numbers of float64.
        """
        if self.vector.shape != code.shape:
            raise InvalidSpec(f"a direction of {self.vector.size} numbers, codes have {code.size}")
        with np.errstate(over="ignore", invalid="ignore"):
            first, last = (
                Rounded.exact(code) + Rounded.exact(s) * Rounded.exact(self.vector)
                for s in (self.start, self.stop)
            )
        if not all(np.isfinite(part).all() for end in (first, last) for part in (end.value, end.radius)):
            raise InvalidSpec(f"the path from {self.start} to {self.stop} leaves the numbers of float64")
        return Segment(first.value, last.value, np.maximum(first.radius, last.radius))


def latent_path(code: Float64, moves: Sequence[Move], constants: Sequence[Rounded] = ()) -> Segment | Layered:
    """Return the path of one input; that of several moves at once has a parameter for each.

    Args:
        code: z, float64, flat.
        moves: at least one.
        constants: what follows the code in the vector, flattened here: residual, reference.

    Raises:
        InvalidSpec: see ``Move.from_code``.
    """
    first, *rest = moves
    base = _extended(first.from_code(code), constants)
    if not rest:
        return base
    one, nothing = np.ones(base.shape), np.zeros(base.shape)
    layers = []
    for move in rest:
        shift = _extended(move.from_code(np.zeros_like(code)), [_still(part) for part in constants])
        layers.append(Layer(Segment(one, one, nothing), shift))
    return Layered(base, tuple(layers), tuple(range(len(moves))))


def _extended(segment: Segment, constants: Sequence[Rounded]) -> Segment:
    values, radii = ([getattr(part, name).ravel() for part in constants] for name in ("value", "radius"))
    return Segment(
        np.concatenate([segment.start, *values]),
        np.concatenate([segment.stop, *values]),
        np.concatenate([segment.radius, *radii]),
    )


def _still(part: Rounded) -> Rounded:
    return Rounded.exact(np.zeros_like(part.value))
