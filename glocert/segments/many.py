"""Verdicts about many segments through one network, followed together: small networks cost mostly calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from glocert.budget import Budget
from glocert.laws import Law
from glocert.paths.question import check_questions
from glocert.paths.segment import Segment
from glocert.report import SegmentReport
from glocert.segments.closer import decided, left_open
from glocert.segments.events.many import Batch, First
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
    check_questions(program.graph, questions)
    way = _by_grids if program.events is None else _by_events
    explained = program.execution.explained
    return [explained(report) for report in way(program, questions, budget)]


def settled(asked: Asked, told: First | SegmentReport) -> SegmentReport | None:
    """Return the answer if the first run of a path gives it; not where labels along the path are listed."""
    if isinstance(told, SegmentReport):
        return told
    if told.found.span[1] < 1.0 or left_open(told.found):
        return None
    tally = _tally(asked)
    tally.take(*told)
    return tally.report()


def finished(
    program: Program, asked: Asked, budget: Budget, told: First | SegmentReport | None = None
) -> SegmentReport:
    """Follow what the first run, where there was one, has left of a path."""
    path, label, margin, *_ = asked
    tally = _tally(asked)
    if isinstance(told, First) and not left_open(told.found):
        tally.take(*told)
    for part, found in decided(program, path, budget, (tally.done, 1.0), (label, margin)):
        if tally.pieces >= budget.pieces:
            break
        tally.add(part, found)
    return tally.report()


def _by_events(program: Program, questions: Sequence[Asked], budget: Budget) -> list[SegmentReport]:
    """Follow a few paths with one call, and then what that has left of some of them."""
    network = program.events
    assert network is not None
    first: dict[int, First | SegmentReport] = {}
    quick = [at for at, (_, _, _, listed, _) in enumerate(questions) if not listed]
    for start in range(0, len(quick), _CHUNK):
        if budget.out_of_time:
            break
        chunk = quick[start : start + _CHUNK]
        batch = Batch.of(network, [questions[at][:3] for at in chunk])
        first |= zip(chunk, batch.followed(budget).told(), strict=True)
    return [_answered(program, asked, budget, first.get(at)) for at, asked in enumerate(questions)]


def _answered(
    program: Program, asked: Asked, budget: Budget, told: First | SegmentReport | None
) -> SegmentReport:
    known = None if told is None else settled(asked, told)
    return finished(program, asked, budget, told) if known is None else known


def _by_grids(program: Program, questions: Sequence[Asked], budget: Budget) -> list[SegmentReport]:
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
    return [tally.report() for tally in tallies]


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
