"""Questions about paths of several parameters, answered by a search over boxes of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from glocert import boxes, engine
from glocert.boxes.report import BoxReport
from glocert.budget import Budget
from glocert.certification.question import Question
from glocert.engine import Program
from glocert.paths.path import Path
from glocert.report import SegmentReport
from glocert.spec import SegmentSpec

Point = tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What an engine found about one of many inputs.

    Attributes:
        position: of the input.
        report: the answer.
        seconds: that it took.
        points: t of proven violations, best first; of k numbers each where there are several parameters.
        region: which boxes are proven, where the path has several parameters.
    """

    position: int
    report: SegmentReport
    seconds: float
    points: tuple[float, ...] | tuple[Point, ...]
    region: BoxReport | None = None

    @classmethod
    def of(cls, answer: engine.Answer) -> Found:
        """Return the answer about a path of one parameter."""
        return cls(answer.position, answer.report, answer.seconds, answer.report.witnesses)


def answered(
    program: Program, asked: Sequence[tuple[Path, Question]], spec: SegmentSpec, block_bytes: int
) -> Iterator[Found]:
    """Yield the answers about paths of several parameters, one after the other.

    The bounds are those of the program's arithmetic: with ``float32`` they hold for every execution as well.

    Args:
        program: the network whose class must win.
        asked: paths and classes.
        spec: gap and seconds of each.
        block_bytes: memory of one block.
    """
    for position, (path, question) in enumerate(asked):
        began = time.monotonic()
        limits = Budget.seconds(spec.seconds_per_input, block_bytes=block_bytes)
        region = boxes.certify(
            program.forms, path, question.label, margin=question.margin, gap=spec.gap, budget=limits
        )
        report = program.forms.execution.explained(_report(region, path.dimensions))
        yield Found(position, report, time.monotonic() - began, region.witnesses, region)


def _report(region: BoxReport, dimensions: int) -> SegmentReport:
    return SegmentReport(
        region.verdict,
        region.robust_mass,
        region.certified_to,
        min_margin=0.0,
        min_margin_at=0.0,
        radius=0.0,
        pieces=region.pieces,
        reason=region.reason,
        next_step=region.next_step,
        family="enclosure",
        dimensions=dimensions,
    )
