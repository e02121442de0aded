"""Paths that are followed from the beginning to the end without bounding anything, on all threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar, cast

import torch

from glocert import segments
from glocert.budget import Budget
from glocert.engine.program import Program
from glocert.engine.question import Answer, Question
from glocert.paths.segment import Segment
from glocert.report import SegmentReport

Asked = tuple[int, Question]
Part = TypeVar("Part")
Result = TypeVar("Result")

_BY_RADIUS = frozenset({"tie", "numeric"})
"""reasons that a smaller radius may remove"""
_SHARES = 8
"""parts of the work for each thread: the last ones to end leave little to wait for"""
_PART = 8, 32
"""fewest and most questions of a part: so many share its calls, and are answered at the same time"""


def followed(program: Program, questions: Sequence[Asked], budget: Budget) -> Iterator[Answer]:
    """Follow paths, a few together where that is mostly calls; yield answers as they come.

    Where paths are followed event by event, parts of the work are side by side in as many threads as torch
    uses: the loops hold no lock, and no path costs more than one core. Elsewhere torch has its threads.

    Args:
        program: the network.
        questions: with their positions; straight paths of a network that is followed exactly.
        budget: limits of all together.
    """
    if len(questions) < 2:
        yield from _each(program, questions, budget)
        return
    together = program.cost.mostly_calls
    if program.curve.events is None:
        yield from _by_grids(program, questions, budget) if together else _each(program, questions, budget)
        return
    threads = torch.get_num_threads()
    even = -(-len(questions) // (_SHARES * threads))
    size = min(max(even, _PART[0]), _PART[1]) if together else 1
    parts = [questions[first : first + size] for first in range(0, len(questions), size)]
    way = _at_once if size > 1 else _each
    for answers in side_by_side(lambda part: list(way(program, part, budget)), parts, threads):
        yield from answers


def side_by_side(work: Callable[[Part], Result], parts: Sequence[Part], threads: int) -> Iterator[Result]:
    """Yield the results of work that holds no lock, in order; who stops asking drops what has not begun."""
    if threads == 1 or len(parts) == 1:
        yield from map(work, parts)
        return
    with ThreadPoolExecutor(min(threads, len(parts))) as pool:
        running = [pool.submit(work, part) for part in parts]
        try:
            for one in running:
                yield one.result()
        finally:
            for one in running:
                one.cancel()


def within(budget: Budget, seconds: float) -> Budget:
    """Return the budget, which ends at the latest so many seconds from now."""
    return replace(budget, deadline=min(budget.deadline, budget.clock() + seconds))


def _by_grids(program: Program, questions: Sequence[Asked], budget: Budget) -> Iterator[Answer]:
    """Follow all in the same blocks, and again alone where that may decide more."""
    again = []
    for asked, answer in zip(questions, _at_once(program, questions, budget), strict=True):
        if answer.report.reason in _BY_RADIUS:
            again.append(asked)
        else:
            yield answer
    yield from _each(program, again, budget)


def _at_once(program: Program, questions: Sequence[Asked], budget: Budget) -> Iterator[Answer]:
    """Answer questions together; each has its share of the time."""
    asked = [(one.path, one.label, one.margin, one.partition, one.law) for _, one in questions]
    limits = within(budget, sum(one.seconds for _, one in questions))
    began = budget.clock()
    found = segments.certify_many(program.curve, cast("list[segments.Asked]", asked), limits)
    each = (budget.clock() - began) / len(questions)
    for (at, _), report in zip(questions, found, strict=True):
        yield Answer(at, report, each)


def _each(program: Program, questions: Sequence[Asked], budget: Budget) -> Iterator[Answer]:
    """Answer questions one after the other."""
    for at, question in questions:
        began = budget.clock()
        report = _alone(program, question, budget)
        yield Answer(at, report, budget.clock() - began)


def _alone(program: Program, question: Question, budget: Budget) -> SegmentReport:
    return segments.certify(
        program.curve,
        cast("Segment", question.path),
        question.label,
        analysis=question.analysis,
        margin=question.margin,
        gap=question.gap,
        partition=question.partition,
        budget=within(budget, question.seconds),
        law=question.law,
    )
