"""Forms to attack transfers with, and what must lie inside the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import mpmath
import numpy as np
import torch

import glocert.forms.ops  # noqa: F401
from glocert.forms.form import Form
from glocert.forms.ops.registry import REGISTRY, Site, Transfer
from glocert.graph.ir import Graph, Node

Exact = Callable[..., np.ndarray]
"""Maps object arrays of mpmath numbers, per-sample with rows in front, to such an array."""

mpmath.mp.dps = 50
_exactly = np.frompyfunc(mpmath.mpf, 1, 1)


def build(
    operator: str,
    shapes: list[tuple[int, ...]],
    output: tuple[int, ...],
    dtype: torch.dtype = torch.float64,
    **attributes,
) -> Transfer:
    """Return the transfer of one node whose inputs are activations of these shapes."""
    names = [f"x{position}" for position in range(len(shapes))]
    node = Node("node", operator, tuple(names), "y", attributes)
    graph = Graph(names[0], "y", (node,), {}, dict(zip([*names, "y"], [*shapes, output], strict=True)))
    return REGISTRY[operator](node, Site(graph, torch.device("cpu"), dtype))


def form(rng, k: int, rows: int, shape: tuple[int, ...], centre, width: float, share: float) -> Form:
    """Return a random form around ``centre()``; ``share`` of the width is error."""
    size = (rows, *shape)
    slopes = rng.standard_normal((k, *size)) * width * (1 - share) / k
    errors = rng.random(size) * width * share
    return Form(*(torch.from_numpy(np.asarray(part)) for part in (centre(size), slopes, errors)))


def _numbers(x: torch.Tensor) -> np.ndarray:
    return _exactly(x.numpy().astype(object))


def _points(rng, forms: tuple[Form, ...], count: int) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Yield u of shape (k,) and admissible exact inputs, corners first."""
    k = len(forms[0].slopes)
    for attempt in range(count):
        corner = attempt < count // 2
        u = rng.choice([-1.0, 1.0], k) if corner else rng.uniform(-1, 1, k)
        inputs = []
        for x in forms:
            size = tuple(x.centre.shape)
            sign = rng.choice([-1.0, 1.0], size) if corner or attempt % 2 else rng.uniform(-1, 1, size)
            linear = sum(_numbers(x.slopes[j]) * mpmath.mpf(u[j]) for j in range(k))
            inputs.append(_numbers(x.centre) + linear + _numbers(x.error) * _exactly(sign.astype(object)))
        yield u, inputs


def worst_share(rng, forms: tuple[Form, ...], result: Form, exact: Exact, count: int = 12) -> float:
    """Return the largest distance of an exact value from the result, as a share of its error.

    The transfer is sound where that is at most one. Where the error is not finite nothing is claimed.
    """
    k, worst = len(result.slopes), 0.0
    known = np.isfinite(result.error.numpy())
    centre, error = _numbers(result.centre)[known], _numbers(result.error)[known]
    slopes = [_numbers(result.slopes[j])[known] for j in range(k)]
    for u, inputs in _points(rng, forms, count):
        model = centre + sum(slopes[j] * mpmath.mpf(u[j]) for j in range(k))
        apart = np.abs(exact(*inputs)[known] - model)
        worst = max(
            [worst, *(float(a / e) if e else float(a > 0) * 2 for a, e in zip(apart, error, strict=True))]
        )
    return worst


def elementwise(function: Callable[[mpmath.mpf], mpmath.mpf]) -> Exact:
    """Apply a function to every number; None where it has no real value."""
    return np.frompyfunc(function, 1, 1)


Attributes = Mapping[str, float | str]
