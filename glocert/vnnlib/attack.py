"""Where a property is most likely to be broken: projected gradients. Nothing here proves anything."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.boxes import Bounding
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.vnnlib.grid import Grid

_STEPS = 40
_FIRST, _SHRINK = 0.25, 0.92
_LARGE = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Attack:
    """Descent on the inequalities of one box.

    Attributes:
        graph: the network.
        bounding: the inequalities.
        grid: the box.
        dtype: float64 for small networks.
    """

    graph: Graph
    bounding: Bounding
    grid: Grid
    dtype: torch.dtype

    @classmethod
    def on(cls, bounding: Bounding, grid: Grid) -> Attack:
        """Choose how exactly to compute."""
        program = bounding.program
        return cls(program.graph, bounding, grid, torch.float32 if program.width > _LARGE else torch.float64)

    def levels(self, x: Tensor) -> Tensor:
        """Return how far each group is from holding, shape (n, groups): the largest left-hand side.

        Args:
            x: shape (n, inputs); gradients flow.
        """
        functionals = self.bounding.functionals
        y = run(self.graph, x.to(self.dtype).view(-1, *self.graph.input_shape)).flatten(1)
        both = torch.cat([y, x.to(self.dtype)], 1) if functionals.with_inputs else y
        values = both @ functionals.weights.to(self.dtype) + functionals.constant.to(self.dtype)
        return values[:, self.bounding.groups.members].amax(2)

    def starts(self, count: int, seed: int = 0) -> Tensor:
        """Return points all over the box, shape (count, inputs); the first is its middle."""
        low, high = self._ends()
        generator = torch.Generator().manual_seed(seed)
        share = torch.rand(count, len(low), generator=generator, dtype=self.dtype)
        share[0] = 0.5
        share[1::2] = share[1::2].round()
        return low + share * (high - low)

    def improved(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Walk downhill from points.

        Each point aims at one group, the point's own closest groups in turn.

        Args:
            x: shape (n, inputs).

        Returns:
            (points on the grid, their lowest levels), lowest first.
        """
        low, high = self._ends()
        x = x.to(self.dtype)
        with torch.no_grad():
            order = self.levels(x).argsort(1)
        turns = torch.arange(len(x)) % order.shape[1]
        aims, rows = order[torch.arange(len(x)), turns], torch.arange(len(x))
        best, lowest, step = x, torch.full((len(x),), torch.inf, dtype=self.dtype), _FIRST
        for _ in range(_STEPS):
            x = self.grid.snapped(x).to(self.dtype).requires_grad_()
            levels = self.levels(x)[rows, aims]
            (slope,) = torch.autograd.grad(levels.sum(), x)
            with torch.no_grad():
                better = levels < lowest
                best, lowest = torch.where(better[:, None], x, best), torch.where(better, levels, lowest)
                x = torch.clamp(x - step * (high - low) * slope.sign(), low, high)
            step *= _SHRINK
        return self.ranked(best)

    def ranked(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return points on the grid and their lowest levels, lowest first."""
        x = self.grid.snapped(x)
        with torch.no_grad():
            levels = self.levels(x).amin(1).nan_to_num(nan=torch.inf)
        order = levels.argsort()
        return x[order], levels[order]

    def _ends(self) -> tuple[Tensor, Tensor]:
        low, high = (torch.from_numpy(end).to(self.dtype) for end in (self.grid.lower, self.grid.upper))
        return low, high
