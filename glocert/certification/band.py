"""The band property as a label's: outputs that stay within a width are a class that always wins.

For outputs y and centre c, ``|y_i - c_i| < w`` for every i is a conjunction of affine inequalities. One more
affine node gives the scores ``0, y_1 - u_1, l_1 - y_1, y_2 - u_2, ...``; class 0 beats all others exactly
where every ``l_i < y_i < u_i``. Bounds are float64 numbers rounded inwards, ``c_i - w <= l_i`` and
``u_i <= c_i + w``, so that what is certified about them implies the band about the recorded centre.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch

from glocert.graph.ir import Array, Graph, Node
from glocert.graph.run import run
from glocert.paths.items import Float32
from glocert.paths.segment import Float64

WINNER = 0
"""class of the banded network that stands for "inside the band\""""


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """An open box of outputs.

    Attributes:
        centre: float64, one number per output, finite.
        lower: same shape, not below the exact ``centre - width``.
        upper: same shape, not above the exact ``centre + width``.
    """

    centre: Float64
    lower: Float64
    upper: Float64

    @classmethod
    def around(cls, centre: Float64, width: float) -> Bounds:
        """Return the box about ``centre``, rounded inwards: empty where rounding eats ``width``."""
        lower = [-_at_most(-Fraction(value) + Fraction(width)) for value in centre.tolist()]
        upper = [_at_most(Fraction(value) + Fraction(width)) for value in centre.tolist()]
        return cls(centre, np.array(lower), np.array(upper))

    def left_by(self, outputs: Float32, width: float) -> bool:
        """Whether finite outputs are at least ``width`` from the exact centre, in exact arithmetic."""
        if not np.isfinite(outputs).all():
            return False
        pairs = zip(outputs.tolist(), self.centre.tolist(), strict=True)
        return any(abs(Fraction(value) - Fraction(centre)) >= Fraction(width) for value, centre in pairs)


def outputs_at(network: Graph, image: Float64) -> Float64:
    """Return the outputs at one image of the domain, computed in float64.

    Returns:
        float64, one number per output; not necessarily finite.
    """
    with torch.inference_mode():
        found = run(network, torch.from_numpy(np.ascontiguousarray(image[None])))
    return np.asarray(found.reshape(-1).numpy(), dtype=np.float64)


def banded(network: Graph, bounds: Bounds) -> Graph:
    """Return the network whose class ``WINNER`` wins exactly where the outputs are inside the bounds.

    Args:
        network: with any output shape.
        bounds: one per output.

    Returns:
        A graph with ``2 n + 1`` scores for n outputs; everything before its last node or two is ``network``.
    """
    count = len(bounds.centre)
    taken = {*network.shapes, *network.parameters, *(node.name for node in network.nodes)}
    nodes, shapes, last = list(network.nodes), dict(network.shapes), network.output
    if network.output_shape != (count,):
        flat = _fresh("band.flat", taken)
        nodes.append(Node(flat, "Reshape", (last,), flat, {"shape": (count,)}, "property"))
        shapes[flat], last = (count,), flat
    name = _fresh("band", taken)
    weight, bias = f"{name}.weight", f"{name}.bias"
    nodes.append(Node(name, "Gemm", (last, weight, bias), name, {}, "property"))
    shapes[name] = (2 * count + 1,)
    parameters = {**network.parameters, weight: _weight(count), bias: _bias(bounds)}
    return replace(network, output=name, nodes=tuple(nodes), parameters=parameters, shapes=shapes)


def _weight(count: int) -> Array:
    matrix = np.zeros((2 * count + 1, count))
    matrix[1::2], matrix[2::2] = np.eye(count), -np.eye(count)
    return matrix


def _bias(bounds: Bounds) -> Array:
    vector = np.zeros(2 * len(bounds.centre) + 1)
    vector[1::2], vector[2::2] = -bounds.upper, bounds.lower
    return vector


def _at_most(exact: Fraction) -> float:
    """Return the largest float64 that is not above a number, which is not below all of them."""
    try:
        near = float(exact)
    except OverflowError:
        return sys.float_info.max
    return math.nextafter(near, -math.inf) if Fraction(near) > exact else near


def _fresh(name: str, taken: set[str]) -> str:
    while {name, f"{name}.weight", f"{name}.bias"} & taken:
        name += "_"
    return name
