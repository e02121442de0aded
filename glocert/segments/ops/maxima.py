"""Max pooling: the true upper envelope of the lines of every window.

A window is cut at the corners of the envelope of its lines. Afterwards, on any piece with winner i at its
left end and winner j at its right end, the envelope is convex and lies between the lines i and j below and
its chord above, so the chord is off by at most the smaller of how far line i misses the maximum at the right
end and line j at the left end; by nothing where one line wins at both ends. That is charged for every window
on every piece.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from glocert.graph.ir import Node
from glocert.rounding import CHARGE, TINY, UP
from glocert.segments.envelope import corners
from glocert.segments.grid import Grid, changes, places
from glocert.segments.knots import Knots, host, spread
from glocert.segments.loops.maxima import Windows, cornered, maximal
from glocert.segments.ops.pooling import Window, window
from glocert.segments.ops.registry import Kink, Order, Site, channels_last, transfer


@dataclass(frozen=True, slots=True)
class Pooled:
    """Maxima and winners of all windows at all vertices.

    Attributes:
        lines: framed input, shape (vertices, pixels * channels), channels last; the frame is -inf.
        maxima: shape (vertices, windows), windows in the memory order of the output.
        winners: same shape, column of ``lines`` that wins.
    """

    lines: Tensor
    maxima: Tensor
    winners: Tensor

    def changes(self, joins: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return (piece, window) of every piece on which the winner at the ends is not the same."""
        return changes(self.winners, joins)

    def misses(self, piece: Tensor, place: Tensor) -> Tensor:
        """Return how far the chord may be above the envelope."""
        first, last = self.winners[piece, place], self.winners[piece + 1, place]
        at_right = self.maxima[piece + 1, place] - self.lines[piece + 1, first]
        at_left = self.maxima[piece, place] - self.lines[piece, last]
        return torch.minimum(at_right, at_left)


@dataclass(frozen=True, slots=True)
class Maximum:
    """MaxPool of an image.

    Attributes:
        window: the geometry.
        members: columns of the framed input in each window, shape (windows, places).
        index: positions that bring the input into channels-last order, or None.
        places: the same as arrays, see ``loops.maxima``.
    """

    window: Window
    members: Tensor
    index: Tensor | None
    places: Windows

    def cuts(self, t: Tensor, x: Knots, joins: Tensor | None = None) -> Tensor:
        """Return the corners of the envelope of every window."""
        if x.values.is_cpu and x.values.dtype is torch.float64:
            return torch.from_numpy(cornered(t.numpy(), host(x.values), self.places))
        return self.found(t, x, joins)

    def follow(self, x: Knots, t: Tensor, grid: Grid | None, window: tuple[int, int]) -> Knots | None:
        """Refine and take maxima in one pass, on the processor."""
        if not x.values.is_cpu:
            return None
        low, high = x.extent()
        out = np.empty((window[1] - window[0] + 1, len(self.members)))
        found = maximal(
            host(x.values), (host(x.radius), host(low), host(high)), out, places(t, grid), window, self.places
        )
        return Knots(*map(torch.from_numpy, (out, *found)))

    def found(self, t: Tensor, x: Knots, joins: Tensor | None = None) -> Tensor:
        """Return the same cuts on any device."""
        pooled = self.pool(x)
        piece, place = pooled.changes(joins)
        moved = pooled.misses(piece, place) > 0
        piece, place = piece[moved], place[moved]
        members = self.members[place]
        left, right = (pooled.lines[row.unsqueeze(1), members] for row in (piece, piece + 1))
        bundle, ratio, _, _ = corners(left, right)
        start, stop = t[piece[bundle]], t[piece[bundle] + 1]
        cuts = start + ratio * (stop - start)
        return cuts[(cuts > start) & (cuts < stop)]

    def bend(self, x: Knots, owned: bool, joins: Tensor | None = None) -> Knots:  # noqa: ARG002
        """Take the maxima at the vertices; the largest radius of a window holds for its maximum."""
        pooled = self.pool(x)
        x = self._ordered(x)
        radius = self._largest(spread(x, CHARGE), 0.0)
        piece, place = pooled.changes(joins)
        hidden = radius.new_zeros(len(radius))
        hidden.scatter_reduce_(0, place, pooled.misses(piece, place), "amax")
        low, high = (self._largest(end, -torch.inf) for end in x.extent())
        return Knots(pooled.maxima, (radius + hidden * UP).mul_(UP).add_(TINY), low, high)

    def _ordered(self, x: Knots) -> Knots:
        return x if self.index is None else x.take(self.index)

    def _largest(self, row: Tensor, filling: float) -> Tensor:
        return (
            self.window.frame(row.unsqueeze(0), filling).permute(0, 2, 3, 1).reshape(-1)[self.members].amax(1)
        )

    def pool(self, x: Knots) -> Pooled:
        """Return maxima and winners at every vertex."""
        values = self._ordered(x).values
        framed = self.window.frame(values, -torch.inf)
        maxima, winners = torch.nn.functional.max_pool2d(
            framed,
            self.window.kernel,
            self.window.strides,
            dilation=self.window.dilations,
            return_indices=True,
        )
        channels = framed.shape[1]
        columns = winners.permute(0, 2, 3, 1) * channels + torch.arange(channels, device=values.device)
        lines = framed.permute(0, 2, 3, 1).reshape(len(values), -1)
        flat = maxima.permute(0, 2, 3, 1).reshape(len(values), -1)
        return Pooled(lines, flat, columns.reshape(len(values), -1))


def _members(window: Window, site: Site) -> Tensor:
    """Return the columns of the framed input in each window, windows in channels-last order."""
    top, left, bottom, right = window.pads
    height, width, channels = window.image
    shape = (1, height + top + bottom, width + left + right, channels)
    columns = torch.arange(shape[1] * shape[2] * channels).view(shape).permute(0, 3, 1, 2)
    places = [
        window.shifted(columns, down, across)
        for down in range(window.kernel[0])
        for across in range(window.kernel[1])
    ]
    return torch.stack(places, -1).squeeze(0).permute(1, 2, 0, 3).reshape(-1, len(places)).to(site.device)


@transfer("MaxPool")
def max_pool(node: Node, site: Site) -> tuple[Kink, Order]:
    """Max pooling whose padding never wins."""
    name = node.inputs[0]
    geometry = window(node, site)
    index = site.gather(name, channels_last(site.shape(name)))
    members = _members(geometry, site)
    kink = Maximum(geometry, members, index, _places(geometry, members, index))
    return kink, channels_last(site.shape(node.output))


def _places(window: Window, members: Tensor, index: Tensor | None) -> Windows:
    """Return the columns of the input, channels last, that the windows of channel 0 hold, -1 for padding."""
    height, width, channels = window.image
    columns = torch.arange(height * width * channels, dtype=torch.float64).unsqueeze(0)
    framed = window.frame(columns, -1.0).permute(0, 2, 3, 1).reshape(-1)
    bases = framed[members.cpu()].view(-1, channels, members.shape[1])[:, 0]
    order = torch.empty(0, dtype=torch.int64) if index is None else index
    return host(order.cpu()), host(bases.long()), channels
