"""Bisection with forward bounds in float32, without a proof: what the engine is measured against, too.

Every activation on a part of the path is a line in u and an error, as in ``glocert.forms``, but nothing is
charged for rounding, and everything is written for speed: float32, oneDNN, all parts of a round in one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.graph.ir import Graph, Node
from glocert.graph.run import run
from glocert.paths.segment import Segment

Float64 = NDArray[np.float64]

_FIRST = 4
_MOST = 256
_NARROWEST = 2.0**-24
_SMALL = 1e-30
_AFFINE = {
    "Gemm", "MatMul", "Conv", "Add", "Sub", "Mul", "Div", "BatchNormalization", "AveragePool", "ReduceSum",
    "Reshape", "Transpose", "Gather", "Pad", "Concat",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lines:
    """``x(u) in centre + slope u +- error``, u in [-1, 1], up to rounding.

    Attributes:
        both: centre and slope, shape (2, rows, *shape).
        error: shape (rows, *shape).
    """

    both: Tensor
    error: Tensor


Transfer = Callable[..., Lines]


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A network in float32: its nodes, with the activations that nobody reads after each."""

    graph: Graph
    steps: tuple[tuple[Node, Transfer, frozenset[str]], ...]

    def scores(self, x: Lines) -> Lines:
        """Take the input to the scores, shape (2, rows, classes)."""
        live = {self.graph.input: x}
        for node, transfer, dead in self.steps:
            live[node.output] = transfer(
                *(live[name] for name in node.inputs if self.graph.is_activation(name))
            )
            for name in dead:
                del live[name]
        found = live[self.graph.output]
        return Lines(found.both.flatten(2), found.error.flatten(1))


@dataclass(frozen=True, slots=True)
class Found:
    """What the bisection says about one label: computed, not proven.

    Attributes:
        boxes: parts that were bounded.
        holds: whether the label wins everywhere; None where that is open.
        low: share of [0, 1] on which it wins.
        high: share on which it may win.
    """

    boxes: int
    holds: bool | None
    low: float
    high: float


def prepare(graph: Graph) -> Program:
    """Make a program in float32.

    Raises:
        TypeError: the network has an operator that this baseline does not know.
    """
    last = {name: at for at, node in enumerate(graph.nodes) for name in node.inputs}
    steps = []
    for at, node in enumerate(graph.nodes):
        dead = frozenset(n for n in node.inputs if graph.is_activation(n) and last[n] == at)
        steps.append((node, _transfer(graph, node), dead))
    return Program(graph, tuple(steps))


def certify(program: Program, segment: Segment, label: int, gap: float = 1e-3) -> Found:
    """Halve the parts of the path that are open until their share is at most ``gap``."""
    start = torch.tensor(segment.start, dtype=torch.float32)
    change = torch.tensor(segment.stop - segment.start, dtype=torch.float32)
    others = [j for j in range(int(np.prod(program.graph.output_shape))) if j != label]
    cuts = np.linspace(0.0, 1.0, _FIRST + 1)
    pending = np.stack([cuts[:-1], cuts[1:]], 1)
    safe = lost = 0.0
    boxes = 0
    while len(pending) and (pending[:, 1] - pending[:, 0]).sum() > gap:
        rows, pending = pending[:_MOST], pending[_MOST:]
        boxes += len(rows)
        won, broken = _decided(program.scores(_entry(start, change, rows)), label, others)
        widths = rows[:, 1] - rows[:, 0]
        safe, lost = safe + float(widths[won].sum()), lost + float(widths[broken].sum())
        left = rows[~won & ~broken & (widths > _NARROWEST)]
        middle = left.mean(1)
        halves = np.concatenate([np.stack([left[:, 0], middle], 1), np.stack([middle, left[:, 1]], 1)])
        pending = np.concatenate([pending, halves])
    holds = False if lost else (True if not len(pending) and safe > 1 - gap else None)
    return Found(boxes, holds, safe, 1.0 - lost)


def _entry(start: Tensor, change: Tensor, rows: Float64) -> Lines:
    shape = (-1, *(1,) * start.ndim)
    middle, half = (
        torch.tensor(column, dtype=torch.float32).view(shape)
        for column in (rows.mean(1), (rows[:, 1] - rows[:, 0]) / 2)
    )
    both = torch.stack([start + middle * change, half * change])
    return Lines(both, torch.zeros_like(both[0]))


