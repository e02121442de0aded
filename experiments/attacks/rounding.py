"""A search for labels that flip by rounding alone, just inside the certified radius.

Every point is moved by ``radius (1 - 1e-7)`` where the lead shrinks fastest, then single coordinates are
nudged by a few units in the last place while the input stays in the ball. Each candidate is run by torch at
several batch sizes and thread counts and by onnxruntime, because each of them adds in another order.

Source of the idea: Jin, Ohrimenko, Rubinstein, "Getting a-Round Guarantees".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from experiments.attacks.gradient import margin
from experiments.attacks.points import Points, distance
from glocert.graph.export import to_onnx
from glocert.graph.ir import Graph

Execution = Callable[[Tensor], Tensor]
_INSIDE = 1 - 1e-7


def executions(graph: Graph, points: Points) -> Iterator[tuple[str, Execution]]:
    """Yield ways to execute a network in float32: name and labels of a batch."""
    for batch in (1, 7, 64):
        yield f"torch, batches of {batch}", _in_batches(points, batch)
    yield "torch, two threads", _threaded(points)
    session = onnxruntime.InferenceSession(to_onnx(graph))
    name = session.get_inputs()[0].name

    def runtime(x: Tensor) -> Tensor:
        return torch.from_numpy(np.argmax(session.run(None, {name: x.numpy()})[0], axis=1))

    yield "onnxruntime", runtime


def candidates(points: Points, generator: torch.Generator, *, trials: int) -> Iterator[Tensor]:
    """Yield inputs at the rim of each ball, float32, shape (N, *input shape)."""
    for place in range(min(2, _classes(points) - 1)):
        toward = _downhill(points, points.rival(place))
        for _ in range(trials):
            share = _INSIDE - 1e-7 * torch.rand(len(points), generator=generator, dtype=torch.float64)
            moved = points.images.double() + toward * _column(points.radius * share, toward)
            shaken = moved.float()
            steps = torch.randint(-2, 3, shaken.shape, generator=generator)
            shaken = shaken + steps * torch.finfo(torch.float32).eps * shaken.abs() / 2
            yield torch.where(
                _column(distance(points.images, shaken) <= points.radius, shaken), shaken, moved.float()
            )


def _downhill(points: Points, rival: Tensor) -> Tensor:
    """Return unit vectors along which the lead over a rival shrinks fastest, seen from the rim."""
    moved = points.images.clone()
    toward = torch.zeros_like(moved, dtype=torch.float64)
    for _ in range(8):
        moved.requires_grad_()
        lead = margin(points.scores(moved), points.label, rival)
        (slope,) = torch.autograd.grad(lead.sum(), moved)
        flat = slope.double().flatten(1)
        toward = (flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-30)).reshape(moved.shape)
        moved = points.projected((points.images.double() + toward * _column(points.radius, toward)).float())
    return toward


def _in_batches(points: Points, size: int) -> Execution:
    def execute(x: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([points.scores(part) for part in torch.split(x, size)]).argmax(1)

    return execute


def _threaded(points: Points) -> Execution:
    def execute(x: Tensor) -> Tensor:
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            with torch.no_grad():
                return points.scores(x).argmax(1)
        finally:
            torch.set_num_threads(before)

    return execute


def _classes(points: Points) -> int:
    with torch.no_grad():
        return points.scores(points.images[:1]).shape[1]


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.dim() - 1))
