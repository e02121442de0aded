"""Verdicts about paths: bound first, follow exactly what is left.

Every question starts as a few wide parts of its path, and the parts of all questions go through the network
together. What bounds prove is done with. The rest is halved and bounded again as long as that is cheaper than
following it; then the curve domain follows it exactly, so the loop always ends. Where the network is not
piecewise linear, or the path not straight, halving goes on until the accuracy that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch

from glocert.budget import Budget
from glocert.engine.cost import Cost
from glocert.engine.following import followed
from glocert.engine.incomplete import bounded
from glocert.engine.program import Program
from glocert.engine.question import Answer, Asked, Question
from glocert.engine.scout import scout
from glocert.engine.task import Task
from glocert.forms.rounds import Bounds, look
from glocert.forms.search import Search
from glocert.laws import UNIFORM, Law
from glocert.paths.path import Path
from glocert.paths.question import check_questions
from glocert.paths.segment import Segment
from glocert.report import SegmentReport
from glocert.spec import Analysis

Watch = Callable[[int, Callable[[], dict[str, Any]]], None]
"""Gets the position of a question and how to see what is proven of it: plain data, for ``Question.known``."""

_FEW = 2


def certify(
    program: Program,
    path: Path,
    label: int,
    *,
    analysis: Analysis = Analysis.COMPLETE,
    margin: float = 0.0,
    gap: float = 0.001,
    partition: bool = False,
    budget: Budget | None = None,
    law: Law = UNIFORM,
) -> SegmentReport:
    """Decide whether ``label`` beats every other class by more than ``margin`` on the whole path.

    The answer is a theorem about the graph with its stored parameters, in the arithmetic that the program was
    made for: ``certified`` and ``falsified`` are proven, rounding included; ties and numbers that are not
    finite are never certified.

    Args:
        program: the network.
        path: of one parameter, through images of the network's input shape.
        label: see ``Question``, as for all that follow.
        analysis: which of the frameworks answers.
        margin: by how much.
        gap: of the robust mass.
        partition: whether labels along the path are listed.
        budget: time, rows and memory; what is decided before they end counts, the rest is undecided.
        law: of t.

    Raises:
        InvalidSpec: the path, label or margin does not fit the network.
    """
    question = Question(path, label, margin, analysis, gap, partition, law=law)
    return next(certify_many(program, [question], budget)).report


def certify_many(
    program: Program, questions: Sequence[Question], budget: Budget | None = None, watch: Watch | None = None
) -> Iterator[Answer]:
    """Decide many questions about one network together; yield each answer when it is there.

    Small networks cost mostly calls, which a batch shares. Answers are those of ``certify``, up to the last
    digits of their numbers.

    Args:
        program: the network.
        questions: all about it.
        budget: limits of all together.
        watch: sees what is proven of a question whenever that may have grown, see ``Watch``.

    Raises:
        InvalidSpec: a question does not fit the network.
    """
    limits = budget or Budget()
    check_questions(program.graph, ((one.path, one.label, one.margin) for one in questions))
    cost, cheap = program.cost, program.cost.small
    once: dict[int, Question] = {}
    straight: list[Asked] = []
    rest: dict[int, Question] = {}
    for at, one in enumerate(questions):
        if one.analysis is Analysis.INCOMPLETE:
            once[at] = one
        elif _straight(program, one, cheap=cheap):
            straight.append((at, one))
        else:
            rest[at] = one
    yield from _bounded(program, once, limits)
    yield from followed(program, straight, limits)
    yield from _searched(program, cost, rest, limits, watch or _unseen)


@torch.inference_mode()
def _bounded(program: Program, questions: dict[int, Question], budget: Budget) -> Iterator[Answer]:
    """Bound paths once, one after the other."""
    for at, question in questions.items():
        began = budget.clock()
        report = bounded(program.double, question, budget)
        yield Answer(at, report, budget.clock() - began)


def _straight(program: Program, question: Question, *, cheap: bool) -> bool:
    """Whether a path is followed from the beginning to the end without bounding anything.

    Args:
        program: the network.
        question: about the path.
        cheap: whether that costs less than a search.
    """
    segment = program.exact and isinstance(question.path, Segment)
    return segment and not question.known and (question.partition or cheap)


def _unseen(_position: int, _state: Callable[[], dict[str, Any]]) -> None:
    """Nobody watches."""


@torch.inference_mode()
def _searched(
    program: Program, cost: Cost, questions: dict[int, Question], budget: Budget, watch: Watch
) -> Iterator[Answer]:
    """Bound, halve and follow."""
    tasks = _tasks(program, cost, questions, budget)
    bounds = (
        Bounds(program.double, program.single, budget.block_bytes, _FEW if program.exact else 0)
        if tasks
        else None
    )
    while tasks:
        for at, task in list(tasks.items()):
            task.ended = task.ended or task.exhausted()
            if not task.done and task.worth_following(len(tasks)):
                task.follow(partial(watch, at, task.state))
            if task.done:
                task.settle()
                del tasks[at]
                yield Answer(at, task.report(), task.seconds)
        if tasks and bounds is not None:
            _round(bounds, list(tasks.values()), budget)
            for at, task in tasks.items():
                watch(at, task.state)


def _round(bounds: Bounds, tasks: Sequence[Task], budget: Budget) -> None:
    """Bound some rows of every question; each is charged its share of the time."""
    began, share = budget.clock(), bounds.rows(len(tasks))
    wishes = [(task.search, task.take(share, len(tasks))) for task in tasks]
    look(bounds, wishes)
    seconds, total = budget.clock() - began, sum(len(rows) for _, rows in wishes)
    for task, (_, rows) in zip(tasks, wishes, strict=True):
        task.seconds += seconds * len(rows) / total
        task.weigh_single()


def _tasks(program: Program, cost: Cost, questions: dict[int, Question], budget: Budget) -> dict[int, Task]:
    """Return the questions with what a first look tells of them."""
    tasks = {}
    for at, question in questions.items():
        search = Search(
            question.path.loaded(program.forms.device), question.label, question.margin, program.single_pays
        )
        tasks[at] = Task(question, program, cost, budget, search)
    exact = [at for at, task in tasks.items() if program.exact and isinstance(task.question.path, Segment)]
    asked = [questions[at] for at in exact]
    paths, labels = [one.path for one in asked], [one.label for one in asked]
    found = scout(program.graph, program.parameters, paths, labels) if exact else []
    for at, seen in zip(exact, found, strict=True):
        tasks[at].scouted = seen
    for task in tasks.values():
        task.begin()
    return tasks
