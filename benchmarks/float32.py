"""The exact curve in float32 without any proof: the fast, unproven way that the engine is measured against.

The vertices are those of ``glocert.segments`` up to rounding, but nothing is known about them: no radius, no
extents, float32 kernels (oneDNN for convolutions). Only t stays in float64, as real networks have pieces that
float32 cannot tell apart. Depth first, in blocks that the caches of a processor hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv2d, pad

from glocert.graph.ir import Graph
from glocert.paths.segment import Segment
from glocert.segments import prepare as prepare_proven
from glocert.segments.knots import Knots
from glocert.segments.ops.affine import Dense, Pointwise, Sum, Total
from glocert.segments.ops.convolution import Convolution
from glocert.segments.ops.kinks import Bent
from glocert.segments.ops.layout import Same
from glocert.segments.ops.maxima import Maximum
from glocert.segments.ops.pooling import Average
from glocert.segments.ops.registry import Gathered

Float64 = NDArray[np.float64]
Indices = NDArray[np.int64]
Map = Callable[..., Tensor]
Cuts = Callable[[Float64, Tensor], Float64]

_BLOCK = 2**21
_ROWS = 64
_MANY = 8


@dataclass(frozen=True, slots=True)
class Step:
    """One node.

    Attributes:
        run: maps the values at the vertices, shape (vertices, n).
        cuts: (t, values) -> where it bends, float64; None for affine nodes.
        inputs: activations that it reads.
        output: activation that it makes.
        dead: activations that nobody reads after it.
        width: numbers that a vertex holds at most up to the next kink.
    """

    run: Map
    cuts: Cuts | None
    inputs: tuple[str, ...]
    output: str
    dead: frozenset[str]
    width: int


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A network in float32."""

    input: str
    output: str
    steps: tuple[Step, ...]
    load: Callable[[Float64], Tensor]
    exit: Tensor


@dataclass(frozen=True, slots=True)
class Found:
    """What the curve says about one label: computed, not proven.

    Attributes:
        points: vertices.
        holds: whether the label wins everywhere.
        share: share of [0, 1] on which it wins.
    """

    points: int
    holds: bool
    share: float


def prepare(graph: Graph) -> Program:
    """Make a program in float32.

    Raises:
        TypeError: the network has an operator that this baseline does not know.
    """
    proven = prepare_proven(graph)
    steps = tuple(
        Step(*_twin(step.transfer), step.inputs, step.output, step.dead, step.width) for step in proven.steps
    )
    names = proven.graph.input, proven.graph.output
    return Program(*names, steps, lambda array: proven.load(array).float(), proven.exit)


def certify(program: Program, segment: Segment, label: int) -> Found:
    """Follow the segment and say where ``label`` wins."""
    points, holds, share = 1, True, 0.0
    for t, scores in follow(program, segment):
        points += len(t) - 1
        length, everywhere = _won(t, scores, label)
        holds, share = holds and everywhere, share + length
    return Found(points, holds, share)


