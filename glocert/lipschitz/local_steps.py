"""Balls and boxes through the parts of a network; see ``local``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.lipschitz.affine import affine_norm
from glocert.lipschitz.explicit import Matrix, linear_part, matrix_of, squared_part
from glocert.lipschitz.majorant import majorant, terms
from glocert.lipschitz.network import comparable, part_norm
from glocert.lipschitz.regions import Region, joined, runs
from glocert.lipschitz.sorting import sorts_pairs
from glocert.lipschitz.spectrum import proven_norms
from glocert.rounding import TINY, UNIT, dot, grow

_LARGEST = 2**21
_MONOTONE = frozenset({"Clip", "MaxPool", "Relu"})


@dataclass(frozen=True, slots=True, eq=False)
class Ball:
    """What one tensor can be while the input stays in a ball; every tensor has shape (N, ...).

    Attributes:
        centre: float64: its computed value at the centre.
        radius: shape (N,): how far the exact value may move in the l2 norm.
        lower: of the box that the exact value stays in.
        upper: of that box.
        alive: which numbers can change at all.
        drifts: tensor -> l2 error of its computed centre, shape (N,).
    """

    centre: Tensor
    radius: Tensor
    lower: Tensor
    upper: Tensor
    alive: Tensor
    drifts: Mapping[str, Tensor]

    @classmethod
    def around(cls, x: Tensor, radius: Tensor, drifts: Mapping[str, Tensor]) -> Ball:
        """Return the ball of inputs."""
        wide = _column(radius, x) * grow(4) + 4 * UNIT * x.abs()
        return cls(x, radius, x - wide, x + wide, torch.ones_like(x, dtype=torch.bool), drifts)

    def tightened(self, name: str, reach: Tensor) -> Ball:
        """Intersect the box with what a ball allows, and the ball with the box.

        Args:
            name: of the tensor.
            reach: how far each of its numbers may move, or one number for all of them.
        """
        off = _column(self.drifts[name], self.centre)
        wide = (reach + off) * grow(4) + 4 * UNIT * self.centre.abs() + TINY
        lower, upper = (
            torch.maximum(self.lower, self.centre - wide),
            torch.minimum(self.upper, self.centre + wide),
        )
        most = torch.maximum(upper - self.centre, self.centre - lower).clamp_min(0.0) + off
        most = torch.where(self.alive, most * grow(4) + 4 * UNIT * self.centre.abs(), 0.0).flatten(1)
        radius = torch.minimum(self.radius, most.norm(dim=1) * grow(most.shape[1]))
        return replace(self, lower=lower, upper=upper, radius=radius)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.dim() - 1))


class Link:
    """A part of a network in front of the last affine one."""

    def stages(self, ball: Ball) -> list[tuple[str, Ball]]:
        """Return what the part makes of a ball, and of what is in between, by the names of the tensors."""
        raise NotImplementedError

    def through(self, ball: Ball) -> Ball:
        """Return what the part makes of a ball."""
        return self.stages(ball)[-1][1]


@dataclass(frozen=True, slots=True, eq=False)
class Affine(Link):
    """An affine part.

    Attributes:
        graph: the part.
        absolute: its linear part with the absolute values of its factors.
        sizes: what its roundings are relative to.
        rows: l2 norms of the rows of its matrix, shape of its output; ``None`` where they are not known.
        norm: proven bound on the norm.
        matrix: where it is small enough.
    """

    graph: Graph
    absolute: Graph
    sizes: Graph
    rows: Tensor | None
    norm: float
    matrix: Matrix | None

    @classmethod
    def of(cls, whole: Region, parts: list[Region]) -> Affine:
        """Prepare an affine part."""
        graph = whole.graph
        entries = math.prod(graph.input_shape) * math.prod(graph.output_shape)
        matrix = matrix_of(graph) if entries <= _LARGEST else None
        norm = affine_norm(whole, parts).upper
        absolute = linear_part(graph, absolute=True)
        return cls(graph, absolute, majorant(graph), _row_norms(graph, matrix), norm, matrix)

    def stages(self, ball: Ball) -> list[tuple[str, Ball]]:
        """Return what the part makes of a ball."""
        centre = run(self.graph, ball.centre)
        middle, half = _halves(ball)
        value, count = run(self.graph, middle), terms(self.graph)
        wide = run(self.absolute, half) * grow(4 * count) + TINY
        wide = (wide + 2 * dot(count) * run(self.sizes, middle.abs())) * grow(4)
        made = Ball(centre, ball.radius * self.norm * grow(2), value - wide, value + wide,
                    torch.ones_like(centre, dtype=torch.bool), ball.drifts)  # fmt: skip
        reach = _column(made.radius, centre)
        if self.rows is not None:
            reach = torch.minimum(reach, self.rows[None] * _column(ball.radius, centre) * grow(4))
        return [(self.graph.output, made.tightened(self.graph.output, reach))]

    def reduced(self, before: Ball, after: Ball, norm: float) -> Ball:
        """Shrink the ball behind a kink with a constant: only rows and columns that can change count."""
        if self.matrix is None:
            return after
        columns, rows = before.alive.flatten(1), after.alive.flatten(1)
        if bool(columns.all()) and bool(rows.all()):
            return after
        norms = proven_norms(self.matrix.values, rows, columns) + self.matrix.error
        return replace(after, radius=torch.minimum(after.radius, before.radius * norms * norm * grow(4)))


def _halves(ball: Ball) -> tuple[Tensor, Tensor]:
    """Return middle and half width of a box, the width rounded up."""
    middle = (ball.lower + ball.upper) / 2
    half = torch.maximum(ball.upper - middle, middle - ball.lower).clamp_min(0.0)
    return middle, half * grow(4) + 2 * UNIT * middle.abs()


def _row_norms(graph: Graph, matrix: Matrix | None) -> Tensor | None:
    """Return proven norms of the rows of a part's matrix."""
    if matrix is not None:
        norms: Tensor = matrix.values.norm(dim=1) * grow(matrix.values.shape[1]) + matrix.error
        return norms.reshape(graph.output_shape)
    squares = squared_part(graph)
    if squares is None:
        return None
    ones = torch.ones(1, *graph.input_shape, dtype=torch.float64)
    lengths: Tensor = (run(squares, ones)[0] * grow(4 * terms(graph))).sqrt() * grow(4) + TINY
    return lengths


