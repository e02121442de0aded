"""What the form domain proves about the left-hand sides of inequalities on boxes of parameters.

This is the one place where the search asks a domain; a tighter one has to return the same ``Bounds``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.boxes import symbols
from glocert.boxes.boxes import Boxes
from glocert.boxes.groups import Groups
from glocert.boxes.symbols import Naming
from glocert.boxes.unsafe import Functionals
from glocert.forms.form import Form
from glocert.forms.program import Program
from glocert.paths.path import Loaded
from glocert.rounding import CHARGE, TINY


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """``| g_i(u) - (centre_i + slopes_i . u) | <= error_i`` on each row, with what follows for the groups.

    Attributes:
        centre: float64, shape (rows, inequalities).
        slopes: shape (k, rows, inequalities).
        error: shape (rows, inequalities), >= 0, infinite where nothing is known.
        influence: how much of the range each parameter is behind, an estimate; shape of the slopes.
        scale: size of the numbers that g is a sum of, an estimate; same shape.
        low: proven lower bounds of g, same shape; -inf where nothing is known.
        high: proven upper bounds.
        excluded: shape (rows, groups): no point of the box satisfies the whole group.
        reached: shape (rows, groups): every point does.
    """

    centre: Tensor
    slopes: Tensor
    error: Tensor
    influence: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor
    excluded: Tensor
    reached: Tensor

    @property
    def safe(self) -> Tensor:
        """Rows without an unsafe point, shape (rows,)."""
        return self.excluded.all(1)

    @property
    def violated(self) -> Tensor:
        """Rows with unsafe points only, shape (rows,)."""
        return self.reached.any(1)

    def take(self, rows: Tensor) -> Bounds:
        """Return some rows."""
        return Bounds(
            self.centre[rows], self.slopes[:, rows], self.error[rows], self.influence[:, rows],
            self.scale[rows], self.low[rows], self.high[rows], self.excluded[rows], self.reached[rows],
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Bounding:
    """Everything that is needed to bound inequalities on boxes.

    Attributes:
        program: the network.
        path: its inputs over [0, 1]^k.
        functionals: left-hand sides of the inequalities.
        groups: how they are combined.
        naming: which errors become slopes of their own.
    """

    program: Program
    path: Loaded
    functionals: Functionals
    groups: Groups
    naming: Naming

    @property
    def named(self) -> int:
        """How many slopes there may be besides those of the parameters."""
        return self.naming.most * len(symbols.bent(self.program))

    def __call__(self, boxes: Boxes) -> Bounds:
        """Bound every inequality on every box."""
        middle, half = (
            torch.as_tensor(array, device=self.program.device) for array in (boxes.middle, boxes.half)
        )
        enclosed = self.path.enclose(middle, half)
        return self._bounds(Form.of(enclosed.lines, enclosed.error), self.naming)

    def points(self, t: Tensor) -> Bounds:
        """Bound every inequality at points, shape (rows, k): only rounding and the path's error are left.

        At a point every u stands for the same t, u = 0 among them, so that the slopes can be left out.
        """
        enclosed = self.path.enclose(t, torch.zeros_like(t))
        return self.at(Form.of(enclosed.lines[:1], enclosed.error))

    def at(self, x: Form) -> Bounds:
        """Bound every inequality at inputs, one per row, known up to an error; slopes do not count."""
        nothing = torch.cat([x.lines()[:1], torch.zeros_like(x.centre)[None]])  # transfers want a slope
        return self._bounds(Form.of(nothing, x.error), Naming())

    def _bounds(self, x: Form, naming: Naming) -> Bounds:
        named = symbols.scores(self.program, x, naming)
        flat = Form.of(x.lines().flatten(2), x.error.flatten(1))
        found = self.functionals(flat, named.form)
        return summary(found, named.origins, self.functionals.scale(flat, named.form), self.groups)


def summary(found: Form, origins: Tensor, scale: Tensor, groups: Groups) -> Bounds:
    """Return what forms of the left-hand sides say about the groups; symbols are folded into the error.

    Args:
        found: shape (rows, inequalities): slopes of k parameters and of symbols.
        origins: of the symbols, shape (k, symbols, rows).
        scale: size of what the left-hand sides are sums of.
        groups: how the inequalities are combined.
    """
    low, high = found.bounds()
    low, high = low.nan_to_num(nan=-torch.inf), high.nan_to_num(nan=torch.inf)
    excluded, reached = groups.excluded(found, low), groups.reached(high)
    lines, parameters = found.lines(), len(origins)
    rest = lines[1 + parameters :].abs()
    error = (found.error + rest.sum(0)) * (1 + (len(lines) + 8) * CHARGE) + TINY
    known = torch.isfinite(found.magnitude() + error)
    centre = torch.where(known, lines[0], 0.0)
    slopes = torch.where(known, lines[1 : 1 + parameters], 0.0)
    behind = slopes.abs() + torch.einsum("ksr,srm->krm", origins, rest).nan_to_num(nan=0.0, posinf=0.0)
    return Bounds(
        centre, slopes, torch.where(known, error, torch.inf), behind, scale, low, high, excluded, reached
    )
