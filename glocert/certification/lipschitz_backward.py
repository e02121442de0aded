"""Radii by substituting backwards: the lines through a network that hold on the ball around one input.

The member of the portfolio for networks that no constant fits: its bounds are about one ball and about the
norm that was asked for. A trial radius is proven as a whole, or as far as the lines that were found on it
reach.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.certification.lipschitz_scores import in_l2
from glocert.errors import UnsupportedOperators
from glocert.forms.backward import Reversal
from glocert.forms.backward import prepare as prepare_reversal
from glocert.forms.ball import Ball, behind_clamp
from glocert.forms.enclosure import Ranges, enclosed, lowest
from glocert.forms.program import prepare
from glocert.forms.ranges import Range
from glocert.graph.ir import Graph
from glocert.lipschitz.execution import SINGLE, Ledger
from glocert.lipschitz.local import LocalNetwork
from glocert.rounding import grow
from glocert.spec import Arithmetic
from glocert.spec_lipschitz import Distance, Execution, LipschitzSpec

_TRIALS = 8
_CLOSE = 0.02
_BEYOND = 1 + 2.0**-20
"""a trial at an epsilon goes a little further: certified means that the radius exceeds it"""
_MEMORY = 2**26
_MOST_RIVALS = 64
"""functionals of one block"""


@dataclass(frozen=True, slots=True, eq=False)
class Backward:
    """A network prepared for backward bounds over balls.

    Attributes:
        reversal: of what follows the clamp.
        box: ends of the clamp.
        local: encloses activations besides; ``None`` where it cannot.
        ledger: what float32 may do to these enclosures.
        spec: what is asked.
    """

    reversal: Reversal
    box: tuple[float, float]
    local: LocalNetwork | None
    ledger: Ledger
    spec: LipschitzSpec

    @classmethod
    def of(
        cls, network: Graph, ledger: Ledger, local: LocalNetwork | None, spec: LipschitzSpec
    ) -> Backward | None:
        """Prepare a network; ``None`` where a node cannot be bounded in the arithmetic that is asked for."""
        graph, low, high = behind_clamp(network)
        arithmetic = Arithmetic.REAL if spec.arithmetic is Execution.REAL else Arithmetic.FLOAT32
        try:
            program = prepare(graph, arithmetic=arithmetic)
        except UnsupportedOperators:
            return None
        return cls(prepare_reversal(program), (low, high), local, ledger, spec)

    def improve(self, x: Tensor, label: Tensor, begin: Tensor, *, seconds: float) -> Tensor:
        """Return radii in the norm of the request that are not below those to begin with; shape (N,).

        Inputs that reach the largest epsilon already are left alone.

        Args:
            x: float64, shape (N, *input shape).
            label: int64, shape (N,): classes that should win.
            begin: float64, shape (N,): radii that are known.
            seconds: for all of them; no trial begins when the share of a block is spent.
        """
        stop, found = time.monotonic() + seconds, begin.clone()
        rows = (begin <= max(self.spec.epsilons)).nonzero().flatten()
        blocks = torch.split(rows, self.reversal.rows(_MEMORY, 0)) if len(rows) else ()
        for place, block in enumerate(blocks):
            now = time.monotonic()
            share = now + max(stop - now, 0.0) / (len(blocks) - place)
            found[block] = self._searched(x[block], label[block], begin[block], share)
        return found

    def _searched(self, x: Tensor, label: Tensor, begin: Tensor, stop: float) -> Tensor:
        """Try the epsilons in turn, then halve what is between proven and failed."""
        low, high = begin.clone(), torch.full_like(begin, torch.inf)
        for _ in range(_TRIALS):
            trial = _trials(self.spec.epsilons, low, high)
            open_ = (torch.isfinite(trial) & (high > low * (1 + _CLOSE))).nonzero().flatten()
            if not len(open_) or time.monotonic() > stop:
                break
            here = trial[open_]
            reached = self.reached(x[open_], label[open_], here, stop)
            low[open_] = torch.maximum(low[open_], reached)
            high[open_] = torch.where(reached < here, here, high[open_])
        return low

    def reached(self, x: Tensor, label: Tensor, trial: Tensor, stop: float = math.inf) -> Tensor:
        """Return how much of a trial radius is proven; shape (N,).

        Args:
            x: float64, shape (N, *input shape).
            label: int64, shape (N,).
            trial: float64, shape (N,), > 0, in the norm of the request.
            stop: when the monotonic clock shows it, activations are bounded forward only.
        """
        centre = x.clamp(*self.box).reshape(-1, *self.reversal.program.graph.input_shape)
        ball = Ball(centre, trial, self.spec.norm, *self.box)
        tape = enclosed(self.reversal, ball, self._known(x, trial), stop)
        classes, proven = tape.scores.centre.shape[1], trial.clone()
        for places in torch.split(torch.arange(classes - 1), _MOST_RIVALS):
            weights = _leads(label, places, classes)
            found = lowest(self.reversal, tape, ball, weights).reached(trial)
            proven = torch.minimum(proven, found)
        return proven

    def _known(self, x: Tensor, trial: Tensor) -> Ranges:
        """Return what balls and boxes say of activations; executions in float32 may be off by their drift."""
        if self.local is None or self.spec.norm is Distance.LINF:
            return {}
        found = self.local.boxes(x, in_l2(1.0, self.spec.norm, x[0].numel()) * trial)
        if self.spec.arithmetic is Execution.REAL:
            return {name: Range(low, high) for name, (low, high) in found.items()}
        norms = (x.flatten(1).norm(dim=1) * grow(x[0].numel()) + trial) * grow(2)
        drifts = self.ledger.drifts(norms, SINGLE)
        return {name: _widened(*ends, drifts[name]) for name, ends in found.items()}


def _trials(epsilons: Sequence[float], low: Tensor, high: Tensor) -> Tensor:
    """Return the next trial of every row, infinite where there is none."""
    asked = torch.tensor(sorted(epsilons), dtype=low.dtype) * _BEYOND
    between = (asked[None] > low[:, None]) & (asked[None] < high[:, None])
    nearest = torch.where(between, asked[None], torch.inf).amin(dim=1)
    halfway = torch.where(torch.isfinite(high), (low + high) / 2, torch.inf)
    return torch.where(torch.isfinite(nearest), nearest, halfway)


def _leads(label: Tensor, places: Tensor, classes: int) -> Tensor:
    """Return the weights of ``score of the label - score of another class``, (rows, places, classes)."""
    others = places[None] + (places[None] >= label[:, None]).long()
    weights = torch.zeros(len(label), len(places), classes, dtype=torch.float64)
    weights.scatter_(2, others[:, :, None], -1.0)
    return weights.scatter_(2, label[:, None, None].expand(-1, len(places), 1), 1.0)


def _widened(low: Tensor, high: Tensor, drift: Tensor) -> Range:
    off = drift.reshape(-1, *[1] * (low.dim() - 1)) * grow(4)
    return Range(low - off - low.abs() * 2.0**-50, high + off + high.abs() * 2.0**-50)
