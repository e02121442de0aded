"""Pieces merged into boxes, as GenProve does, to compare with what is exact. Rounding is not accounted for.

A path through a network is a chain of straight pieces and of boxes, in the order of t. Before a convolution
a chain that has grown too long is shortened: runs of neighbouring short pieces become the box around their
ends, which weighs as much as the t that it stands for. What a box at the end leaves open is the gap. Where
even so there is no room, everything begins again and merges more.

Source: Mirman, Hägele, Bielik, Gehr & Vechev, PLDI 2021 (the rule; its numbers are settings here).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.graph.ir import Graph, Node
from glocert.graph.run import run

_STILL = frozenset({"Reshape", "Transpose"})
_WEIGHTED = frozenset({"Conv", "Gemm", "MatMul", "Mul", "Div"})
_SHIFTED = frozenset({"Add", "Sub"})


class NoRoom(Exception):
    """The chain is longer than is allowed, merged or not."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How chains are shortened.

    Attributes:
        long: chains of more pieces are shortened before a convolution.
        share: quantile of the lengths below which pieces may be merged.
        parts: a box covers at most so great a part of the chain: one in ``parts``.
        most: rows that there is room for.
    """

    long: int = 1000
    share: float = 0.02
    parts: float = 100.0
    most: int = 20_000

    def stronger(self) -> Setting:
        """Return the setting of the next attempt."""
        return Setting(self.long, min(1.5 * self.share, 1.0), max(0.95 * self.parts, 5.0), self.most)


@dataclass(frozen=True, slots=True)
class Merged:
    """What is known after all.

    Attributes:
        lower: least probability that the label wins.
        upper: greatest.
        rows: pieces and boxes at the end.
        attempts: 1 where nothing had to begin again.
    """

    lower: float
    upper: float
    rows: int
    attempts: int


@dataclass(frozen=True, slots=True, eq=False)
class _Chain:
    """Rows in the order of t: what is straight has ends, what is a box has a centre and a radius.

    Attributes:
        t: where the rows begin, and 1; shape (m + 1,).
        left: values at the beginning, or the centre of a box; shape (m, *shape).
        right: values at the end, or the centre again.
        radius: zero of what is straight.
        box: which rows are boxes.
    """

    t: NDArray[np.float64]
    left: Tensor
    right: Tensor
    radius: Tensor
    box: Tensor


def merged(graph: Graph, start: Tensor, stop: Tensor, label: int, setting: Setting | None = None) -> Merged:
    """Follow the straight line between two inputs.

    Args:
        graph: a chain of affine nodes, Relu and Clip.
        start: float64, of the input's shape.
        stop: likewise.
        label: class that should win.
        setting: of the first attempt.

    Raises:
        ValueError: a node is of no such kind.
    """
    wanted, attempts = setting or Setting(), 1
    while True:
        try:
            return _followed(graph, start, stop, label, wanted, attempts)
        except NoRoom:
            wanted, attempts = wanted.stronger(), attempts + 1


def _followed(
    graph: Graph, start: Tensor, stop: Tensor, label: int, wanted: Setting, attempts: int
) -> Merged:
    chain = _Chain(
        np.array([0.0, 1.0]), start[None], stop[None], torch.zeros_like(start)[None], torch.tensor([False])
    )
    for node in graph.nodes:
        if node.operator in {"Conv", "ConvTranspose"} and len(chain.box) > wanted.long:
            chain = _shortened(chain, wanted)
        if node.operator == "Relu":
            chain = _bent(chain, 0.0, np.inf)
        elif node.operator == "Clip":
            chain = _bent(chain, node.number("min"), node.number("max"))
        else:
            chain = _mapped(graph, node, chain)
        if len(chain.box) > wanted.most:
            raise NoRoom
    return _decided(chain, label, attempts)


def _mapped(graph: Graph, node: Node, chain: _Chain) -> _Chain:
    source = node.inputs[0]
    alone = Graph(
        source, node.output, (node,),
        {name: graph.parameters[name] for name in node.inputs[1:]},
        {name: graph.shapes[name] for name in (source, node.output)},
    )  # fmt: skip
    given = {name: torch.tensor(array, dtype=torch.float64) for name, array in alone.parameters.items()}
    left, right = (run(alone, part, given) for part in (chain.left, chain.right))
    return _Chain(chain.t, left, right, _spread(alone, node, chain.radius, given), chain.box)


def _spread(alone: Graph, node: Node, radius: Tensor, given: Mapping[str, Tensor]) -> Tensor:
    """Return what the sizes of the weights make of a radius."""
    if node.operator in _SHIFTED:
        return radius
    names = node.inputs[1:]
    if node.operator == "BatchNormalization":
        scale, shift, mean, variance = names
        sizes = {scale: given[scale].abs(), shift: 0 * given[shift], mean: 0 * given[mean]}
        return run(alone, radius, sizes | {variance: given[variance]})
    if node.operator in _STILL:
        return run(alone, radius)
    if node.operator not in _WEIGHTED:
        raise ValueError(f"{node.operator} is not part of this comparison")
    sizes = {name: given[name].abs() if place == 0 else 0 * given[name] for place, name in enumerate(names)}
    return run(alone, radius, sizes)


def _bent(chain: _Chain, low: float, high: float) -> _Chain:
    """Cut pieces where a number crosses a level, then clamp everything."""
    cut = chain
    for level in (low, high):
        if np.isfinite(level):
            cut = _cut(cut, level)
    lower, upper = (part.clamp(low, high) for part in (cut.left - cut.radius, cut.left + cut.radius))
    box = cut.box.view(-1, *[1] * (cut.left.dim() - 1))
    middle = (lower + upper) / 2
    return _Chain(
        cut.t,
        torch.where(box, middle, cut.left.clamp(low, high)),
        torch.where(box, middle, cut.right.clamp(low, high)),
        torch.where(box, (upper - lower) / 2, cut.radius),
        cut.box,
    )


def _cut(chain: _Chain, level: float) -> _Chain:
    straight = (~chain.box).nonzero().flatten()
    a, b = (part[straight].flatten(1) - level for part in (chain.left, chain.right))
    row, place = torch.nonzero(a.sign() * b.sign() < 0, as_tuple=True)
    share = a[row, place] / (a[row, place] - b[row, place])
    rows = straight[row].numpy()
    width = np.diff(chain.t)
    crossings = chain.t[rows] + share.numpy() * width[rows]
    t = np.unique(np.concatenate([chain.t, crossings]))
    owner = np.searchsorted(chain.t, t[:-1], side="right") - 1
    begin, end = ((t[side] - chain.t[owner]) / width[owner] for side in (slice(0, -1), slice(1, None)))
    shape = (-1, *[1] * (chain.left.dim() - 1))
    left, right = chain.left[owner], chain.right[owner]
    ends = [left + torch.from_numpy(part).view(shape) * (right - left) for part in (begin, end)]
    return _Chain(t, ends[0], ends[1], chain.radius[owner], chain.box[owner])


def _shortened(chain: _Chain, wanted: Setting) -> _Chain:
    lengths = (chain.right - chain.left).flatten(1).norm(dim=1).numpy()
    small = lengths <= np.quantile(lengths[~chain.box.numpy()], wanted.share) if (~chain.box).any() else None
    if small is None:
        raise NoRoom
    groups: list[list[int]] = []
    most = max(2, int(len(lengths) / wanted.parts))
    for at in range(len(lengths)):
        together = at and small[at] and small[at - 1] and len(groups[-1]) < most
        if together:
            groups[-1].append(at)
        else:
            groups.append([at])
    first = np.array([group[0] for group in groups])
    box = torch.tensor([len(group) > 1 for group in groups]) | chain.box[first]
    centres, radii = [], []
    for group in groups:
        low = torch.minimum(chain.left[group] - chain.radius[group], chain.right[group] - chain.radius[group])
        high = torch.maximum(
            chain.left[group] + chain.radius[group], chain.right[group] + chain.radius[group]
        )
        low, high = low.amin(0), high.amax(0)
        centres.append((low + high) / 2)
        radii.append((high - low) / 2)
    shape = (-1, *[1] * (chain.left.dim() - 1))
    centre, radius = torch.stack(centres), torch.stack(radii)
    boxed = box.view(shape)
    return _Chain(
        np.append(chain.t[first], 1.0),
        torch.where(boxed, centre, chain.left[first]),
        torch.where(boxed, centre, chain.right[first]),
        torch.where(boxed, radius, torch.zeros_like(radius)),
        box,
    )


def _decided(chain: _Chain, label: int, attempts: int) -> Merged:
    weights = np.diff(chain.t)
    holds, fails = np.zeros(len(weights)), np.zeros(len(weights))
    leads = [_lead(part, label) for part in (chain.left, chain.right)]
    spread = chain.radius.flatten(1)[:, label : label + 1] + chain.radius.flatten(1)
    for row in range(len(weights)):
        if chain.box[row]:
            least, most = leads[0][row] - spread[row], leads[0][row] + spread[row]
            others = torch.arange(len(least)) != label
            holds[row] = float((least[others] > 0).all())
            fails[row] = float((most[others] < 0).any())
        else:
            holds[row] = _winning(leads[0][row], leads[1][row], label)
            fails[row] = 1.0 - holds[row]
    return Merged(float(holds @ weights), 1.0 - float(fails @ weights), len(weights), attempts)


def _lead(scores: Tensor, label: int) -> Tensor:
    flat = scores.flatten(1)
    return flat[:, label : label + 1] - flat


def _winning(start: Tensor, stop: Tensor, label: int) -> float:
    """Return on which share of a straight piece all leads are above zero: they are on one interval."""
    low, high = 0.0, 1.0
    for place, (a, b) in enumerate(zip(start.tolist(), stop.tolist(), strict=True)):
        if place == label:
            continue
        if a <= 0 and b <= 0:
            return 0.0
        if a <= 0:
            low = max(low, a / (a - b))
        elif b <= 0:
            high = min(high, a / (a - b))
    return max(0.0, high - low)
