"""The answer to a VNN-LIB property: an attack first, then branch and bound with further attacks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from glocert.boxes import Bounding, Naming, Search, bounding_of
from glocert.boxes.boxes import Boxes
from glocert.boxes.symbols import bent
from glocert.budget import Budget
from glocert.graph.families import COUPLED, is_bilinear
from glocert.vnnlib.attack import Attack
from glocert.vnnlib.grid import Grid
from glocert.vnnlib.network import Network
from glocert.vnnlib.reader import Property, Region
from glocert.vnnlib.region import RegionPath
from glocert.vnnlib.witness import Witness, confirmed

Float64 = NDArray[np.float64]

_STARTS = 36
_TRIED = 8
_SMALL = 4096
"""Networks with no more numbers alive than this are bounded on many boxes, with few symbols."""

_FEW = Naming(16, 0.9)
_MANY, _SHARE = 384, 0.99
_NUMBERS = 2**28
"""How many numbers all symbols of one row may hold."""

_ATTACKS = 4
_WIDE = 64
"""With more inputs than this, halving one of them changes too little: the box is bounded once."""


class Result(StrEnum):
    """The words of the competition."""

    SAT = "sat"
    UNSAT = "unsat"
    UNKNOWN = "unknown"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known about a property.

    Attributes:
        result: ``unsat`` is proven over the reals; ``sat`` has a confirmed witness.
        witness: for ``sat``.
        reason: why ``unknown``, one sentence.
        boxes: how many boxes were bounded.
    """

    result: Result
    witness: Witness | None = None
    reason: str = ""
    boxes: int = 0

    def text(self) -> str:
        """Return the result file of the competition."""
        return f"{self.result.value}\n" + (f"{self.witness.text()}\n" if self.witness else "")


def decide(network: Network, question: Property, budget: Budget) -> Answer:
    """Answer a property.

    Args:
        network: it must have as many inputs and outputs as the property.
        question: boxes of inputs with what must not happen in them.
        budget: time, boxes and memory of all boxes together.

    Raises:
        InvalidSpec: the property does not fit the network, or its numbers float64.
    """
    network.check(question)
    hunts = [_Hunt.of(network, region) for region in question.regions]
    boxes, open_reason = 0, ""
    for work in (_Hunt.attack, _Hunt.search):
        for hunt in hunts:
            work(hunt, budget)
            if hunt.witness is not None:
                return Answer(Result.SAT, hunt.witness, "", sum(one.boxes for one in hunts))
    boxes = sum(hunt.boxes for hunt in hunts)
    open_reason = next((hunt.reason for hunt in hunts if hunt.reason), "")
    if not open_reason:
        return Answer(Result.UNSAT, boxes=boxes)
    late = budget.out_of_time
    return Answer(Result.TIMEOUT if late else Result.UNKNOWN, None, open_reason, boxes)


