"""What an independent checker needs to see for itself that an answer about a segment holds."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from glocert.budget import Budget
from glocert.errors import DeadlineExceeded
from glocert.paths.segment import Segment
from glocert.report import LabelInterval, SegmentReport
from glocert.segments.curve import trace
from glocert.segments.program import Program
from glocert.segments.verdicts import certify

FORMAT = "glocert-proof/1"
SLACK = 2.0**20
"""The checker has one radius for the whole path and cruder bounds: so much more error is admitted."""


def prove(
    program: Program, segment: Segment, label: int, *, margin: float = 0.0, budget: Budget | None = None
) -> dict[str, Any]:
    """Return the proof of the answer about one segment, as plain data for ``glocert_check.check``.

    Args:
        program: the network, prepared.
        segment: the path.
        label: class that should win.
        margin: by how much.
        budget: limits of each of the two passes.

    Raises:
        DeadlineExceeded: the budget ended before the path.
    """
    # The checker inserts no vertices: it needs those of every unit, also where no score bends.
    grids = replace(program, events=None)
    report = certify(grids, segment, label, margin=margin, partition=True, budget=budget)
    curve = trace(grids, segment, budget)
    if report.reason == "budget":
        raise DeadlineExceeded("the budget ended before the segment")
    return {
        "format": FORMAT,
        "graph_sha256": program.graph.digest(),
        "start": segment.start.ravel().tolist(),
        "stop": segment.stop.ravel().tolist(),
        "radius": segment.radius.ravel().tolist(),
        "pieces": _pieces(curve.t.tolist(), report.partition),
        "label": label,
        "margin": margin,
        "error": _admitted(report, float(np.abs(curve.scores).max())),
        "verdict": report.verdict.value,
    }


def _pieces(t: list[float], partition: tuple[LabelInterval, ...]) -> list[list[float | int]]:
    """Cut the curve's pieces at the label changes too, so that one label wins on each."""
    cuts = sorted({*t, *(part.stop for part in partition)})
    pieces: list[list[float | int]] = []
    remaining = list(partition)
    for start, stop in pairwise(cuts):
        while remaining[0].stop <= start:
            remaining.pop(0)
        pieces.append([start, stop, remaining[0].label])
    return pieces


def _admitted(report: SegmentReport, scale: float) -> float:
    return SLACK * max(report.radius, scale * 2.0**-52)
