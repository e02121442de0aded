"""Generators whose directions are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glocert.generators.decoder import Decoder
from glocert.graph.ir import Graph
from tests.glocert.segments.networks import Draft


def linear(weight: np.ndarray, shape: Sequence[int] | None = None, bias: np.ndarray | None = None) -> Decoder:
    """``G(z) = W z + b`` as images of a shape."""
    return Decoder(linear_graph(weight, shape, bias))


def linear_graph(
    weight: np.ndarray, shape: Sequence[int] | None = None, bias: np.ndarray | None = None
) -> Graph:
    draft = Draft(weight.shape[1])
    out = draft.gemm("x", weight, bias)
    return draft.graph(out if shape is None else draft.reshape(out, *shape))


def relu_net(rng: np.random.Generator, latent: int, hidden: int, shape: Sequence[int]) -> Decoder:
    """A small network with kinks and smooth nodes none."""
    draft = Draft(latent)
    x = draft.relu(draft.gemm("x", rng.standard_normal((hidden, latent)), rng.standard_normal(hidden)))
    x = draft.gemm(x, rng.standard_normal((int(np.prod(shape)), hidden)) / np.sqrt(hidden))
    return Decoder(draft.graph(draft.reshape(x, *shape)))


def orthogonal_columns(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((rows, columns)))[0]
