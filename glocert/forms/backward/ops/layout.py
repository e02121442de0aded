"""Operators that only say where numbers lie, backwards: adjoints go where the numbers came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.backward.ops.affine import Affine, Moved
from glocert.forms.backward.registry import Local, Reverse, reverse
from glocert.forms.form import Form
from glocert.forms.ops.registry import Site
from glocert.graph.ir import Node


@reverse("Reshape")
def reshape(node: Node, site: Site) -> Reverse:
    """The same numbers in the same order."""
    inside = site.shape(node.inputs[0])
    return Moved(lambda a: a.reshape(len(a), *inside), site.shape(node.output), whole=True)


@reverse("Transpose")
def transpose(node: Node, site: Site) -> Reverse:
    """Axes in another order."""
    order = node.ints("perm")
    back = (0, *(order.index(axis) + 1 for axis in range(len(order))))
    return Moved(lambda a: a.permute(back), site.shape(node.output), whole=True)


@reverse("Gather")
def gather(node: Node, site: Site) -> Reverse:
    """Positions along an axis; what was read more than once gets the sum."""
    axis = int(node.number("axis")) % len(site.shape(node.output)) + 1
    indices = torch.tensor(node.ints("indices"), dtype=torch.int64, device=site.device)
    inside, outside = site.shape(node.inputs[0]), site.shape(node.output)
    often = max(Counter(node.ints("indices")).values())

    def scatter(adjoint: Tensor) -> Tensor:
        return adjoint.new_zeros(len(adjoint), *inside).index_add_(axis, indices, adjoint)

    if often == 1:
        return Moved(scatter, outside)
    return Affine(scatter, lambda x: x.index_select(axis, indices), None, often, outside, site.charges(node))


@dataclass(frozen=True, slots=True)
class Concat:
    """Activations and constants side by side.

    Attributes:
        axis: of the per-sample shape.
        sizes: of every part along it.
        moving: which parts are activations.
        shift: the constants at their places, zeros elsewhere; the output's shape.
        lost: how far they are from what they stand for; likewise.
    """

    axis: int
    sizes: list[int]
    moving: tuple[bool, ...]
    shift: Tensor
    lost: Tensor

    def local(self, inputs: Sequence[Form]) -> Local:
        """Charge the product with the constants."""
        first = inputs[0]
        charge = first.centre.new_full((len(first.centre), *self.shift.shape), first.rounding.tiny)
        if all(self.moving):
            return Local(None, charge)
        return Local.between(self.shift.expand(charge.shape), charge + self.lost, None)

    def back(self, adjoint: Tensor, gains: tuple[Tensor, ...]) -> Sequence[Tensor]:  # noqa: ARG002
        """Cut."""
        parts = torch.split(adjoint, self.sizes, self.axis + 2)
        return [part for part, moves in zip(parts, self.moving, strict=True) if moves]


@reverse("Concat")
def concat(node: Node, site: Site) -> Reverse:
    """Activations and constants side by side."""
    outside = site.shape(node.output)
    axis = int(node.number("axis")) % len(outside)
    moving = tuple(site.is_activation(name) for name in node.inputs)
    parts = [
        torch.zeros(site.shape(name), dtype=torch.float64, device=site.device) if moves else site.exact(name)
        for name, moves in zip(node.inputs, moving, strict=True)
    ]
    sizes, whole = [part.shape[axis] for part in parts], torch.cat(parts, axis)
    return Concat(axis, sizes, moving, whole.to(site.dtype), site.lost(whole))


@reverse("Pad")
def pad(node: Node, site: Site) -> Reverse:
    """Constant padding; negative pads cut."""
    pads, (value, lost) = node.ints("pads"), site.level(node.number("value"))
    inside, outside = site.shape(node.inputs[0]), site.shape(node.output)
    rank = len(outside)
    ends = [end for axis in reversed(range(rank)) for end in (pads[axis], pads[rank + axis])]
    back = [-end for end in ends]
    shift = None
    if value:
        like = torch.zeros(inside, dtype=site.dtype, device=site.device)
        shift = torch.nn.functional.pad(like, ends, value=value)
    return Moved(lambda a: torch.nn.functional.pad(a, back), outside, shift, lost)
