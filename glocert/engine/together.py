"""Short questions a few at a time: after a glance where that pays, and with one call for many paths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple

import torch

from glocert.budget import Budget
from glocert.engine.glance import BATCH, FEWEST, FIRST, glance, pays
from glocert.engine.program import Program
from glocert.engine.question import Answer, Asked
from glocert.engine.threads import one_thread, side_by_side
from glocert.report import SegmentReport
from glocert.segments.events.many import Batch, First, Runs
from glocert.segments.many import finished, settled

Said = tuple[Asked, First | SegmentReport | None, float]
"""a question, what its first run says if there was one, and the seconds that this took"""

_SHARES = 8
"""parts of the work for each thread: the last ones to end leave little to wait for"""
_PART = 8, 32
"""fewest and most questions of a part: so many share its calls, and are answered at the same time"""


def together(program: Program, questions: Sequence[Asked], budget: Budget) -> Iterator[Answer]:
    """Answer short questions a few at a time, as they come.

    This thread packs and tells, others follow, so that hardly any two of them wait for Python.

    Args:
        program: the network, which is followed event by event.
        questions: with their positions, about straight paths whose labels nobody asks for.
        budget: limits of all together.
    """
    seen = questions[:FIRST] if program.cost.convolutional and len(questions) >= FEWEST else []
    left, rest = seen, questions[len(seen) :]
    glances, spent = False, 0.0
    if seen and not budget.out_of_time:
        answers, left, spent = _glanced(program, budget, seen)
        glances = pays(len(answers), len(seen))
        yield from answers
    parts = chain(_packed(program, left, spent), _unseen(rest) if glances else _packed(program, rest))
    again = []
    for answers, said in side_by_side(partial(_run, program, budget), parts):
        yield from answers
        for asked, told, seconds in said:
            report = None if told is None else settled(asked[1].followed, told)
            if report is None:
                again.append((asked, told, seconds))
            else:
                yield Answer(asked[0], report, seconds)
    yield from side_by_side(partial(_finished, program, budget), again)


def _glanced(
    program: Program, budget: Budget, questions: Sequence[Asked]
) -> tuple[list[Answer], list[Asked], float]:
    """Return the answers of a glance, the questions that it leaves, and what each took of its time."""
    began = budget.clock()
    with one_thread():
        seen = glance(program, [one for _, one in questions])
    each = (budget.clock() - began) / len(questions)
    pairs = list(zip(questions, seen, strict=True))
    answers = [Answer(at, report, each) for (at, _), report in pairs if report is not None]
    return answers, [asked for asked, report in pairs if report is None], each


class _Part(NamedTuple):
    """Questions that are followed with one call; those that are not packed yet are glanced at before."""

    asked: Sequence[Asked]
    batch: Batch | None = None
    spent: float = 0.0


def _unseen(questions: Sequence[Asked]) -> Iterator[_Part]:
    """Yield parts that are to be glanced at."""
    return (_Part(questions[at : at + BATCH]) for at in range(0, len(questions), BATCH))


def _packed(program: Program, questions: Sequence[Asked], spent: float = 0.0) -> Iterator[_Part]:
    """Yield parts that are to be followed, each question having taken so many seconds."""
    even = -(-len(questions) // (_SHARES * torch.get_num_threads()))
    size = min(max(even, _PART[0]), _PART[1])
    for at in range(0, len(questions), size):
        part = questions[at : at + size]
        yield _Part(part, _batch(program, part), spent)


def _batch(program: Program, questions: Sequence[Asked]) -> Batch:
    assert program.curve.events is not None
    return Batch.of(program.curve.events, [one.followed[:3] for _, one in questions])


def _run(program: Program, budget: Budget, part: _Part) -> tuple[list[Answer], Iterator[Said]]:
    """Glance at a part and follow it; each of its questions has its share of the time."""
    answers: list[Answer] = []
    asked, batch, spent = part
    if batch is None and not budget.out_of_time:
        answers, asked, spent = _glanced(program, budget, asked)
        batch = _batch(program, asked) if asked else None
    if batch is None or budget.out_of_time:
        return answers, ((one, None, spent) for one in asked)
    began = budget.clock()
    runs = batch.followed(budget.within(sum(one.seconds - spent for _, one in asked)))
    return answers, _said(asked, runs, spent + (budget.clock() - began) / len(asked))


def _said(questions: Sequence[Asked], runs: Runs, seconds: float) -> Iterator[Said]:
    """Yield what first runs say, in the thread that wants to know."""
    for asked, told in zip(questions, runs.told(), strict=True):
        yield asked, told, seconds


def _finished(program: Program, budget: Budget, left: Said) -> Answer:
    """Go on with a question whose first run has left something."""
    (at, question), told, spent = left
    began, limits = budget.clock(), budget.within(question.seconds - spent)
    report = finished(program.curve, question.followed, limits, told)
    return Answer(at, report, spent + budget.clock() - began)
