"""A first look at a path: the network at some points of it, in float32. Nothing here is proven.

It tells where violations are likely, and how many breakpoints the path has, which is what following it
exactly costs. Two points between which a unit switches have at least one breakpoint between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.engine.loops.switches import count
from glocert.graph.ir import Graph, Node
from glocert.graph.run import run
from glocert.paths.path import Path

POINTS = 7
_KINKS = frozenset({"Relu", "LeakyRelu", "Clip"})


@dataclass(frozen=True, slots=True, eq=False)
class Scout:
    """What the points of a path say.

    Attributes:
        t: evenly spaced, from 0 to 1.
        switches: one number fewer: units that switch between neighbouring points.
        margins: of the label at every point.
    """

    t: NDArray[np.float64]
    switches: NDArray[np.float64]
    margins: NDArray[np.float64]
    _counts: list[float] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_counts", self.switches.tolist())

    def breakpoints(self, start: float, stop: float) -> float:
        """Return about how many breakpoints a part of the path has."""
        return self._before(stop) - self._before(start)

    def _before(self, t: float) -> float:
        """Return about how many breakpoints are in front of a parameter; the points are evenly spaced."""
        place = t * len(self.switches)
        whole = min(int(place), len(self.switches) - 1)
        return sum(self._counts[:whole]) + self._counts[whole] * (place - whole)

    @property
    def calm(self) -> bool:
        """Whether the margin moves by less than it is large, so that a few wide parts may decide the path."""
        return bool(self.margins.min() > np.ptp(self.margins))

    def telling(self) -> float:
        """Return the point to look at first: where the label loses by most, or else where it wins by most."""
        low, high = int(self.margins.argmin()), int(self.margins.argmax())
        return float(self.t[low if self.margins[low] < 0 else high])


def scout(
    graph: Graph, parameters: Mapping[str, Tensor], paths: Sequence[Path], labels: Sequence[int]
) -> list[Scout]:
    """Look at paths of one parameter through one network, all in one batch.

    Args:
        graph: the network.
        parameters: of the graph, float32, all on the device on which it runs.
        paths: through images of its input's shape.
        labels: class that should win on each.
    """
    if not paths:
        return []
    t = np.linspace(0.0, 1.0, POINTS)
    images = np.empty((len(paths) * POINTS, *paths[0].shape), np.float32)
    for at, share in enumerate([*t] * len(paths)):
        images[at] = paths[at // POINTS].at([float(share)])
    device = next(iter(parameters.values())).device if parameters else None
    batch = torch.from_numpy(images).to(device)
    switches = np.zeros((len(paths), POINTS - 1))

    def watch(node: Node, inputs: Sequence[Tensor]) -> None:
        if node.operator in _KINKS:
            values = inputs[0].cpu()
            if not values.is_contiguous() and values.is_contiguous(memory_format=torch.channels_last):
                values = values.permute(0, 2, 3, 1)
            count(values.contiguous().view(len(paths), POINTS, -1).numpy(), switches)

    with torch.inference_mode():
        scores = run(graph, batch, parameters, watch).reshape(len(paths), POINTS, -1).cpu().double().numpy()
    return [
        Scout(t, row, _margins(found, label))
        for row, found, label in zip(switches, scores, labels, strict=True)
    ]


def _margins(scores: NDArray[np.float64], label: int) -> NDArray[np.float64]:
    return np.asarray(scores[:, label] - np.delete(scores, label, axis=1).max(axis=1), dtype=np.float64)
