"""A network with the operators of the measured ones, small enough to follow in no time."""

from __future__ import annotations

import numpy as np

from glocert.graph.ir import Graph
from tests.glocert.segments.networks import Draft


def small(seed: int) -> Graph:
    """Convolutions with a residual sum, both kinds of pooling, a clamp and a shift in front."""
    rng = np.random.default_rng(seed)

    def numbers(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) or 1)).astype(np.float32)

    draft = Draft(2, 8, 8)
    x = draft.same("Clip", "x", min=0.0, max=1.0)
    x = draft.node("Sub", [x, draft.parameter(numbers(2, 1, 1))], (2, 8, 8))
    x = draft.relu(draft.conv(x, numbers(4, 2, 3, 3) * 2, numbers(4), pads=(1, 1, 1, 1)))
    side = draft.conv(x, numbers(4, 4, 3, 3), pads=(1, 1, 1, 1))
    x = draft.relu(draft.node("Add", [x, side], (4, 8, 8)))
    x = draft.pool("MaxPool", x, (2, 2), (2, 2))
    x = draft.pool("AveragePool", x, (2, 2), (2, 2), count_include_pad=0)
    x = draft.relu(draft.gemm(draft.flat(x), numbers(12, 16) * 2, numbers(12)))
    return draft.graph(draft.gemm(x, numbers(4, 12) * 2, numbers(4)))
