"""Functions of one number with kinks at known levels: Relu, LeakyRelu, Clip.

A curve is refined where a coordinate crosses a level, then the function is applied at the vertices. Its chord
on a piece with values a < level < b deviates from the function by at most ``jump * min(level - a, b -
level)``, where ``jump`` is the change of slope at the level, and not at all on any other piece. After
refinement that is charged for *every* piece on which a coordinate is still on both sides, so nothing depends
on the quality of the cuts. Only coordinates whose extent reaches across a level have to be looked at, because
an extent is a proven bound.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.graph.execution import level_lost
from glocert.graph.ir import Node
from glocert.rounding import CHARGE, UP
from glocert.segments.grid import changes
from glocert.segments.knots import Knots
from glocert.segments.ops.registry import PLAIN, Charges, Kink, Order, Site, transfer

_LARGEST = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Bent:
    """A continuous piecewise linear function of one number.

    Attributes:
        levels: where it bends, finite.
        jump: bound on the change of its slope at each level.
        slope: bound on its steepness.
        monotone: whether it never decreases, as it is computed.
        flat: the function is constant below this number, if anywhere: where the model stays so far below that
            the truth does too, both have the same value.
        charges: what roundings cost.
        lost: by how much the levels may move when executed.
        apply: the function, in place; rounds each number at most twice, relative to ``slope * |x|``.
    """

    levels: tuple[float, ...]
    jump: float
    slope: float
    monotone: bool
    apply: Callable[[Tensor], Tensor]
    flat: float | None = None
    charges: Charges = PLAIN
    lost: float = 0.0

    def cuts(self, t: Tensor, x: Knots, joins: Tensor | None = None) -> Tensor:
        """Return where a coordinate crosses a level."""
        low, high = x.extent()
        found = [_crossings(t, x.values, level, _across(low, high, level), joins) for level in self.levels]
        return torch.cat(found) if found else t.new_empty(0)

    def bend(self, x: Knots, owned: bool, joins: Tensor | None = None) -> Knots:
        """Apply the function; the radius grows by rounding and by what the pieces still hide."""
        radius = self.charges.spread(x, CHARGE)
        low, high = x.extent()
        for level in self.levels:
            _charge(radius, x.values, level, _across(low, high, level), self.jump, joins)
        radius = self.charges.closed((radius * self.slope).add_(self.lost).mul_(UP))
        if self.flat is not None:
            radius.masked_fill_((high + x.radius < self.flat) & (low > -_LARGEST), 0.0)
        values = self.apply(x.values if owned else x.values.clone())
        if not self.monotone:
            return Knots(values, radius)
        return Knots(values, radius, self.apply(low.clone()), self.apply(high.clone()))


def _across(low: Tensor, high: Tensor, level: float) -> Tensor:
    """Return the coordinates whose extent has numbers on both sides of the level."""
    return ((low < level) & (high > level)).nonzero().squeeze(1)


def _crossings(t: Tensor, values: Tensor, level: float, columns: Tensor, joins: Tensor | None) -> Tensor:
    """Return the parameters of all crossings that are strictly inside their pieces."""
    chosen = values.index_select(1, columns)
    piece, column = changes(chosen < level, joins)
    before, after = chosen[piece, column], chosen[piece + 1, column]
    start, stop = t[piece], t[piece + 1]
    cuts = start + (level - before) / (after - before) * (stop - start)
    return cuts[(cuts > start) & (cuts < stop)]


def _charge(
    radius: Tensor, values: Tensor, level: float, columns: Tensor, jump: float, joins: Tensor | None
) -> None:
    """Add to ``radius`` the largest deviation of a chord from the function, over all pieces.

    A piece that only touches the level has no deviation, and is charged none: the smaller distance is zero.
    """
    chosen = values.index_select(1, columns)
    piece, column = changes(chosen < level, joins)
    if not len(piece):
        return
    before, after = (chosen[piece, column] - level).abs(), (chosen[piece + 1, column] - level).abs()
    worst = radius.new_zeros(len(columns))
    worst.scatter_reduce_(0, column, torch.minimum(before, after) * (jump * UP), "amax")
    radius[columns] += worst


@transfer("Relu")
def relu(node: Node, site: Site) -> tuple[Kink, Order]:
    """``max(x, 0)``."""
    return Bent((0.0,), 1.0, 1.0, True, torch.relu_, flat=0.0), site.orders[node.inputs[0]]


@transfer("LeakyRelu")
def leaky_relu(node: Node, site: Site) -> tuple[Kink, Order]:
    """``x`` above zero, ``alpha x`` below; alpha may be any number. Executed, alpha and a product round."""
    alpha = node.number("alpha")

    def apply(x: Tensor) -> Tensor:
        return torch.nn.functional.leaky_relu_(x, alpha)

    levels = () if alpha == 1 else (0.0,)
    charges = PLAIN if alpha in {-1.0, 0.0, 1.0} else site.charges(node)
    slope = max(1.0, abs(alpha))
    bent = Bent(levels, abs(1 - alpha) * UP, slope, alpha >= 0, apply, charges=charges)
    return bent, site.orders[node.inputs[0]]


@transfer("Clip")
def clip(node: Node, site: Site) -> tuple[Kink, Order]:
    """``min(max(x, low), high)``: two levels whose deviations add up, or a constant."""
    low, high = node.number("min"), node.number("max")
    order = site.orders[node.inputs[0]]
    lost = max(level_lost(low), level_lost(high)) if site.execution.charged else 0.0
    if low >= high:
        return Bent((), 0.0, 0.0, True, lambda x: x.clamp_(low, high), lost=lost), order
    levels = tuple(level for level in (low, high) if abs(level) < torch.inf)
    return Bent(levels, 1.0, 1.0, True, lambda x: x.clamp_(low, high), lost=lost), order
