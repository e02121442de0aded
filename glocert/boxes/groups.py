"""ANDs of inequalities on rows: which cannot hold as a whole, which hold everywhere.

A group cannot hold where one of its inequalities fails everywhere, and neither where a sum ``sum_i w_i g_i``
with weights ``w >= 0`` is proven to be positive everywhere: were all ``g_i <= 0``, so were the sum. Any
weights are sound. They are searched for by the multiplicative rule for zero-sum games: the box answers with
the point at which the sum is smallest, and inequalities that are large there gain weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.boxes.shares import positive
from glocert.boxes.unsafe import Unsafe
from glocert.forms.form import Form
from glocert.rounding import TINY, dot, grow

if TYPE_CHECKING:
    from glocert.boxes.bounds import Bounds

Float64 = NDArray[np.float64]

_STEPS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The groups of an unsafe set.

    Attributes:
        members: shape (groups, longest), positions of inequalities; the first is repeated to the full length,
            which changes neither what a group means nor what its weighted sums can prove.
        strict: shape (inequalities,).
        many: positions of groups of more than one inequality.
    """

    members: Tensor
    strict: Tensor
    many: Tensor

    @classmethod
    def of(cls, unsafe: Unsafe, device: torch.device) -> Groups:
        """Load the groups."""
        longest = max(len(group) for group in unsafe.groups)
        rows = [[*group, *[group[0]] * (longest - len(group))] for group in unsafe.groups]
        many = [position for position, group in enumerate(unsafe.groups) if len(set(group)) > 1]
        strict = [inequality.strict for inequality in unsafe.inequalities]
        return cls(
            torch.tensor(rows, device=device),
            torch.tensor(strict, device=device),
            torch.tensor(many, dtype=torch.long, device=device),
        )

    def reached(self, high: Tensor) -> Tensor:
        """Return which groups hold everywhere, shape (rows, groups), from upper bounds."""
        held = torch.where(self.strict, high < 0, high <= 0)
        return held[:, self.members].all(2)

    def excluded(self, found: Form, low: Tensor) -> Tensor:
        """Return which groups hold nowhere, shape (rows, groups).

        Args:
            found: left-hand sides, shape (rows, inequalities).
            low: their lower bounds.
        """
        fails = torch.where(self.strict, low >= 0, low > 0)
        excluded = fails[:, self.members].any(2)
        if len(self.many):
            left, which = (~excluded[:, self.many]).nonzero(as_tuple=True)
            which = self.many[which]
            excluded[left, which] = self._impossible(found, left, which)
        return excluded

    def depth(self, found: Bounds) -> Tensor:
        """Return how far inside the unsafe set points are proven to be, shape (rows,)."""
        return -found.high[:, self.members].amax(2).amin(1)

    def shares(self, found: Bounds) -> tuple[Float64, Float64]:
        """Return proven shares of each row that are safe and violated, shape (rows,), for k <= 3.

        A group fails where one of its inequalities does, so at least on the largest of their shares; all fail
        on at least one less the sum of what is missing of each. The violated share likewise.
        """
        slopes = found.slopes.flatten(1).cpu().numpy()
        centre, error = (x.flatten().cpu().numpy() for x in (found.centre, found.error))
        shape, members = found.centre.shape, self.members.cpu().numpy()
        fails = positive(centre, slopes, error).reshape(shape)[:, members].max(2)
        holds = positive(-centre, -slopes, error).reshape(shape)
        fails = np.where(found.excluded.cpu().numpy(), 1.0, fails)
        safe = 1.0 - (1.0 - fails).sum(1) * (1 + fails.shape[1] * 2.0**-50) - 2.0**-50
        return np.clip(safe, 0.0, 1.0), self._violated(holds)

    def _violated(self, holds: Float64) -> Float64:
        """Return the largest share on which all inequalities of one group hold."""
        shares = [
            1.0 - (1.0 - holds[:, list(dict.fromkeys(group))]).sum(1) * (1 + len(group) * 2.0**-50) - 2.0**-50
            for group in self.members.tolist()
        ]
        return np.asarray(np.clip(np.max(shares, 0), 0.0, 1.0))

    def _impossible(self, found: Form, rows: Tensor, groups: Tensor) -> Tensor:
        """Return where a weighted sum is positive everywhere; one entry per pair of row and group."""
        members = self.members[groups]
        lines, error = found.lines()[:, rows[:, None], members], found.error[rows[:, None], members]
        weights = torch.full_like(error, 1 / error.shape[1])
        proven = torch.zeros(len(rows), dtype=torch.bool, device=error.device)
        for _ in range(_STEPS if len(rows) else 0):
            total = weighted(lines, error, weights)
            proven |= total.bounds()[0] > 0
            weights = _reweighted(lines, error, weights, total)
        return proven


def weighted(lines: Tensor, error: Tensor, weights: Tensor) -> Form:
    """Return ``sum_i w_i g_i`` as a form, shape (rows,).

    Args:
        lines: of g, shape (1 + slopes, rows, inequalities).
        error: of g, shape (rows, inequalities).
        weights: >= 0, same shape; taken as they are stored.
    """
    terms = weights.shape[1]
    magnitude = lines.abs().sum(0) * grow(len(lines))
    total = (weights * (error + magnitude * dot(terms))).sum(1)
    return Form.of((lines * weights).sum(-1), total * grow(terms) + TINY)


def _reweighted(lines: Tensor, error: Tensor, weights: Tensor, total: Form) -> Tensor:
    """Shift weight to the inequalities that are largest where the sum is smallest."""
    corner = -total.slopes.sign()
    values = lines[0] + (lines[1:] * corner[..., None]).sum(0) - error
    values = values.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    scale = values.abs().amax(1, keepdim=True).clamp(min=1e-300)
    weights = weights * torch.exp(values / scale)
    return weights / weights.sum(1, keepdim=True)
