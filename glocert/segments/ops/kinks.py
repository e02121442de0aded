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

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.graph.execution import level_lost
from glocert.graph.ir import Node
from glocert.rounding import CHARGE, UP
from glocert.segments.grid import Crossings, Grid, crossings, places
from glocert.segments.knots import Knots, host
from glocert.segments.loops.kinks import Rule, crossed
from glocert.segments.loops.kinks import bent as bent_rows
from glocert.segments.ops.registry import PLAIN, Charges, Kink, Order, Site, transfer

Float64 = NDArray[np.float64]

_SMALL = 2**15
"""numbers up to which looking at all of them is quicker than choosing"""
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
        rule: the same function as numbers, see ``loops.kinks``.
    """

    levels: tuple[float, ...]
    jump: float
    slope: float
    monotone: bool
    apply: Callable[[Tensor], Tensor]
    rule: Rule
    flat: float | None = None
    charges: Charges = PLAIN
    lost: float = 0.0

    def cuts(self, t: Tensor, x: Knots, joins: Tensor | None = None) -> Tensor:
        """Return where a coordinate crosses a level."""
        if x.values.is_cpu:
            return torch.from_numpy(crossed(t.numpy(), host(x.values), np.array(self.levels)))
        return self.found(t, x, joins)

    def found(self, t: Tensor, x: Knots, joins: Tensor | None = None) -> Tensor:
        """Return the same on any device."""
        grid = t.cpu().numpy()
        found = [_cuts(grid, x, level, joins) for level in self.levels]
        cuts = found[0] if len(found) == 1 else np.concatenate([np.empty(0), *found])
        return torch.from_numpy(cuts).to(t.device)

    def follow(self, x: Knots, t: Tensor, grid: Grid | None, window: tuple[int, int]) -> Knots | None:
        """Refine and bend in one pass, on the processor, where extents survive."""
        if not (self.monotone and x.values.is_cpu):
            return None
        values, (first, last) = host(x.values), window
        low, high = x.extent()
        about = host(x.radius), host(low), host(high)
        flat = -np.inf if self.flat is None else self.flat
        costs = self.jump, self.slope, self.lost, flat, self.charges.executed, self.charges.tiny
        out = np.empty((last - first + 1, values.shape[1]))
        bend = self.rule, np.array(self.levels), costs
        found = bent_rows(values, about, out, places(t, grid), window, bend)
        return Knots(*map(torch.from_numpy, (out, *found)))

    def bend(self, x: Knots, owned: bool, joins: Tensor | None = None) -> Knots:
        """Apply the function; the radius grows by rounding and by what the pieces still hide."""
        radius = self.charges.spread(x, CHARGE)
        low, high = x.extent()
        for level in self.levels:
            _charge(radius, x, level, self.jump, joins)
        if self.slope != 1.0:
            radius *= self.slope
        if self.lost:
            radius += self.lost
        radius = self.charges.closed(radius.mul_(UP))
        if self.flat is not None:
            radius.masked_fill_((high + x.radius < self.flat) & (low > -_LARGEST), 0.0)
        values = self.apply(x.values if owned else x.values.clone())
        if not self.monotone:
            return Knots(values, radius)
        return Knots(values, radius, self.apply(low.clone()), self.apply(high.clone()))


def _across(x: Knots, level: float) -> Tensor | None:
    """Return the coordinates whose extent has numbers on both sides of the level; None: look at all."""
    if x.values.numel() <= _SMALL:
        return None
    low, high = x.extent()
    return ((low < level) & (high > level)).nonzero().squeeze(1)


def _seen(x: Knots, level: float, columns: Tensor | None, joins: Tensor | None) -> Crossings:
    values = x.values if columns is None else x.values.index_select(1, columns)
    return crossings(values, level, joins)


def _cuts(t: Float64, x: Knots, level: float, joins: Tensor | None) -> Float64:
    """Return the parameters of all crossings that are strictly inside their pieces."""
    seen = _seen(x, level, _across(x, level), joins)
    start, stop = t[seen.piece], t[seen.piece + 1]
    with np.errstate(all="ignore"):
        cuts = start + (level - seen.before) / (seen.after - seen.before) * (stop - start)
    inside: Float64 = cuts[(cuts > start) & (cuts < stop)]
    return inside


def _charge(radius: Tensor, x: Knots, level: float, jump: float, joins: Tensor | None) -> None:
    """Add to ``radius`` the largest deviation of a chord from the function, over all pieces.

    A piece that only touches the level has no deviation, and is charged none: the smaller distance is zero.
    """
    columns = _across(x, level)
    seen = _seen(x, level, columns, joins)
    if not len(seen.piece):
        return
    worst = np.zeros(x.values.shape[1] if columns is None else len(columns))
    with np.errstate(all="ignore"):
        miss = np.minimum(np.abs(seen.before - level), np.abs(seen.after - level)) * (jump * UP)
        np.maximum.at(worst, seen.column, miss)
    found = torch.from_numpy(worst).to(radius.device)
    if columns is None:
        radius += found
    else:
        radius[columns] += found


@transfer("Relu")
def relu(node: Node, site: Site) -> tuple[Kink, Order]:
    """``max(x, 0)``."""
    rule = 1.0, 0.0, torch.inf
    return Bent((0.0,), 1.0, 1.0, True, torch.relu_, rule, flat=0.0), site.orders[node.inputs[0]]


@transfer("LeakyRelu")
def leaky_relu(node: Node, site: Site) -> tuple[Kink, Order]:
    """``x`` above zero, ``alpha x`` below; alpha may be any number. Executed, alpha and a product round."""
    alpha = node.number("alpha")

    def apply(x: Tensor) -> Tensor:
        return torch.nn.functional.leaky_relu_(x, alpha)

    levels = () if alpha == 1 else (0.0,)
    charges = PLAIN if alpha in {-1.0, 0.0, 1.0} else site.charges(node)
    slope = max(1.0, abs(alpha))
    rule = alpha, -torch.inf, torch.inf
    bent = Bent(levels, abs(1 - alpha) * UP, slope, alpha >= 0, apply, rule, charges=charges)
    return bent, site.orders[node.inputs[0]]


@transfer("Clip")
def clip(node: Node, site: Site) -> tuple[Kink, Order]:
    """``min(max(x, low), high)``: two levels whose deviations add up, or a constant."""
    low, high = node.number("min"), node.number("max")
    order = site.orders[node.inputs[0]]
    lost = max(level_lost(low), level_lost(high)) if site.execution.charged else 0.0
    if low >= high:
        return Bent((), 0.0, 0.0, True, lambda x: x.clamp_(low, high), (1.0, low, high), lost=lost), order
    levels = tuple(level for level in (low, high) if abs(level) < torch.inf)
    return Bent(levels, 1.0, 1.0, True, lambda x: x.clamp_(low, high), (1.0, low, high), lost=lost), order
