"""Radii from what can happen inside the ball around one input, instead of anywhere.

For a trial radius r, every tensor of a chain is enclosed over the ball in two ways at once: by a ball, its
change being at most ``rho`` in the l2 norm, and by a box. An affine map sends a ball of radius rho to
changes of at most ``|A_i| rho`` of each number, A_i being its rows, and a box to a box; the intersection
holds. A rectifier whose input stays at or below zero all over the ball is constant: its row and its column
play no part, and the norm of what is left of a matrix is proven as that of the whole. The label holds on
the ball where every lead exceeds what the last map can make of ball or box. Every enclosure is about exact
numbers: what float64 loses on the way is added.

Trial radii are found by bisection, and each that is reported was proven itself; nothing is read off an
assumption that success is monotone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.graph.ir import Graph
from glocert.lipschitz.execution import Ledger
from glocert.lipschitz.local_steps import Ball, Last, Link, links
from glocert.rounding import UNIT, grow

Slack = Callable[[Tensor], Tensor]
"""Distances -> how far score differences may be off for inputs that are so far away at most."""

_TRIALS = 12
_CLOSE = 0.01
_LARGEST = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class LocalNetwork:
    """A network prepared for enclosures.

    Attributes:
        graph: the network.
        links: its parts in front of the last affine one.
        last: the last affine part.
        ledger: bounds what float64 loses at every tensor.
    """

    graph: Graph
    links: tuple[Link, ...]
    last: Last
    ledger: Ledger

    @classmethod
    def of(cls, graph: Graph, ledger: Ledger) -> LocalNetwork | None:
        """Prepare a network; ``None`` where it does not end with an affine part, or rounding is not known."""
        if any(step.roundings < 0 for step in ledger.steps):
            return None
        found = links(graph)
        return None if found is None else cls(graph, *found, ledger)

    def improve(
        self, x: Tensor, scores: Tensor, begin: Tensor, slack: Slack, *, seconds: float = 60.0
    ) -> Tensor:
        """Return radii that are not below those to begin with; shape (N,).

        Args:
            x: float64, shape (N, *input shape).
            scores: float64, shape (N, classes).
            begin: float64, shape (N,): radii that are known; zero and infinite ones are left alone.
            slack: how far score differences may be off.
            seconds: no trial begins after so long.
        """
        stop = time.monotonic() + seconds
        rows = ((begin > 0) & torch.isfinite(begin)).nonzero().flatten()
        found = begin.clone()
        low, high = begin[rows].clone(), torch.full((len(rows),), torch.inf, dtype=torch.float64)
        for _ in range(_TRIALS):
            open_ = ((high > low * (1 + _CLOSE)) & (low < _LARGEST)).nonzero().flatten()
            if not len(open_) or time.monotonic() > stop:
                break
            trial = torch.where(high[open_].isfinite(), (low[open_] + high[open_]) / 2, low[open_] * 1.5)
            each, far = rows[open_], torch.zeros_like(begin)
            far[each] = trial
            reached = self.reached(x[each], scores[each], trial, slack(far)[each])
            low[open_] = torch.maximum(low[open_], reached)
            high[open_] = torch.where(reached < trial, trial, high[open_])
        found[rows] = torch.maximum(found[rows], low)
        return found

    def reached(self, x: Tensor, scores: Tensor, trial: Tensor, slack: Tensor) -> Tensor:
        """Return how much of a trial radius is proven; shape (N,).

        Args:
            x: float64, shape (N, *input shape).
            scores: float64, shape (N, classes).
            trial: float64, shape (N,), > 0.
            slack: shape (N,): how far score differences may be off.
        """
        ball = Ball.around(x, trial, self._drifts(x))
        for link in self.links:
            ball = link.through(ball)
        label = scores.argmax(dim=1)
        far, box = self.last.changes(ball, label)
        top = scores.gather(1, label[:, None])
        lead = top - scores - 4 * UNIT * (top.abs() + scores.abs()) - slack[:, None]
        lead = lead.scatter(1, label[:, None], torch.inf)
        share = lead / far.clamp_min(1e-300) * (1 - 8 * UNIT)
        steps = torch.where((lead > far) | (box > slack[:, None]), 1.0, share.clamp(0.0, 1.0))
        worst = torch.where(torch.isnan(steps), 0.0, steps).amin(dim=1)
        return worst * trial * (1 - 4 * UNIT)

    def boxes(self, x: Tensor, radius: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Return the ends of boxes that tensors stay in, in exact numbers, by their names.

        Args:
            x: float64, shape (N, *input shape).
            radius: float64, shape (N,), > 0, l2.
        """
        found: dict[str, tuple[Tensor, Tensor]] = {}
        ball = Ball.around(x, radius, self._drifts(x))
        for link in self.links:
            stages = link.stages(ball)
            found |= {name: (stage.lower, stage.upper) for name, stage in stages}
            ball = stages[-1][1]
        return found

    def _drifts(self, x: Tensor) -> dict[str, Tensor]:
        """Return bounds on the l2 error of computing every tensor at the input itself."""
        return self.ledger.drifts(x.flatten(1).norm(dim=1) * grow(x[0].numel()), UNIT)
