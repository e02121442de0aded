"""Paths of several parameters through small inputs, and what is exactly true of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch

from glocert.graph.ir import Graph
from glocert.paths.path import Enclosure
from glocert.rounding import CHARGE, TINY
from tests.glocert.segments.networks import Draft
from tests.glocert.segments.rational import Exact, evaluate, exactly


@dataclass(frozen=True)
class Plane:
    """``x(t) = origin + t @ ways``."""

    origin: np.ndarray
    ways: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.origin.shape

    @property
    def dimensions(self) -> int:
        return len(self.ways)

    @property
    def joints(self) -> tuple[float, ...]:
        return ()

    def at(self, t: Sequence[float]) -> np.ndarray:
        return self.origin + np.tensordot(np.asarray(t), self.ways, 1)

    def loaded(self, device: torch.device) -> Plane:
        assert device.type == "cpu"
        return self

    def enclose(self, middle: torch.Tensor, half: torch.Tensor) -> Enclosure:
        ways = torch.from_numpy(self.ways)
        centre = torch.from_numpy(self.origin) + torch.tensordot(middle, ways, 1)
        slopes = half.t().reshape(*half.t().shape, *(1,) * self.origin.ndim) * ways[:, None]
        size = np.abs(self.origin) + np.abs(self.ways).sum(0)
        error = torch.from_numpy(size * CHARGE + TINY).expand(centre.shape)
        return Enclosure(torch.cat([centre[None], slopes]), error.contiguous())

    def exact(self, t: Exact) -> Exact:
        """Points, shape (n, k) -> (n, *shape)."""
        return exactly(self.origin) + np.tensordot(t, exactly(self.ways), 1)


def random_plane(rng: np.random.Generator, k: int, size: int) -> Plane:
    return Plane(rng.standard_normal(size), rng.standard_normal((k, size)) * rng.choice([0.2, 1.0, 2.0]))


def network(rng: np.random.Generator, size: int, classes: int = 3) -> Graph:
    """Two hidden layers of ReLU with a branch around the second."""
    draft = Draft(size)
    widths = rng.integers(2, 6, 1)
    first = draft.relu(
        draft.gemm("x", rng.standard_normal((widths[0], size)), rng.standard_normal(widths[0]))
    )
    second = draft.relu(draft.gemm(first, rng.standard_normal((widths[0], widths[0]))))
    both = draft.node("Add", [first, second], draft.shapes[first])
    return draft.graph(
        draft.gemm(both, rng.standard_normal((classes, widths[0])), rng.standard_normal(classes))
    )


def scores(graph: Graph, x: Exact) -> Exact:
    """Exact outputs, shape (n, outputs)."""
    live = {graph.input: x}
    for node in graph.nodes:
        live[node.output] = evaluate(graph, node, live)
    return live[graph.output].reshape(len(x), -1)


def margins(graph: Graph, plane: Plane, t: np.ndarray, label: int) -> list[Fraction]:
    """Exact smallest margins of float64 parameters, shape (n, k)."""
    y = scores(graph, plane.exact(exactly(np.asarray(t, np.float64))))
    return list((y[:, label, None] - np.delete(y, label, axis=1)).min(axis=1))
