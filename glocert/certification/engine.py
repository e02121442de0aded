"""Which engine follows a network along a segment: exactly where that is possible, else by enclosure."""

from __future__ import annotations

from glocert import forms, segments
from glocert.budget import Budget
from glocert.graph.families import Family, family
from glocert.graph.ir import Graph
from glocert.paths.segment import Segment
from glocert.report import SegmentReport
from glocert.spec import Analysis

Program = segments.Program | forms.Program


def prepare(graph: Graph, device: str = "cpu") -> Program:
    """Make a program of a graph, for the engine of its family.

    Args:
        graph: the network.
        device: torch device on which segments will be followed.

    Raises:
        UnsupportedOperators: names every node that the engine cannot take.
    """
    if family(graph) is Family.EXACT:
        return segments.prepare(graph, device)
    return forms.prepare(graph, device)


def certify(
    program: Program,
    segment: Segment,
    label: int,
    *,
    analysis: Analysis = Analysis.COMPLETE,
    margin: float = 0.0,
    gap: float = 0.001,
    partition: bool = False,
    budget: Budget | None = None,
) -> SegmentReport:
    """Decide whether ``label`` beats every other class by more than ``margin`` on the whole segment.

    See ``segments.certify`` and ``forms.certify``, which take the same arguments and mean the same by them.

    Raises:
        InvalidSpec: the segment, label or margin does not fit the network.
    """
    engine = segments.certify if isinstance(program, segments.Program) else forms.certify
    return engine(
        program,  # type: ignore[arg-type]
        segment,
        label,
        analysis=analysis,
        margin=margin,
        gap=gap,
        partition=partition,
        budget=budget,
    )