def _decided(scores: Lines, label: int, others: list[int]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return on which rows all margins are positive, and on which one is negative."""
    lines = scores.both[:, :, label, None] - scores.both[:, :, others]
    reach = lines[1].abs() + scores.error[:, label, None] + scores.error[:, others]
    won, lost = (lines[0] > reach).all(1), (lines[0] < -reach).any(1)
    return won.numpy(), lost.numpy()


def _transfer(graph: Graph, node: Node) -> Transfer:
    activations = [name for name in node.inputs if graph.is_activation(name)]
    if node.operator in {"Add", "Sub"} and len(activations) == 2:
        return _sum(graph, node)
    if node.operator in _AFFINE and len(activations) == 1:
        return _affine(graph, node, activations[0])
    if node.operator == "Relu":
        return _relu
    if node.operator == "Clip":
        return _clip(node.number("min"), node.number("max"))
    if node.operator == "MaxPool" and not any(node.ints("pads")) and set(node.ints("dilations")) <= {1}:
        return _maximum(node)
    raise TypeError(node.operator)


def _sum(graph: Graph, node: Node) -> Transfer:
    shapes = {graph.shapes[name] for name in node.inputs}
    if len(shapes) > 1:
        raise TypeError(f"{node.operator} of shapes {sorted(shapes)}")
    sign = 1 if node.operator == "Add" else -1
    return lambda x, y: Lines(torch.add(x.both, y.both, alpha=sign), x.error + y.error)


def _affine(graph: Graph, node: Node, name: str) -> Transfer:
    """Run the node as it is on zero, without its shifts on lines, with absolute factors on errors."""
    used = {other: graph.parameters[other] for other in node.inputs if other != name}
    shapes = {key: graph.shapes[key] for key in (name, node.output)}
    alone = Graph(name, node.output, (node,), used, shapes)
    exact = {key: torch.tensor(value, dtype=torch.float32) for key, value in used.items()}
    shifts = _shifts(node, used)
    factors = {key: value * 0 if key in shifts else value for key, value in exact.items()}
    sizes = {key: value.abs() for key, value in factors.items()}
    bare = alone
    if node.operator == "Pad":
        bare = replace(alone, nodes=(replace(node, attributes={**node.attributes, "value": 0.0}),))
    offset = run(alone, torch.zeros(1, *graph.shapes[name]), exact)
    moved = bool(offset.any())

    def apply(x: Lines) -> Lines:
        both = run(bare, x.both.flatten(0, 1), factors).unflatten(0, (2, -1))
        if moved:
            both[0] += offset
        return Lines(both, run(bare, x.error, sizes).abs())

    return apply


def _shifts(node: Node, used: Mapping[str, object]) -> set[str]:
    """Return the parameters that are added, not multiplied."""
    if node.operator in {"Add", "Sub", "Concat"}:
        return set(used)
    if node.operator == "BatchNormalization":
        return {node.inputs[2], node.inputs[3]}
    return set(node.inputs[2:]) if node.operator in {"Gemm", "Conv"} else set()


def _relu(x: Lines) -> Lines:
    """The chord of the range, moved halfway towards the kink."""
    reach = x.both[1].abs() + x.error
    low = x.both[0] - reach
    high = x.both[0] + reach
    low_value = low.clamp(min=0)
    gain = (high.clamp(min=0) - low_value).div_((high - low).clamp_(min=_SMALL))
    gain = torch.where(low >= 0, 1.0, gain)
    half = low_value.sub_(gain * low).mul_(0.5).clamp_(min=0)
    both = x.both * gain
    both[0] += half
    return Lines(both, x.error * gain + half)


def _clip(low: float, high: float) -> Transfer:
    """``low + relu(x - low) - relu(x - high)``."""

    def kink(x: Lines, level: float) -> Lines:
        both = x.both.clone()
        both[0] -= level
        return _relu(Lines(both, x.error))

    def apply(x: Lines) -> Lines:
        if low > -np.inf:
            x = kink(x, low)
            x.both[0] += low
        if high < np.inf:
            above = kink(Lines(-x.both, x.error), -high)
            x = Lines(-above.both, above.error)
            x.both[0] += high
        return x

    return apply


def _maximum(node: Node) -> Transfer:
    """``max(a, b) = b + relu(a - b)``, one place of the window after the other."""
    (down, across), strides = node.ints("kernel_shape"), node.ints("strides")

    def place(x: Tensor, top: int, left: int) -> Tensor:
        height = (x.shape[-2] - down) // strides[0] * strides[0] + 1
        width = (x.shape[-1] - across) // strides[1] * strides[1] + 1
        return x[..., top : top + height : strides[0], left : left + width : strides[1]]

    def apply(x: Lines) -> Lines:
        best = Lines(place(x.both, 0, 0), place(x.error, 0, 0))
        for at in range(1, down * across):
            top, left = divmod(at, across)
            best = _larger(best, Lines(place(x.both, top, left), place(x.error, top, left)))
        return best

    return apply


def _larger(b: Lines, a: Lines) -> Lines:
    """Mix two forms with the gain of the kink: ``(1 - g) b + g a``."""
    difference = a.both - b.both
    reach = difference[1].abs() + a.error + b.error
    low, high = difference[0] - reach, difference[0] + reach
    gain = torch.where(low >= 0, 1.0, high.clamp(min=0) / (high - low).clamp(min=_SMALL)).clamp(max=1)
    half = torch.where(low >= 0, 0.0, -gain * low / 2)
    both = b.both + difference * gain
    both[0] += half
    return Lines(both, b.error * (1 - gain) + a.error * gain + half)