def _won(t: Float64, scores: Float64, label: int) -> tuple[float, bool]:
    """Return the length on which the label wins, and whether it wins on all pieces."""
    lines = scores[:, label, None] - np.delete(scores, label, axis=1)
    above = lines > 0
    if above.all():
        return float(t[-1] - t[0]), True
    before, after = above[:-1], above[1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        crossing = lines[:-1] / (lines[:-1] - lines[1:])
    start = np.where(before, 0.0, crossing).max(axis=1)
    stop = np.where(after, 1.0, crossing).min(axis=1)
    never = (~before & ~after).any(axis=1) | (stop <= start)
    shares = np.where(never, 0.0, stop - start)
    return float((shares * np.diff(t)).sum()), False


def follow(program: Program, segment: Segment) -> Iterator[tuple[Float64, Float64]]:
    """Yield t and scores of each part of the curve, in order of t."""
    values = torch.stack([program.load(segment.start), program.load(segment.stop)])
    pending: list[Iterator[Part]] = [iter(((0, np.array([0.0, 1.0]), {program.input: values}),))]
    while pending:
        part = next(pending[-1], None)
        if part is None:
            pending.pop()
            continue
        position, t, live = part
        position = _advance(program, position, live)
        if position == len(program.steps):
            yield t, live[program.output].index_select(1, program.exit).double().numpy()
        else:
            pending.append(_bent(program, position, t, live))


Part = tuple[int, Float64, dict[str, Tensor]]


def _advance(program: Program, position: int, live: dict[str, Tensor]) -> int:
    while position < len(program.steps) and program.steps[position].cuts is None:
        step = program.steps[position]
        live[step.output] = step.run(*(live[name] for name in step.inputs))
        for name in step.dead:
            del live[name]
        position += 1
    return position


def _bent(program: Program, position: int, t: Float64, live: dict[str, Tensor]) -> Iterator[Part]:
    """Refine at a kink and yield the parts behind it."""
    step = program.steps[position]
    assert step.cuts is not None
    name = step.inputs[0]
    cuts = np.unique(step.cuts(t, live[name]))
    left = np.searchsorted(t, cuts, side="right") - 1
    share = torch.from_numpy(((cuts - t[left]) / (t[left + 1] - t[left])).astype(np.float32)).unsqueeze(1)
    new = left + np.arange(1, len(cuts) + 1)
    old = np.arange(len(t)) + np.searchsorted(cuts, t)
    merged = np.empty(len(t) + len(cuts))
    merged[old], merged[new] = t, cuts
    pieces = len(merged) - 1
    count = -(-pieces // max(_BLOCK // step.width, _ROWS))
    for at in range(count):
        first, last = pieces * at // count, pieces * (at + 1) // count
        olds, news = slice(0, len(old)), slice(0, len(new))
        if count > 1:
            olds, news = (slice(*np.searchsorted(where, (first, last + 1))) for where in (old, new))
        rows = _Rows(olds, old[olds] - first, new[news] - first, left[news], share[news])
        part = {key: rows.of(x) for key, x in live.items()}
        part[step.output] = step.run(part[name])
        for gone in step.dead:
            part.pop(gone, None)
        yield position + 1, merged[first : last + 1], part


@dataclass(frozen=True, slots=True)
class _Rows:
    """The vertices of one part.

    Attributes:
        olds: which of the vertices before are in it.
        kept: their places in the part.
        made: the places of the inserted ones.
        left: the vertices before on their left.
        share: their ratios between their neighbours, shape (inserted, 1).
    """

    olds: slice
    kept: Indices
    made: Indices
    left: Indices
    share: Tensor

    def of(self, x: Tensor) -> Tensor:
        """Return the values at the vertices of the part, in fresh memory."""
        values = x.new_empty(len(self.kept) + len(self.made), x.shape[1])
        values.index_copy_(0, torch.from_numpy(self.kept), x[self.olds])
        if not len(self.left):
            return values
        if len(self.left) >= _MANY * (self.left[-1] - self.left[0] + 1):
            self._runs(x, values)
            return values
        left = torch.from_numpy(self.left)
        between = torch.lerp(x.index_select(0, left), x.index_select(0, left + 1), self.share)
        return values.index_copy_(0, torch.from_numpy(self.made), between)

    def _runs(self, x: Tensor, values: Tensor) -> None:
        """Write what lies between two vertices at once, where much does."""
        starts = np.flatnonzero(np.diff(self.left, prepend=-1))
        for start, stop in zip(starts, [*starts[1:], len(self.left)], strict=True):
            row, piece = int(self.made[start]), int(self.left[start])
            target = values[row : row + stop - start]
            torch.lerp(x[piece], x[piece + 1], self.share[start:stop], out=target)


def _twin(transfer: Any) -> tuple[Map, Cuts | None]:
    """Return what a transfer does to the vertices in float32, and where it bends."""
    if isinstance(transfer, Bent):
        return transfer.apply, lambda t, x: _crossings(t, x, transfer.levels)
    if isinstance(transfer, Maximum):
        return lambda x: transfer.pool(_bare(x)).maxima, lambda t, x: transfer.cuts(
            torch.from_numpy(t), _bare(x)
        ).numpy()
    return _affine(transfer), None


def _corners(transfer: Maximum, t: Float64, x: Tensor) -> Float64:
    return transfer.cuts(torch.from_numpy(t), _bare(x)).numpy()


def _bare(x: Tensor) -> Knots:
    return Knots(x, x[0])


def _crossings(t: Float64, values: Tensor, levels: tuple[float, ...]) -> Float64:
    """Return where a coordinate crosses one of the levels."""
    found, width, flat = [np.empty(0)], values.shape[1], values.numpy().reshape(-1)
    for level in levels:
        below = values < level
        at = np.flatnonzero((below[1:] != below[:-1]).numpy())
        before, after = flat[at].astype(np.float64), flat[at + width].astype(np.float64)
        piece = at // width
        start, stop = t[piece], t[piece + 1]
        cuts = start + (level - before) / (after - before) * (stop - start)
        found.append(cuts[(cuts > start) & (cuts < stop)])
    return np.concatenate(found)


def _affine(transfer: Any) -> Map:
    if isinstance(transfer, Dense):
        return _dense(transfer)
    if isinstance(transfer, Convolution):
        return _convolution(transfer)
    if isinstance(transfer, Pointwise):
        return _pointwise(transfer)
    if isinstance(transfer, Average):
        return replace(transfer, counts=transfer.counts.float()).apply
    if isinstance(transfer, Sum):
        return lambda x, y: torch.add(
            _picked(x, transfer.first), _picked(y, transfer.second), alpha=transfer.sign
        )
    if isinstance(transfer, Gathered):
        then = _affine(transfer.then)
        return lambda x: then(x.index_select(1, transfer.index))
    if isinstance(transfer, Total):
        return lambda x: x.view(len(x), -1, transfer.terms).sum(2)
    if isinstance(transfer, Same):
        return lambda x: x
    raise TypeError(type(transfer).__name__)


def _picked(x: Tensor, index: Tensor | None) -> Tensor:
    return x if index is None else x.index_select(1, index)


def _dense(transfer: Dense) -> Map:
    weight = transfer.weight.float()
    bias = weight.new_zeros(weight.shape[1]) if transfer.bias is None else transfer.bias.float()
    return lambda x: torch.addmm(bias, x.reshape(-1, len(weight)), weight).view(len(x), -1)


def _convolution(transfer: Convolution) -> Map:
    windows = transfer.windows
    height, width, _ = windows.image
    kernels = [w.t().reshape(w.shape[1], *windows.kernel, -1).permute(0, 3, 1, 2) for w in transfer.weights]
    kernel = torch.cat(kernels).float().contiguous(memory_format=torch.channels_last)
    bias = None if transfer.bias is None else transfer.bias.float()
    top, left, bottom, right = windows.pads
    even = (top, left) == (bottom, right)

    def run(x: Tensor) -> Tensor:
        images = x.view(len(x), height, width, -1).permute(0, 3, 1, 2)
        images = images if even else pad(images, (left, right, top, bottom))
        sides = (top, left) if even else 0
        out = conv2d(images, kernel, bias, windows.strides, sides, windows.dilations, len(transfer.weights))
        return out.permute(0, 2, 3, 1).reshape(len(x), -1)

    return run


def _pointwise(transfer: Pointwise) -> Map:
    """Evaluate ``g x + h``, whatever form the transfer has: read g and h off its values at 0 and 1."""
    zero = torch.zeros(1, len(transfer.floor), dtype=torch.float64)
    shift = transfer.apply(zero)
    factor = (transfer.apply(zero + 1) - shift).float()
    offset = shift.float()
    return lambda x: torch.addcmul(offset, x, factor)
