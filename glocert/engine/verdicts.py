"""The verdict about one path and one label, from the domain that suits both."""

from __future__ import annotations

from glocert import forms, segments
from glocert.budget import Budget
from glocert.engine.program import Program
from glocert.paths.path import Path
from glocert.paths.segment import Segment
from glocert.report import SegmentReport
from glocert.spec import Analysis


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
) -> SegmentReport:
    """Decide whether ``label`` beats every other class by more than ``margin`` on the whole path.

    See ``segments.certify`` and ``forms.certify``, which take the same arguments and mean the same by them.

    Raises:
        InvalidSpec: the path, label or margin does not fit the network.
    """
    if program.exact and isinstance(path, Segment):
        return segments.certify(
            program.curve,
            path,
            label,
            analysis=analysis,
            margin=margin,
            gap=gap,
            partition=partition,
            budget=budget,
        )
    return forms.certify(
        program.forms,
        path,
        label,
        analysis=analysis,
        margin=margin,
        gap=gap,
        partition=partition,
        budget=budget,
    )
