"""Softmax along an axis as one transfer, to first order with a proven second-order remainder.

With z the centre, p = softmax(z) and ``x = z + d``, Taylor's formula on the straight way from z to x says::

    softmax(x)_i = p_i + p_i (d_i - E_p d) + R_i
    R_i = integral_0^1 (1 - t) q_i ((d_i - E_q d)^2 - Var_q d) dt

where q is softmax at ``z + t d``: the first derivative of q_i is ``q_i (d_i - E_q d)`` and that of ``E_q
d`` is ``Var_q d``. With q_i in [L_i, P_i] and ``|d_j| <= h_j``: R_i is between ``-P_i V/2`` and ``P_i
B_i^2/2``, where ``V = min(sum_j P_j h_j^2, max h^2)`` and ``B_i = (1 - L_i) h_i + min(sum_{j != i} P_j h_j,
(1 - L_i) max h)``.

One order further, ``R_i = H_i + T_i`` with the second derivative at the centre and the rest::

    H_i = p_i (D_i^2 - E_p D^2)/2,    D = d - E_p d,    |T_i| <= P_i (B_i^3 + 3 B_i V + max B V)/6

as the third derivative of q_i is ``q_i (D^3 - 3 D Var_q d - E_q D^3)``. The smaller of the two errors is
taken.

Everything stays the same when a common number is taken off all d_j, even one that depends on u, so the mean
slope is: ``d = t u + e``, t = s - sum_j p_j s_j. The slopes of the result are ``p_i (t_i - E_p t)``; the
errors e pass through the same derivative, at most ``p_i ((1 - p_i) e_i + sum_{j != i} p_j e_j)``. With
``D = c u + n``, ``|c u| <= w``, H is a form in ``u_a u_b``: squares are in [0, 1], so half a coefficient
goes to the centre, and what n adds is at most ``p_i (2 w_i n_i + n_i^2 + E_p (2 w n + n^2))/2``.

Ranges: ``q_i = 1 / (1 + sum_{j != i} exp(x_j - x_i))`` falls in every other x_j and rises in x_i, so its
extremes on the box are ``p_i exp(+-h_i) / (p_i exp(+-h_i) + sum_{j != i} p_j exp(-+h_j))``. Where half of
the range is less than the first-order error, the range alone is the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement

import torch
from torch import Tensor

from glocert.elementary import Enclosed, exp, exp_of
from glocert.forms.form import Form
from glocert.forms.ops.registry import Site, Transfer, transfer
from glocert.graph.ir import Node
from glocert.rounding import TINY, UNIT, UP, dot

_LARGE = 300.0
"""Half-width from which a coordinate's range says nothing."""


@transfer("Softmax", double=True)
def softmax(node: Node, site: Site) -> Transfer:
    """``exp(x_i) / sum_j exp(x_j)`` along ``axis``."""
    shape = site.shape(node.inputs[0])
    axis = int(node.number("axis")) % len(shape)
    along = Along(axis - len(shape), shape[axis])
    return lambda *inputs: along(inputs[0])


@dataclass(frozen=True, slots=True)
class Moves:
    """How far the inputs are from the centre, less a common move; names as in the module's text.

    Attributes:
        slopes: t.
        error: bound on |e|.
        half: bound on ``|d| = |t u + e|``.
    """

    slopes: Tensor
    error: Tensor
    half: Tensor


@dataclass(frozen=True, slots=True)
class Centred:
    """How far the inputs are from their mean under p, ``D = c u + n``.

    Attributes:
        slopes: c.
        miss: bound on what n holds of the slopes, by rounding.
        error: bound on |n|.
        swing: bound on ``|c u|``.
    """

    slopes: Tensor
    miss: Tensor
    error: Tensor
    swing: Tensor


@dataclass(frozen=True, slots=True)
class Spread:
    """Bounds for all points of the box: P, B and V."""

    most: Tensor
    far: Tensor
    variance: Tensor


