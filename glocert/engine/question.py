"""What is asked about one path."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from glocert.laws import UNIFORM, Law
from glocert.paths.path import Path
from glocert.paths.segment import Segment
from glocert.report import SegmentReport
from glocert.spec import Analysis, Method


@dataclass(frozen=True, slots=True)
class Question:
    """Whether a class beats every other on a whole path.

    Attributes:
        path: of one parameter, through images of the network's input shape.
        label: class that should win, 0 <= label < classes.
        margin: by how much its score must exceed every other, >= 0.
        analysis: ``complete`` settles where the property holds and where it does not; ``quantitative`` stops
            once a violation is proven and the robust mass is known to within ``gap``; ``incomplete`` bounds
            once and refines nothing.
        gap: largest accepted U - L, > 0. Where the network cannot be followed exactly, ``complete`` stops
            at it too, with the end of the proven prefix known to a hundredth of it.
        partition: whether the report lists the winning class of every part of the path.
        known: what was proven of it before, as ``Task.state`` or a watcher got it; empty at first.
        seconds: of time that this question may take, its share of what is computed for many.
        law: of t, for the robust mass.
        method: how ``incomplete`` bounds.
        parts: of equal length that ``incomplete`` bounds, each once.
    """

    path: Path
    label: int
    margin: float = 0.0
    analysis: Analysis = Analysis.COMPLETE
    gap: float = 0.001
    partition: bool = False
    seconds: float = math.inf
    known: Mapping[str, Any] = field(default_factory=dict)
    law: Law = UNIFORM
    method: Method = Method.CROWN
    parts: int = 1

    @property
    def followed(self) -> tuple[Segment, int, float, bool, Law]:
        """The question as ``segments.certify_many`` takes it; only where the path is straight."""
        return cast("Segment", self.path), self.label, self.margin, self.partition, self.law


Asked = tuple[int, Question]
"""one of many questions, with its position"""


class Answer(NamedTuple):
    """One of many answers.

    Attributes:
        position: of its question.
        report: the answer.
        seconds: its share of the time that was spent.
    """

    position: int
    report: SegmentReport
    seconds: float
