"""The curve of scores along a segment: event by event where that suits the network, else by grids."""

from __future__ import annotations

from collections.abc import Iterator

from glocert.budget import Budget
from glocert.paths.segment import Segment
from glocert.segments.events import sweep
from glocert.segments.pieces import Run
from glocert.segments.program import Program
from glocert.segments.walk import Block, blocks


def runs(
    program: Program, segment: Segment, budget: Budget, span: tuple[float, float] = (0.0, 1.0)
) -> Iterator[Run]:
    """Follow a part of a segment; yield runs of the curve in order of t, each from where the last one ends.

    Stops early, between two runs, when the budget's deadline has passed: the rest of the part is missing.
    """
    if program.events is not None:
        yield from sweep.runs(program.events, segment, budget, span)
    else:
        yield from (run(program, block) for block in blocks(program, segment, budget, span))


def run(program: Program, block: Block) -> Run:
    """Return the scores of a block that has gone through the whole program."""
    output = block.live[program.graph.output]
    t, values, radius, places = (
        part.cpu().numpy() for part in (block.t, output.values, output.radius, program.exit)
    )
    return Run(t, values.take(places, axis=1), radius.take(places))
