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
from glocert.segments.pieces import Run
from glocert.segments.program import Program
from glocert.segments.runs import run
from glocert.segments.verdicts import Tally
from glocert.segments.walk import follow, together

Asked = tuple[Segment, int, float, bool, Law]
"""path, label, margin, whether the labels along the path are listed, and the law of t"""


@torch.inference_mode()
def certify_many(program: Program, questions: Sequence[Asked], budget: Budget) -> list[SegmentReport]:
    """Decide many segments, see ``certify``; every path is followed to its end or to the end of the budget.

    One radius holds for all paths of a block, so it is larger than for each alone, and a verdict closer to a
    tie than that may stay undecided where it would not alone.

    Args:
        program: the network.
        questions: what is asked of each path.
        budget: limits of all together.

    Raises:
        InvalidSpec: a question does not fit the network.
    """
    for path, label, margin, *_ in questions:
        check_question(program.graph, path, label, margin)
    tallies = [Tally(label, margin, partition, law) for _, label, margin, partition, law in questions]
    pieces = 0
    for block in follow(program, together(program, [path for path, *_ in questions]), budget):
        for at, part in _apart(run(program, block)):
            tallies[at].add(part)
            pieces += len(part.t) - 1
        if pieces >= budget.pieces:
            break
    return [program.execution.explained(tally.report()) for tally in tallies]


def _apart(whole: Run) -> Iterator[tuple[int, Run]]:
    """Yield the run of each path with its position, the parameters in [0, 1] again: an exact difference."""
    path = np.floor_divide(whole.t, 2).astype(np.int64)
    for at in np.unique(path):
        mine = path == at
        if mine.sum() > 1:
            yield int(at), Run(whole.t[mine] - 2.0 * at, whole.scores[mine], whole.radius)
