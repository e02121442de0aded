"""Verdicts about many segments through one network, followed together: small networks cost mostly calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from glocert.budget import Budget
from glocert.laws import Law
from glocert.paths.question import check_question
from glocert.paths.segment import Segment
from glocert.report import SegmentReport
from glocert.segments.closer import decided, left_open
from glocert.segments.events.many import followed
from glocert.segments.pieces import Run
from glocert.segments.program import Program
from glocert.segments.runs import run
from glocert.segments.verdicts import Tally
from glocert.segments.walk import follow, together

Asked = tuple[Segment, int, float, bool, Law]
"""path, label, margin, whether the labels along the path are listed, and the law of t"""
_CHUNK = 16
"""paths that are followed event by event before time is looked at"""


@torch.inference_mode()
def certify_many(program: Program, questions: Sequence[Asked], budget: Budget) -> list[SegmentReport]:
    """Decide many segments, see ``certify``; every path is followed to its end or to the end of the budget.

    Args:
        program: the network.
        questions: what is asked of each path.
        budget: limits of all together.

    Raises:
        InvalidSpec: a question does not fit the network.
    """
    for path, label, margin, *_ in questions:
        check_question(program.graph, path, label, margin)
    way = _by_grids if program.events is None else _by_events
    tallies = way(program, questions, budget)
    return [program.execution.explained(tally.report()) for tally in tallies]


def _by_events(program: Program, questions: Sequence[Asked], budget: Budget) -> list[Tally]:
    """Follow a few paths with one call, and then what that has left of some of them."""
    network, tallies = program.events, [_tally(asked) for asked in questions]
    assert network is not None
    pairs = list(zip(questions, tallies, strict=True))
    quick = [pair for pair in pairs if not pair[1].partition]
    for first in range(0, len(quick), _CHUNK):
        if budget.out_of_time:
            break
        chunk = quick[first : first + _CHUNK]
        found = followed(network, [asked[:3] for asked, _ in chunk], budget)
        for (asked, tally), start in zip(chunk, found, strict=True):
            if not left_open(start.found):
                tally.take(*start)
            _go_on(program, asked, budget, tally)
    for asked, tally in pairs:
        if tally.partition:
            _go_on(program, asked, budget, tally)
    return tallies


def _go_on(program: Program, asked: Asked, budget: Budget, tally: Tally) -> None:
    """Follow what is left of a path."""
    path, label, margin, *_ = asked
    if tally.done == 1.0:
        return
    for part, found in decided(program, path, budget, (tally.done, 1.0), (label, margin)):
        if tally.pieces >= budget.pieces:
            return
        tally.add(part, found)


def _by_grids(program: Program, questions: Sequence[Asked], budget: Budget) -> list[Tally]:
    """Follow all paths in the same blocks.

    One radius holds for all paths of a block, so it is larger than for each alone, and a verdict closer to a
    tie than that may stay undecided where it would not alone.
    """
    tallies, pieces = [_tally(asked) for asked in questions], 0
    for block in follow(program, together(program, [path for path, *_ in questions]), budget):
        for at, part in _apart(run(program, block)):
            tallies[at].add(part)
            pieces += len(part.t) - 1
        if pieces >= budget.pieces:
            break
    return tallies


def _tally(asked: Asked) -> Tally:
    _, label, margin, partition, law = asked
    return Tally(label, margin, partition, law)


def _apart(whole: Run) -> Iterator[tuple[int, Run]]:
    """Yield the run of each path with its position, the parameters in [0, 1] again: an exact difference."""
    path = np.floor_divide(whole.t, 2).astype(np.int64)
    for at in np.unique(path):
        mine = path == at
        if mine.sum() > 1:
            yield int(at), Run(whole.t[mine] - 2.0 * at, whole.scores[mine], whole.radius)
