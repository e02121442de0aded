"""The invariant of forms, checked in exact rational arithmetic."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import torch

from glocert.forms.form import Form
from glocert.forms.ops.registry import REGISTRY, Site
from glocert.forms.path import Parts
from glocert.forms.path import forms as forms_of
from glocert.forms.program import prepare
from glocert.graph.ir import Attribute, Graph, Node
from glocert.paths.segment import Segment
from tests.glocert.segments.rational import Exact, evaluate, exactly

ROWS = 3


def random_form(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    slopes: int = 1,
    whole: bool = False,
    dtype: torch.dtype = torch.float64,
) -> Form:
    """A form of three rows; numbers of several sizes, or small whole ones."""

    def numbers(*sizes: int) -> torch.Tensor:
        if whole:
            return torch.from_numpy(rng.integers(-2, 3, sizes).astype(np.float64))
        return torch.from_numpy(rng.standard_normal(sizes) * 10.0 ** rng.integers(-3, 2, sizes))

    exact = rng.random() < 0.5  # then nothing but rounding is left to be charged
    sizes = rng.choice([0.0] if exact else [0.0, 1e-17, 1e-9, 0.3, 2.0], (ROWS, *shape))
    lines, error = numbers(1 + slopes, ROWS, *shape), torch.from_numpy(sizes) * numbers(ROWS, *shape).abs()
    return Form.of(lines.to(dtype), error.to(dtype))


def parameters(rng: np.random.Generator, slopes: int) -> Exact:
    """Random u of every row, shape (slopes, rows); often an end."""
    return exactly(rng.integers(-4, 5, (slopes, ROWS)).clip(-3, 3).astype(object)) / 3


def model(form: Form, u: Exact) -> Exact:
    """Return centre and slopes at u, shape (rows, *shape)."""
    centre, slopes = exactly(form.centre.double().numpy()), exactly(form.slopes.double().numpy())
    weights = u.reshape(*u.shape, *(1,) * (centre.ndim - 1))
    return centre + (slopes * weights).sum(axis=0) if len(slopes) else centre


def member(rng: np.random.Generator, form: Form, u: Exact) -> Exact:
    """Return exact activations inside the form at u, often at the very end of its error."""
    offset = exactly(rng.integers(-6, 7, form.error.shape).clip(-4, 4).astype(object)) / 4
    return model(form, u) + exactly(form.error.double().numpy()) * offset


def outside(form: Form, exact: Exact, u: Exact) -> float:
    """Return the largest distance from the model as a share of the error; sound where at most one."""
    error = form.error.double().numpy()
    assert not np.isnan(error).any()
    distance = abs(exact - model(form, u))
    known = np.isfinite(error)
    shares = [
        float(d / Fraction(e)) if e else 2.0 * bool(d)
        for d, e in zip(distance[known].ravel(), error[known].ravel(), strict=True)
    ]
    return max(shares, default=0.0)


def apply(graph: Graph, node: Node, live: dict[str, Form]) -> Form:
    """Run one transfer, in the number type of its inputs."""
    dtype = next(iter(live.values())).centre.dtype
    built = REGISTRY[node.operator](node, Site(graph, torch.device("cpu"), dtype))
    return built(*(live[name] for name in node.inputs if graph.is_activation(name)))


def exact_node(graph: Graph, node: Node, live: dict[str, Exact]) -> Exact:
    """Evaluate one node exactly."""
    if node.operator == "Gather":
        return np.take(live[node.inputs[0]], node.ints("indices"), axis=int(node.number("axis")) + 1)
    if node.operator == "ReduceSum":
        return live[node.inputs[0]].sum(axis=tuple(axis + 1 for axis in node.ints("axes")))
    if node.operator == "Pad":
        return _cut(evaluate(graph, replace(node, attributes=_only_wider(node)), live), node.ints("pads"))
    return evaluate(graph, node, live)


def _only_wider(node: Node) -> dict[str, Attribute]:
    return {**node.attributes, "pads": tuple(max(end, 0) for end in node.ints("pads"))}


def _cut(x: Exact, pads: tuple[int, ...]) -> Exact:
    rank = x.ndim - 1
    ends = [(max(-pads[i], 0), x.shape[i + 1] - max(-pads[i + rank], 0)) for i in range(rank)]
    return x[(slice(None), *(slice(*pair) for pair in ends))]


def worst_of_node(
    rng: np.random.Generator,
    graph: Graph,
    node: Node,
    slopes: int,
    whole: bool,
    dtype: torch.dtype = torch.float64,
) -> float:
    """Return the worst share of one transfer on random forms."""
    names = [name for name in dict.fromkeys(node.inputs) if graph.is_activation(name)]
    forms = {name: random_form(rng, graph.shapes[name], slopes, whole, dtype) for name in names}
    result, shares = apply(graph, node, forms), []
    assert {part.dtype for part in (result.centre, result.slopes, result.error)} == {dtype}
    assert result.shape == graph.shapes[node.output]
    for _ in range(4):
        u = parameters(rng, slopes)
        live = {name: member(rng, form, u) for name, form in forms.items()}
        shares.append(outside(result, exact_node(graph, node, live), u))
    return max(shares)


def worst_of_network(
    rng: np.random.Generator, graph: Graph, segment: Segment, dtype: torch.dtype = torch.float64
) -> float:
    """Return the worst share of all activations of a network on random parts of a path."""
    program = prepare(graph, dtype=dtype)
    ends = np.sort(rng.choice([0.0, 1.0, 0.5, *rng.random(6)], (ROWS, 2)), axis=1)
    parts = Parts.between(*ends.T.copy())
    live = {graph.input: program.entered(forms_of(segment.loaded(program.device), parts, program.device))}
    for step in program.steps:
        live[step.output] = step.transfer(*(live[name] for name in step.inputs))
    shares = []
    for _ in range(3):
        share = exactly(rng.integers(0, 4, ROWS).astype(object)) / 3
        start, stop = exactly(parts.start), exactly(parts.stop)
        t = start + share * (stop - start)
        half = np.where(parts.half > 0, exactly(parts.half), Fraction(1))
        u = ((t - exactly(parts.middle)) / half)[None]
        exact = {graph.input: exact_path(rng, segment, t)}
        shares.append(outside(live[graph.input], exact[graph.input], u))
        for node in graph.nodes:
            exact[node.output] = exact_node(graph, node, exact)
            if node.output in live:
                shares.append(outside(live[node.output], exact[node.output], u))
    return max(shares)


def exact_path(rng: np.random.Generator, segment: Segment, t: Exact) -> Exact:
    """Return points of a path whose stored ends are off by up to the segment's radius."""
    start, stop = exactly(segment.start), exactly(segment.stop)
    weights = t.reshape(-1, *(1,) * start.ndim)
    offset = exactly(rng.integers(-1, 2, segment.radius.shape).astype(object)) * exactly(segment.radius)
    return start + weights * (stop - start) + offset
