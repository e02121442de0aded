"""Inputs that are close to one, and how far a linear functional can fall among them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from glocert.forms.form import Form
from glocert.graph.ir import Graph
from glocert.rounding import TINY, UNIT, UP, grow
from glocert.spec_lipschitz import Distance


@dataclass(frozen=True, slots=True, eq=False)
class Ball:
    """All z with ``|z - centre| <= radius`` in a norm and ``low <= z <= high``, row by row.

    Attributes:
        centre: float64, shape (rows, *input shape), within the box.
        radius: float64, shape (rows,), >= 0.
        norm: in which the radius is measured.
        low: lower end of the box, may be -inf.
        high: upper end of the box, may be inf.
    """

    centre: Tensor
    radius: Tensor
    norm: Distance
    low: float
    high: float

    def room(self) -> tuple[Tensor, Tensor]:
        """Return how far every coordinate can go down and up, rounded up; zero only where it cannot."""
        wide = self.radius.reshape(-1, *[1] * (self.centre.dim() - 1)).expand_as(self.centre)
        down = ((self.centre - self.low) * UP).clamp_min(0.0)
        up = ((self.high - self.centre) * UP).clamp_min(0.0)
        return torch.minimum(wide, down), torch.minimum(wide, up)

    def form(self) -> Form:
        """Return all of its inputs as a form that does not depend on any parameter."""
        down, up = self.room()
        centre = self.centre + (up - down) / 2
        error = torch.maximum(self.centre + up - centre, centre - (self.centre - down))
        error = error * UP + self.centre.abs() * (8 * UNIT) + TINY
        return Form.of(centre[None], error)

    def falls(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Bound how far ``<a, z>`` can be below ``<a, centre>``.

        A coordinate that cannot move against its weight only raises the functional: it is left out. The rest
        is bounded by the dual norm of its weights, and by what the box leaves.

        Args:
            weights: a, float64, shape (rows, functionals, *input shape).

        Returns:
            Two tensors of shape (rows, functionals), rounded up: how fast it falls with the radius, for this
            radius and all smaller ones; and how far it falls on this ball.
        """
        down, up = (side.flatten(1).unsqueeze(1) for side in self.room())
        flat = weights.flatten(2)
        against = torch.where(flat > 0, flat * (down > 0), -flat * (up > 0))
        count = flat.shape[2]
        steep = _dual(against, self.norm) * grow(2 * count) + TINY
        inside = (against * torch.where(flat > 0, down, up)).sum(2) * grow(count) + TINY
        return steep, torch.minimum(steep * self.radius[:, None] * UP, inside)


def _dual(weights: Tensor, norm: Distance) -> Tensor:
    """Return the dual norm of weights that are not negative, up to rounding."""
    if norm is Distance.L2:
        # Squares of tiny numbers vanish; the largest weight is a bound from below of what they are scaled by.
        peak = weights.amax(2, keepdim=True).clamp_min(TINY)
        length: Tensor = (weights / peak).square().sum(2).sqrt() * peak[..., 0]
        return length * UP
    return weights.amax(2) if norm is Distance.L1 else weights.sum(2)


def behind_clamp(graph: Graph) -> tuple[Graph, float, float]:
    """Return a network without the clamp that its input meets first, and the ends of that clamp.

    Clamping moves no two numbers further apart, so what a ball becomes lies in the ball of the same radius
    around the clamped centre, and in the box. Where there is no clamp, the box has no ends.
    """
    first, *rest = graph.nodes
    if first.operator != "Clip" or first.output == graph.output or first.inputs[0] != graph.input:
        return graph, -math.inf, math.inf
    low, high = first.number("min"), first.number("max")
    again = any(graph.input in node.inputs for node in rest)
    if again or not low < high or any(float(np.float32(end)) != end for end in (low, high)):
        return graph, -math.inf, math.inf
    return replace(graph, input=first.output, nodes=tuple(rest)), low, high
