"""Paths that are followed from the beginning to the end without a search, on all threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import cast

from glocert import segments
from glocert.budget import Budget
from glocert.engine.program import Program
from glocert.engine.question import Answer, Asked, Question
from glocert.engine.threads import side_by_side
from glocert.engine.together import together
from glocert.paths.segment import Segment
from glocert.report import SegmentReport

_BY_RADIUS = frozenset({"tie", "numeric"})
"""reasons that a smaller radius may remove"""


def followed(program: Program, questions: Sequence[Asked], budget: Budget) -> Iterator[Answer]:
    """Answer questions about paths that are followed; yield answers as they come.

    Where paths are followed event by event, parts of the work are side by side in as many threads as torch
    uses: the loops hold no lock, and no path costs more than one core. Elsewhere torch has its threads. Paths
    that cost mostly calls share them, but those whose labels are listed.

    Args:
        program: the network.
        questions: with their positions; straight paths of a network that is followed exactly.
        budget: limits of all together.
    """
    if not questions:
        return
    shared = program.cost.mostly_calls and len(questions) > 1
    if program.curve.events is None:
        yield from _by_grids(program, questions, budget) if shared else _each(program, questions, budget)
        return
    plain = [asked for asked in questions if shared and not asked[1].partition]
    yield from together(program, plain, budget)
    others = [asked for asked in questions if asked[1].partition] if shared else questions
    yield from side_by_side(partial(_one, program, budget), others)


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
    limits = budget.within(sum(one.seconds for _, one in questions))
    began = budget.clock()
    found = segments.certify_many(program.curve, [one.followed for _, one in questions], limits)
    each = (budget.clock() - began) / len(questions)
    for (at, _), report in zip(questions, found, strict=True):
        yield Answer(at, report, each)


def _each(program: Program, questions: Sequence[Asked], budget: Budget) -> Iterator[Answer]:
    """Answer questions one after the other."""
    return (_one(program, budget, asked) for asked in questions)


def _one(program: Program, budget: Budget, asked: Asked) -> Answer:
    """Answer a question by itself."""
    began = budget.clock()
    report = _alone(program, asked[1], budget)
    return Answer(asked[0], report, budget.clock() - began)


def _alone(program: Program, question: Question, budget: Budget) -> SegmentReport:
    return segments.certify(
        program.curve,
        cast("Segment", question.path),
        question.label,
        analysis=question.analysis,
        margin=question.margin,
        gap=question.gap,
        partition=question.partition,
        budget=budget.within(question.seconds),
        law=question.law,
    )