@dataclass(frozen=True, slots=True)
class Along:
    """Softmax along a (negative) axis of a certain size."""

    axis: int
    size: int

    def __call__(self, x: Form) -> Form:
        """Return the form of the softmax."""
        share = self._shares(x.centre)
        moves = self._moves(x, share)
        low, high = self._range(share, moves)
        centred = self._centred(share, moves)
        slopes, linear = self._linear(share, moves, centred)
        shift, bend = self._remainder(share, centred, self._spread(low, high, moves))
        error = (linear + bend + share.error + share.value * (8 * UNIT)) * UP + TINY
        flat = (high - low) * (0.5 * UP) + 2 * UNIT * high + TINY
        known = torch.isfinite(x.reach()).all(self.axis, keepdim=True).expand_as(error)
        first = error <= flat
        centre = torch.where(first, share.value + shift, (low + high) * 0.5)
        error = torch.where(known, torch.where(first, error, flat), torch.inf)
        return Form(torch.where(known, centre, 0.0), torch.where(known & first, slopes, 0.0), error)

    def _sum(self, x: Tensor) -> Tensor:
        return x.sum(self.axis, keepdim=True)

    def _all(self, x: Tensor) -> Tensor:
        """Return an upper bound of a sum of non-negative numbers."""
        return self._sum(x) * (1 + dot(self.size + 8))

    def _others(self, x: Tensor) -> Tensor:
        """Return an upper bound of the sum of all other non-negative numbers, for each."""
        total = self._sum(x)
        return (total - x).clamp(min=0) + total * dot(self.size + 8)

    def _shares(self, centre: Tensor) -> Enclosed:
        """Return p."""
        below = centre - centre.amax(self.axis, keepdim=True)
        e = exp_of(Enclosed(below, below.abs() * (2 * UNIT) + TINY))
        total = self._sum(e.value)
        return e / Enclosed(total, self._all(e.errors()) + total * dot(self.size))

    def _moves(self, x: Form, share: Enclosed) -> Moves:
        mean = self._sum(share.value * x.slopes)
        slopes = x.slopes - mean
        rounded = (x.slopes.abs() + mean.abs()).sum(0) * (4 * UNIT) + TINY
        error = (x.error + rounded) * UP
        return Moves(slopes, error, (slopes.abs().sum(0) * (1 + len(slopes) * (UP - 1)) + error) * UP)

    def _centred(self, share: Enclosed, moves: Moves) -> Centred:
        """Return D; ``E_p t`` is off by ``miss``, and c has one rounding."""
        p, t, size = share.value, moves.slopes, moves.slopes.abs()
        mean = self._sum(p * t)
        miss = self._all((share.error + p * dot(self.size + 4)) * size) + TINY
        lift = 1 + len(t) * (UP - 1)
        off = (miss + (size + mean.abs()) * (4 * UNIT)).sum(0) * lift
        error = (moves.error + self._all(share.high() * moves.error) + off) * UP
        slopes = t - mean
        return Centred(slopes, off, error, slopes.abs().sum(0) * lift)

    def _linear(self, share: Enclosed, moves: Moves, centred: Centred) -> tuple[Tensor, Tensor]:
        """Return the slopes, and the error of the first order: of p, of c, of the product, and e."""
        most, least = share.high(), share.low().clamp(min=0)
        wrong = share.error * centred.swing + most * (centred.miss + centred.swing * (4 * UNIT))
        passed = most * ((1 - least) * moves.error + self._others(most * moves.error))
        return share.value * centred.slopes, (wrong + passed) * UP + TINY

    def _range(self, share: Enclosed, moves: Moves) -> tuple[Tensor, Tensor]:
        """Return L and P."""
        half = moves.half.clamp(max=_LARGE)
        loose = ~(moves.half <= _LARGE)
        most, least = share.high(), share.low().clamp(min=0)
        up = (most * exp(half).high()).masked_fill(loose, torch.inf) * UP
        down = (least * exp(-half).low().clamp(min=0)).masked_fill(loose, 0.0) * (1 - 16 * UNIT)
        total = self._sum(down)
        rest = (total - down - total * dot(self.size + 8)).clamp(min=0)
        high = (up / (up + rest) * UP).nan_to_num(1.0).clamp(max=1.0)
        low = down / (down + self._others(up)) * (1 - 16 * UNIT)
        return low.nan_to_num(0.0), high

    def _spread(self, low: Tensor, high: Tensor, moves: Moves) -> Spread:
        h = moves.half
        largest = h.amax(self.axis, keepdim=True)
        room = (1 - low) * UP
        far = (room * h + torch.minimum(self._others(high * h), room * largest)) * UP
        return Spread(high, far, torch.minimum(self._all(high * (h * h)), largest * largest) * UP)

    def _remainder(self, share: Enclosed, centred: Centred, spread: Spread) -> tuple[Tensor, Tensor]:
        """Return the middle of the interval of R and a bound on the distance to its ends."""
        high, far, variance = spread.most, spread.far, spread.variance
        above, below = high * far * far * (0.25 * UP), high * variance * (0.25 * UP)
        simple = (above + below) * UP + TINY
        shift, bend = self._second(share, centred)
        skew = far.amax(self.axis, keepdim=True) * variance
        refined = (bend + high * (far * far * far + 3 * far * variance + skew) / 6) * UP + TINY
        better = refined <= simple
        return torch.where(better, shift, above - below), torch.where(better, refined, simple)

    def _second(self, share: Enclosed, centred: Centred) -> tuple[Tensor, Tensor]:
        """Return the middle of the interval of H and a bound on the distance to its ends.

        The coefficients of H are sums of products, rounded like those of the mean, with p off by its error.
        """
        p, most, c = share.value, share.high(), centred.slopes
        shift, bend = torch.zeros_like(p), torch.zeros_like(p)
        for a, b in combinations_with_replacement(range(len(c)), 2):
            both = c[a] * c[b]
            curved = both - self._sum(p * both)
            shift = shift + curved * (0.25 if a == b else 0.0)
            bend = bend + curved.abs() * (0.25 if a == b else 1.0)
        square = centred.swing * centred.swing
        spill = (2 * centred.swing + centred.error) * centred.error
        rough = (p * dot(self.size + 16 + len(c) ** 2) + share.error) * (square + self._all(most * square))
        rough = rough + most * self._all(share.error * square)
        return p * shift, (p * bend + most * (spill + self._all(most * spill)) * 0.5 + rough) * UP + TINY
