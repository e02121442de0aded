"""Points that break a property, confirmed twice: proven over the reals, and seen in onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from glocert.boxes import Bounding
from glocert.forms.form import Form
from glocert.rounding import TINY, UP
from glocert.vnnlib.grid import Grid, written
from glocert.vnnlib.network import Network

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Witness:
    """A confirmed point.

    Attributes:
        inputs: as they are written down, inside the box.
        outputs: float32, of onnxruntime.
    """

    inputs: tuple[str, ...]
    outputs: tuple[float, ...]

    def text(self) -> str:
        """Return the lines of the competition after the word ``sat``."""
        names = [f"(X_{i} {value})" for i, value in enumerate(self.inputs)]
        names += [f"(Y_{j} {value!r})" for j, value in enumerate(self.outputs)]
        return "(" + "\n".join(names) + ")"


def confirmed(network: Network, bounding: Bounding, grid: Grid, x: Float32) -> Witness | None:
    """Return the point if it is unsafe for certain.

    Two things must hold, with no tolerance: the exact network at the real point satisfies a whole group,
    proven with rounding; and so do the float32 outputs of onnxruntime, taken as exact numbers.

    Args:
        network: of the property.
        bounding: the inequalities.
        grid: the box.
        x: float32 numbers on the grid, flattened.
    """
    point = grid.exact(x)
    inside = all(a <= v <= b for a, v, b in zip(grid.region.lower, point, grid.region.upper, strict=True))
    if not inside or not _proven(network, bounding, point):
        return None
    outputs = network.outputs(x)
    if outputs is None or not np.isfinite(outputs).all():
        return None
    if not grid.region.unsafe.holds(point, [Fraction(float(y)) for y in outputs]):
        return None
    ends = zip(point, grid.region.lower, grid.region.upper, strict=True)
    return Witness(tuple(written(*end) for end in ends), tuple(map(float, outputs)))


def _proven(network: Network, bounding: Bounding, point: list[Fraction]) -> bool:
    centre = [float(value) for value in point]
    error = [
        float(abs(exact - Fraction(value))) * UP + TINY if exact != value else 0.0
        for exact, value in zip(point, centre, strict=True)
    ]
    shape = (1, 1, *network.graph.input_shape)
    lines = torch.tensor(centre, dtype=torch.float64).view(shape)
    radius = torch.tensor(error, dtype=torch.float64).view(shape[1:])
    return bool(bounding.at(Form.of(lines, radius)).violated.item())
