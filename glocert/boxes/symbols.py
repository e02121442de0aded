"""Forms whose errors become slopes of their own: what a layer loses may cancel in a later one.

An error says that the activation is ``centre + slopes u + error v`` for some v in [-1, 1]. Named as a further
slope, v is carried through the layers after it like u, so that two activations that share it are no longer
bounded apart. A form then holds for every u and *some* v, and as every transfer holds point by point, so does
all that is made of it. Nothing is rounded here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.form import Form
from glocert.forms.program import Program
from glocert.graph.families import is_nonlinear

_ROWS = 0.75
"""So many of the rows get the share of their errors named that ``Naming`` asks for."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How many errors of a node become slopes of their own.

    Attributes:
        most: at most so many of each row, the largest first; 0 names none.
        share: as many as it takes to name that much of their sum.
    """

    most: int = 0
    share: float = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """Scores with named errors.

    Attributes:
        form: shape (rows, scores); the first k slopes are those of the parameters, one per symbol follows.
        origins: shape (k, symbols, rows), an estimate: how much of what made the error is each parameter's.
    """

    form: Form
    origins: Tensor


def scores(program: Program, x: Form, naming: Naming) -> Named:
    """Take forms of the input through the network; errors of nonlinear nodes become slopes.

    Args:
        program: the network.
        x: k slopes.
        naming: which errors.
    """
    graph, places, parameters = program.graph, bent(program), len(x.slopes)
    live, named, origins = (
        {graph.input: program.entered(x)},
        parameters,
        [x.centre.new_zeros(parameters, 0, len(x.centre))],
    )
    for step in program.steps:
        inputs = [padded(live[name], named) if len(step.inputs) > 1 else live[name] for name in step.inputs]
        output = step.transfer(*inputs)
        if step.output in places and naming.most:
            output, origin = promoted(padded(output, named), naming, parameters)
            named += origin.shape[1]
            origins.append(origin)
        live[step.output] = output
        for name in step.dead:
            del live[name]
    output = padded(live[graph.output], named)
    return Named(Form.of(output.lines().flatten(2), output.error.flatten(1)), torch.cat(origins, 1))


def bent(program: Program) -> frozenset[str]:
    """Return the names of the activations that nonlinear nodes make."""
    graph = program.graph
    return frozenset(node.output for node in graph.nodes if is_nonlinear(graph, node))


def padded(x: Form, slopes: int) -> Form:
    """Return the form with slopes of zero for symbols that it does not contain."""
    missing = slopes - len(x.slopes)
    if missing <= 0:
        return x
    return Form.of(torch.cat([x.lines(), x.centre.new_zeros(missing, *x.centre.shape)]), x.error)


def promoted(x: Form, naming: Naming, parameters: int) -> tuple[Form, Tensor]:
    """Turn the largest errors of each row into further slopes.

    Each row names its own errors: symbol j of two rows has nothing to do with each other.

    Returns:
        The form, and the shares of the parameters, shape (parameters, symbols, rows): proportional to their
        slopes where the error arose.
    """
    rows = len(x.centre)
    error = x.error.reshape(rows, -1)
    size, where = error.topk(min(naming.most, error.shape[1]), dim=1)
    count = _worth(size, error.sum(1) * naming.share)
    size, where = size[:, :count], where[:, :count]
    fresh = error.new_zeros(count, rows, error.shape[1])
    symbols, lines = torch.arange(count)[:, None], torch.arange(rows)[None]
    fresh[symbols, lines, where.t()] = size.t()
    slopes = torch.cat([x.lines(), fresh.view(count, *x.centre.shape)])
    rest = error.scatter(1, where, 0.0)
    origin = x.slopes[:parameters].reshape(parameters, rows, -1)
    origin = origin.gather(2, where.expand(parameters, rows, count)).abs().transpose(1, 2)
    origin = origin / origin.sum(0).clamp(min=1e-300)
    return Form.of(slopes, rest.view(x.error.shape)), origin


def _worth(size: Tensor, wanted: Tensor) -> int:
    """Return how many errors have to be named on most rows for their sum to reach what is wanted.

    Args:
        size: largest errors, shape (rows, n), descending.
        wanted: shape (rows,).
    """
    missing = (size.cumsum(1) < wanted[:, None]).sum(1)
    needed = torch.where(wanted > 0, missing + 1, 0).sort().values
    return min(int(needed[math.ceil(_ROWS * (len(needed) - 1))]), size.shape[1]) if len(needed) else 0