@dataclass(slots=True, eq=False)
class _Hunt:
    """The work on one region.

    Attributes:
        network: of the property.
        grid: float32 numbers of the region.
        path: the region as a path.
        bounding: its inequalities.
        aim: the attack.
        witness: once one is confirmed.
        reason: why nothing is known of the region; empty once it is proven to be safe.
        boxes: how many were bounded.
        rounds: of the search.
    """

    network: Network
    grid: Grid
    path: RegionPath
    bounding: Bounding
    aim: Attack
    witness: Witness | None = None
    reason: str = "nothing was tried"
    boxes: int = 0
    rounds: int = field(default=0)

    @classmethod
    def of(cls, network: Network, region: Region) -> _Hunt:
        path, grid = RegionPath.of(region, network.graph.input_shape), Grid.of(region)
        bounding = bounding_of(network.program, path, region.unsafe, _naming(network, path))
        return cls(network, grid, path, bounding, Attack.on(bounding, grid))

    def attack(self, budget: Budget) -> None:
        """Descend from points all over the box, then from where the bounds of the whole box point to."""
        for seed in range(_ATTACKS if self.path.dimensions > _WIDE else 1):
            if self.witness is None and not budget.out_of_time:
                self._try(self.aim.starts(_STARTS, seed), descend=True)

        if self.witness is None and not budget.out_of_time and not self._too_many:
            self._try(self._trends(), descend=True)

    @property
    def _too_many(self) -> bool:
        """Whether products of activations forbid a slope per input: their cost is quadratic in slopes."""
        return self.path.dimensions > _WIDE and _has_products(self.network)

    def _trends(self) -> torch.Tensor:
        """Return the corner at which each inequality is lowest as far as the slopes on the whole box know.

        Where a network is flat around a point, its gradient there leads nowhere; these slopes are of the box.
        """
        with torch.no_grad():
            found = replace(self.bounding, naming=Naming())(Boxes.whole(self.path.dimensions))
        corners = (found.slopes[:, 0].t() < 0).double().cpu().numpy()[:_STARTS]
        x = torch.from_numpy(np.stack([self.path.at(t).ravel() for t in corners]))
        return x.repeat_interleave(max(_STARTS // len(x), 1), 0)

    def search(self, budget: Budget) -> None:
        """Branch and bound."""
        if budget.out_of_time:
            self.reason = "the budget ended"
            return
        if self._too_many:
            self.reason = f"{self.path.dimensions} inputs vary: too many where activations are multiplied"
            return
        pieces = 1 if self.path.dimensions > _WIDE else budget.pieces
        limits = Budget(budget.deadline, pieces, budget.block_bytes, budget.clock)
        search = Search(self.bounding, self.path.dimensions, limits, measuring=False)
        with torch.no_grad():
            search.run(lambda: self.witness is not None, self._suspects)
        self.boxes += search.pieces
        self.reason = self._left(search)

    def _left(self, search: Search) -> str:
        if search.safe.exact == Fraction(1):
            return ""
        if search.broken:
            return "a violation is proven over the reals, but no float32 input shows it"
        if self.path.dimensions > _WIDE and not search.budget.out_of_time:
            return f"{self.path.dimensions} inputs vary: their box is bounded as a whole only"
        if search.exhausted:
            return "the budget ended"
        return f"rounding keeps boxes undecided: {', '.join(sorted({reason for reason, _ in search.stuck}))}"

    def _suspects(self, t: Float64) -> None:
        """Look at the likeliest corners of a round; descend from them in rounds 1, 2, 4, 8, ..."""
        self.rounds += 1
        x = torch.from_numpy(np.stack([self.path.at(row).ravel() for row in t]))
        self._try(x, descend=self.rounds & (self.rounds - 1) == 0)

    def _try(self, x: torch.Tensor, descend: bool) -> None:
        points, levels = self.aim.ranked(x)
        if descend and not bool((levels <= 0).any()):
            with torch.enable_grad():
                points, levels = self.aim.improved(x)
        for point, level in zip(points[:_TRIED], levels[:_TRIED].tolist(), strict=True):
            if self.witness is None and level <= 0:
                self.witness = confirmed(self.network, self.bounding, self.grid, point.numpy())


def _naming(network: Network, path: RegionPath) -> Naming:
    """Return which errors are named.

    Boxes of small networks are cheap, and many of them cost less than many symbols; of large networks, or
    with many inputs, it is the other way round.
    """
    program = network.program
    if _has_products(network):
        return Naming()
    if program.width <= _SMALL and path.dimensions <= _WIDE:
        return _FEW
    numbers = program.width * max(len(bent(program)), 1)
    return Naming(min(_MANY, _NUMBERS // numbers), _SHARE)


def _has_products(network: Network) -> bool:
    """Whether activations are multiplied with each other, as softmax does, too."""
    graph = network.graph
    return any(node.operator in COUPLED or is_bilinear(graph, node) for node in graph.nodes)
