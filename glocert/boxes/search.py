"""Branch and bound over boxes: halves of what is undecided, many at a time.

A box stays among the open ones until its halves have been bounded, so that whatever ends the search, the open
boxes and the decided ones together are all of [0, 1]^k.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from glocert.boxes import shares
from glocert.boxes.bounds import Bounding, Bounds
from glocert.boxes.boxes import Boxes
from glocert.boxes.ledger import Open, Volume
from glocert.boxes.splitting import Outlook, outlook
from glocert.budget import Budget

Float64 = NDArray[np.float64]

_ROWS = 512
_POINTS = 32
_NEAREST = 16
_RELATIVE = 1e-6
_NARROW = 2.0**-12
_NUMB = 8.0


@dataclass(slots=True, eq=False)
class Search:
    """The search on one [0, 1]^k.

    Attributes:
        bounding: what bounds the inequalities.
        dimensions: k.
        budget: limits, checked between rounds.
        measuring: whether the volume is asked for: the largest open boxes come first, and shares of them
            count. Otherwise the search goes deep first, which keeps the open boxes few.
        pieces: boxes bounded.
        safe: volume of the boxes that are proven safe.
        violated: volume of the boxes that are proven to be violated everywhere.
        open: boxes that may be halved.
        stuck: boxes that cannot or need not be halved, by reason.
        kept: boxes decided, where ``keep``: (safe, violated).
        witnesses: t of proven violations, and how far the critical inequality is below zero there.
        keep: whether decided boxes are kept.
        nearest: whether the boxes next to the corner 0 come first.
    """

    bounding: Bounding
    dimensions: int
    budget: Budget
    measuring: bool = True
    keep: bool = False
    nearest: bool = False
    pieces: int = 0
    safe: Volume = field(default_factory=Volume)
    violated: Volume = field(default_factory=Volume)
    open: list[Open] = field(default_factory=list)
    stuck: list[tuple[str, Open]] = field(default_factory=list)
    kept: tuple[list[Boxes], list[Boxes]] = field(default_factory=lambda: ([], []))
    witnesses: list[tuple[float, tuple[float, ...]]] = field(default_factory=list)

    def run(self, enough: Callable[[], bool], suspects: Callable[[Float64], None] | None = None) -> None:
        """Look at boxes until ``enough``, nothing is open or a limit is met.

        May be called again to go on.

        Args:
            enough: asked after every round.
            suspects: is given the points at which a violation is most likely, shape (n, k), of every round;
                by default they are bounded here and become witnesses.
        """
        look = suspects or self.probe
        if not self.pieces:
            self._bound(Boxes.whole(self.dimensions), look)
        while len(self) and not self.exhausted and not enough():
            chosen = self._chosen()
            self._bound(chosen.boxes.halves(chosen.axis), look)

    def __len__(self) -> int:
        return sum(map(len, self.open))

    @property
    def exhausted(self) -> bool:
        """Whether a limit of the budget is met."""
        return self.budget.out_of_time or self.pieces >= self.budget.pieces

    @property
    def broken(self) -> bool:
        """Whether a violation is proven."""
        return bool(self.violated.counts) or bool(self.witnesses)

    def frontier(self) -> tuple[float, float]:
        """Return (s, width): [0, s]^k is proven to be safe, and an open box of that width ends it.

        A box meets the inside of [0, s]^k where s exceeds the largest of its lower ends. What [0, s]^k holds
        of other boxes lies on its border, and is the limit of points of safe boxes, which are closed.
        """
        others = [(part.boxes, True) for part in self.open] + [(boxes, False) for boxes in self.kept[1]]
        others += [(part.boxes, False) for _, part in self.stuck]
        found = (1.0, 0.0)
        for boxes, is_open in others:
            if len(boxes):
                ends = boxes.lower.max(1)
                row = int(ends.argmin())
                width = 2 * float(boxes.half[row].max()) if is_open else 0.0
                found = min(found, (float(ends[row]), width))
        return found

    def undecided(self) -> float:
        """Return the volume about which nothing is proven, up to rounding."""
        rest = [*self.open, *(part for _, part in self.stuck)]
        return sum(float(part.undecided.sum()) for part in rest)

    def volumes(self) -> tuple[Fraction, Fraction]:
        """Return proven lower bounds of the safe and of the violated volume."""
        safe, violated = self.safe.exact, self.violated.exact
        for part in (*self.open, *(part for _, part in self.stuck)):
            more, less = part.sums()
            safe, violated = safe + more, violated + less
        return safe, violated

    def _rows(self) -> int:
        """Return how many boxes are bounded at once."""
        slopes = self.dimensions + self.bounding.named
        return min(_ROWS, max(2, self.bounding.program.rows(self.budget.block_bytes, slopes)))

    def _chosen(self) -> Open:
        """Take the boxes to be halved from the open ones."""
        every, most = Open.joined(self.open), self._rows() // 2
        most = min(most, _NEAREST) if self.nearest else most
        if len(every) <= most:
            self.open = []
            return every
        if not self.measuring:
            self.open = [every.take(slice(0, len(every) - most))]
            return every.take(slice(len(every) - most, None))
        order = np.argpartition(every.boxes.lower.max(1) if self.nearest else -every.undecided, most)
        self.open = [every.take(order[most:])]
        return every.take(order[:most])

    def _bound(self, boxes: Boxes, look: Callable[[Float64], None]) -> None:
        """Bound boxes and sort them into decided, open and stuck ones."""
        self.pieces += len(boxes)
        found = self.bounding(boxes)
        safe, violated = found.safe.cpu().numpy(), (found.violated & ~found.safe).cpu().numpy()
        self._count(boxes.take(safe), boxes.take(violated))
        self._witness(boxes.take(violated).middle)
        rest = ~safe & ~violated
        if not rest.any():
            return
        left, known = boxes.take(rest), found.take(torch.from_numpy(rest).to(found.low.device))
        seen = outlook(left, known, self.bounding.groups)
        order = np.argsort(-seen.level, kind="stable")
        look(seen.corner[order[::-1][:_POINTS]])
        self._sort_out(left, known, seen, order)

    def _count(self, safe: Boxes, violated: Boxes) -> None:
        self.safe.add(safe)
        self.violated.add(violated)
        if self.keep:
            self.kept[0].append(safe)
            self.kept[1].append(violated)

    def _witness(self, t: Float64) -> None:
        """Take points that are proven to be violated; those of the first rounds suffice."""
        if len(t) and len(self.witnesses) < _POINTS:
            self.probe(t[:_POINTS])

    def probe(self, t: Float64) -> None:
        """Bound points and keep those that are proven to be violated; none are looked at once enough are."""
        if not len(t) or len(self.witnesses) >= _POINTS:
            return
        found = self.bounding.points(
            torch.from_numpy(np.ascontiguousarray(t)).to(self.bounding.program.device)
        )
        depth = self.bounding.groups.depth(found)
        for row in found.violated.nonzero().flatten().tolist():
            self.witnesses.append((float(depth[row]), tuple(t[row].tolist())))

    def _sort_out(self, left: Boxes, known: Bounds, seen: Outlook, order: NDArray[np.intp]) -> None:
        """Put undecided boxes back, the likeliest to be violated last, or give them up."""
        safe, violated = self._shares(known)
        rows = Open(left, seen.axis, safe, violated)
        reasons = self._reasons(left, seen)
        for reason in set(reasons) - {""}:
            self.stuck.append((reason, rows.take(np.array([found == reason for found in reasons]))))
        keep = np.array([not reasons[row] for row in order], bool)
        if keep.any():
            self.open.append(rows.take(order[keep]))

    def _shares(self, known: Bounds) -> tuple[Float64, Float64]:
        if self.measuring and self.dimensions <= shares.MOST_PARAMETERS:
            return self.bounding.groups.shares(known)
        nothing = np.zeros(len(known.low))
        return nothing, nothing

    def _reasons(self, left: Boxes, seen: Outlook) -> list[str]:
        """Say why boxes are given up; empty for those that are not.

        Halving does not help where the point in the middle is undecided as well and the range of the box is
        hardly wider than what rounding makes of the point.
        """
        reasons = [""] * len(left)
        small = left.half.max(1) <= _NARROW
        if self.measuring:  # rounding is in the error of a box as well
            small |= np.isfinite(seen.width) & (seen.error * _NUMB >= seen.width)
        rows = np.flatnonzero(small | (seen.axis < 0))
        if not len(rows):
            return reasons
        middles = torch.from_numpy(left.middle[rows]).to(self.bounding.program.device)
        points = self.bounding.points(middles)
        undecided = ~(points.safe | points.violated)
        error = points.error.amax(1)
        relative = (points.error / points.scale).amax(1)
        numb = undecided & ~(torch.from_numpy(seen.width[rows]).to(error.device) > _NUMB * error)
        for row, is_numb, noise in zip(rows.tolist(), numb.tolist(), relative.tolist(), strict=True):
            if is_numb or seen.axis[row] < 0:
                reasons[row] = _reason(noise)
        return reasons


def _reason(noise: float) -> str:
    """Say why a point is undecided whose inequalities are known up to so much of their terms."""
    if not math.isfinite(noise):
        return "non-finite"
    return "tie" if noise <= _RELATIVE else "numeric"