@dataclass(frozen=True, slots=True, eq=False)
class Kink(Link):
    """A part that bends: a function that grows in each input, or any with a constant.

    Attributes:
        graph: the part.
        norm: its constant.
        grows: whether boxes go through by their ends.
        before: the affine part in front of it.
    """

    graph: Graph
    norm: float
    grows: bool
    before: Affine | None

    def stages(self, ball: Ball) -> list[tuple[str, Ball]]:
        """Return what the affine part in front makes of a ball, and then this one."""
        entry, found = ball, []
        if self.before is not None:
            found = self.before.stages(entry)
            ball = found[-1][1]
        centre = run(self.graph, ball.centre)
        radius = ball.radius * self.norm * grow(2)
        infinite = torch.full_like(centre, torch.inf)
        lower, upper = -infinite, infinite
        if self.grows:
            off = 16 * UNIT * torch.maximum(ball.lower.abs(), ball.upper.abs()).flatten(1).amax(dim=1)
            lower = run(self.graph, ball.lower) - _column(off, centre)
            upper = run(self.graph, ball.upper) + _column(off, centre)
        after = Ball(centre, radius, lower, upper, self._alive(ball, centre), ball.drifts)
        if self.before is not None and after.alive.shape == ball.alive.shape:
            after = self.before.reduced(entry, after, self.norm)
        return [
            *found,
            (self.graph.output, after.tightened(self.graph.output, _column(after.radius, centre))),
        ]

    def _alive(self, ball: Ball, centre: Tensor) -> Tensor:
        """Return which outputs can change."""
        (node, *more) = self.graph.nodes
        if more or node.operator not in {"Relu", "Clip"}:
            return torch.ones_like(centre, dtype=torch.bool)
        ends = (node.number("min"), node.number("max")) if node.operator == "Clip" else (0.0, math.inf)
        return ball.alive & (ball.upper > ends[0]) & (ball.lower < ends[1])


@dataclass(frozen=True, slots=True, eq=False)
class Last:
    """The last affine part, as far as differences of scores are concerned.

    Attributes:
        graph: the part.
        sizes: what its roundings are relative to.
        matrix: of the part.
    """

    graph: Graph
    sizes: Graph
    matrix: Matrix

    def changes(self, ball: Ball, label: Tensor) -> tuple[Tensor, Tensor]:
        """Return how far every lead may fall by the ball, and what is left of it by the box.

        Returns:
            Two tensors of shape (N, classes): an upper and a lower bound.
        """
        rows, alive = self.matrix.values, ball.alive.flatten(1).double()
        gaps = rows[label][:, None] - rows[None]
        count, error = rows.shape[1], self.matrix.error
        norms = (gaps * alive[:, None]).norm(dim=2) * grow(2 * count) + 2 * error
        far = norms * ball.radius[:, None] * grow(8)
        middle, half = _halves(ball)
        value = run(self.graph, middle).flatten(1)
        off = 2 * dot(terms(self.graph)) * run(self.sizes, middle.abs()).flatten(1)
        mine = torch.arange(len(label)), label
        value, off = value[mine][:, None] - value, (off[mine][:, None] + off) * grow(4)
        wide = half.flatten(1)
        fall = (gaps.abs() @ wide[..., None])[..., 0] + 2 * error * wide.norm(dim=1, keepdim=True)
        return far, value - (fall * grow(4 * count) + off + 4 * UNIT * value.abs() + TINY)


def links(graph: Graph) -> tuple[tuple[Link, ...], Last] | None:
    """Cut a network into links and the last affine part; ``None`` where there is none of a fair size."""
    groups = runs(graph)
    if not groups[-1][-1].affine:
        return None
    last = joined(graph, groups.pop())
    if not comparable(last.graph):
        return None
    end = Last(last.graph, majorant(last.graph), matrix_of(last.graph))
    found: list[Link] = []
    waiting: Affine | None = None
    for group in groups:
        region = joined(graph, group)
        if region.affine:
            waiting = Affine.of(region, group)
            continue
        grows = sorts_pairs(region.graph) or _is_monotone(region.graph)
        found.append(Kink(region.graph, part_norm(graph, group).upper, grows, waiting))
        waiting = None
    return tuple(found), end


def _is_monotone(region: Graph) -> bool:
    """Whether a part is one function that grows in each of its inputs."""
    return len(region.nodes) == 1 and region.nodes[0].operator in _MONOTONE
