"""Operators that only say where numbers lie: nothing is computed, nothing is rounded."""

from __future__ import annotations

import torch
from torch import Tensor

from glocert.forms.form import Form
from glocert.forms.ops.affine import Map, split
from glocert.forms.ops.registry import Site, Transfer, transfer
from glocert.graph.ir import Node


def moved(move: Map) -> Transfer:
    """Return the transfer that moves the numbers of each row, shape (n, *shape), in one way."""

    def apply(x: Form) -> Form:
        lines = x.lines()
        return Form.of(split(move(lines.flatten(0, 1)), lines), move(x.error))

    return apply


@transfer("Reshape")
def reshape(node: Node, site: Site) -> Transfer:
    """The same numbers in the same order."""
    shape = site.shape(node.output)
    return moved(lambda x: x.reshape(len(x), *shape))


@transfer("Transpose")
def transpose(node: Node, site: Site) -> Transfer:  # noqa: ARG001
    """Axes in another order."""
    order = (0, *(axis + 1 for axis in node.ints("perm")))
    return moved(lambda x: x.permute(order))


@transfer("Gather")
def gather(node: Node, site: Site) -> Transfer:
    """Positions along an axis, in any order, repeated or not."""
    axis = int(node.number("axis")) + 1
    indices = torch.tensor(node.ints("indices"), dtype=torch.int64, device=site.device)
    return moved(lambda x: x.index_select(axis, indices))


@transfer("Concat")
def concat(node: Node, site: Site) -> Transfer:
    """Activations and constants side by side; a constant is a form that does not move."""
    axis = int(node.number("axis"))
    constants = {name: site.exact(name) for name in node.inputs if not site.is_activation(name)}
    fixed = {name: (values.to(site.dtype), site.lost(values)) for name, values in constants.items()}
    names = node.inputs

    def apply(*inputs: Form) -> Form:
        remaining = iter(inputs)
        parts = [_constant(*fixed[n], inputs[0]) if n in fixed else next(remaining) for n in names]
        lines = torch.cat([part.lines() for part in parts], axis + 2)
        return Form.of(lines, torch.cat([part.error for part in parts], axis + 1))

    return apply


def _constant(values: Tensor, error: Tensor, like: Form) -> Form:
    rows = len(like.centre)
    lines = values.new_zeros(1 + len(like.slopes), rows, *values.shape)
    lines[0] = values
    return Form.of(lines, error.expand(rows, *values.shape).contiguous())


@transfer("Pad")
def pad(node: Node, site: Site) -> Transfer:
    """Constant padding; negative pads cut."""
    pads, (value, lost) = node.ints("pads"), site.level(node.number("value"))
    rank = len(site.shape(node.output))
    # torch counts axes from the last one, begin and end of each together
    ends = [end for axis in reversed(range(rank)) for end in (pads[axis], pads[rank + axis])]

    def apply(x: Form) -> Form:
        lines = torch.nn.functional.pad(x.lines(), ends)
        if value:
            lines[0] = torch.nn.functional.pad(x.centre, ends, value=value)
        return Form.of(lines, torch.nn.functional.pad(x.error, ends, value=lost))

    return apply
