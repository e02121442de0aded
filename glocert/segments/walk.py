"""Following a segment through a program, depth first, so that memory stays bounded.

A block is a part of the path with the live activations at its vertices. It runs through affine steps as it
is. At a kink its grid is refined and cut into blocks of a bounded number of vertices, which go through the
rest of the network one after the other, in order of t; they share the vertex at their border. Cutting changes
no vertex, so the result does not depend on the size of the blocks: a few megabytes, which the caches of a
processor hold, but not so few vertices that the radius costs more than they do, and never more than the
budget's share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from glocert.budget import Budget
from glocert.paths.segment import Segment
from glocert.segments.grid import Grid, insert, joins, ranges, refine
from glocert.segments.knots import Knots
from glocert.segments.ops.registry import Affine, Follower, Kink
from glocert.segments.program import Program, is_kink

_CACHED = 2**19
_ROWS = 48
_SHARE = 4


@dataclass(slots=True)
class Block:
    """A part of the path on its way through the network.

    Attributes:
        position: the step that comes next.
        t: float64, shape (vertices,), strictly increasing.
        live: the activations that somebody still reads, by name.
        owned: whether no two of ``live`` share memory, with each other or with another block.
    """

    position: int
    t: Tensor
    live: dict[str, Knots]
    owned: bool = False


def blocks(
    program: Program, segment: Segment, budget: Budget, span: tuple[float, float] = (0.0, 1.0)
) -> Iterator[Block]:
    """Follow a part of a segment, see ``follow``."""
    return follow(program, start(program, segment, span), budget)


def follow(program: Program, first: Block, budget: Budget) -> Iterator[Block]:
    """Take a block through the network; yield the parts of the curve at the output, in order of t.

    Stops early, between two blocks, when the budget's deadline has passed: the rest of the path is then
    missing.
    """
    most = budget.block_bytes // (8 * _SHARE)
    pending: list[Iterator[Block]] = [iter((first,))]
    while pending:
        block = next(pending[-1], None)
        if block is None:
            pending.pop()
            continue
        if budget.out_of_time:
            return
        _advance(program, block)
        if block.position == len(program.steps):
            yield block
        else:
            pending.append(_bent(program, block, most))


def together(program: Program, paths: Sequence[Segment]) -> Block:
    """Return several whole paths in front of the network as one block, see ``grid.joins``."""
    ends = program.lines(*(end for path in paths for end in (path.start, path.stop)))
    radius = torch.stack([program.load(path.radius) for path in paths]).amax(0)
    t = torch.arange(2 * len(paths), dtype=torch.float64, device=program.device)
    return Block(0, t, {program.graph.input: program.entered(Knots(ends, radius))})


def start(program: Program, segment: Segment, span: tuple[float, float] = (0.0, 1.0)) -> Block:
    """Return a part of the path in front of the network: two vertices.

    The ends of the whole path are exact up to the segment's own radius. Inner vertices are inserted like any
    other, so their rounding is charged.
    """
    x = program.entered(Knots(program.lines(segment.start, segment.stop), program.load(segment.radius)))
    t = torch.from_numpy(np.array([0.0, 1.0])).to(program.device)
    block = Block(0, t, {program.graph.input: x})
    inner = [end for end in span if 0.0 < end < 1.0]
    if not inner:
        return block
    grid = insert(t, torch.from_numpy(np.array(inner)))
    first, last = np.searchsorted(grid.t.cpu().numpy(), span).tolist()
    part = _part(block, grid, (first, last))
    _forget_extents(part)
    return part


def _advance(program: Program, block: Block) -> None:
    """Run the affine steps in front of the next kink."""
    while block.position < len(program.steps):
        step = program.steps[block.position]
        if is_kink(step.transfer):
            return
        transfer = cast("Affine", step.transfer)
        block.live[step.output] = transfer(*(block.live[name] for name in step.inputs))
        for name in step.dead:
            del block.live[name]
        block.position += 1


def _bent(program: Program, block: Block, most: int) -> Iterator[Block]:
    """Refine a block at its kink and yield the parts behind it."""
    step = program.steps[block.position]
    kink, name = cast("Kink", step.transfer), step.inputs[0]
    cuts = kink.cuts(block.t, block.live[name], joins(block.t))
    grid = insert(block.t, cuts) if len(cuts) else None
    t = block.t if grid is None else grid.t
    rows = min(max(_CACHED // step.width, _ROWS), most // step.width)
    for first, last in _runs(t, rows - 1):
        output = _followed(kink, block.live[name], t, grid, (first, last))
        skipped = name if output is not None and name in step.dead else None
        part = _part(block, grid, (first, last), skipped)
        if (first, last) != (0, len(t) - 1):
            _forget_extents(part)
        if last == len(t) - 1:
            block.live = {}
        if output is None:
            owned = part.owned and name in step.dead
            output = kink.bend(part.live[name], owned, joins(part.t))
        part.live[step.output] = output
        for gone in step.dead:
            part.live.pop(gone, None)
        part.position += 1
        yield part


def _followed(kink: Kink, x: Knots, t: Tensor, grid: Grid | None, window: tuple[int, int]) -> Knots | None:
    """Return the output on a part of the refined grid where the kink makes it in one pass, else None."""
    return cast("Follower", kink).follow(x, t, grid, window) if hasattr(kink, "follow") else None


def _runs(t: Tensor, most: int) -> Iterator[tuple[int, int]]:
    """Cut a grid into runs of at most ``most`` pieces; yield the first and last vertex of each.

    Paths that share a block share a radius, so a run holds whole paths, or a part of one.
    """
    if joins(t) is None:
        yield from ranges(len(t) - 1, most)
        return
    ends = [*(t[:-1] % 2 == 1).nonzero().squeeze(1).tolist(), len(t) - 1]
    first = 0
    for at, end in enumerate(ends):
        following = ends[at + 1] if at + 1 < len(ends) else None
        if end - first > most:
            yield from ((first + start, first + stop) for start, stop in ranges(end - first, most))
        elif following is None or following - first > most:
            yield first, end
        else:
            continue
        first = end + 1


def _forget_extents(block: Block) -> None:
    """Have extents computed anew: on a shorter part of the path they are smaller."""
    for x in block.live.values():
        x.low = x.high = x.top = None


def _part(block: Block, grid: Grid | None, window: tuple[int, int], skipped: str | None = None) -> Block:
    """Return the part of a block between two vertices of the new grid, without one of its activations."""
    first, last = window
    kept = {name: x for name, x in block.live.items() if name != skipped}
    if grid is not None:
        return Block(block.position, grid.t[first : last + 1], refine(kept, grid, first, last), owned=True)
    live = {name: Knots(x.values[first : last + 1], x.radius, *x.extent(), x.top) for name, x in kept.items()}
    return Block(block.position, block.t[first : last + 1], live)
