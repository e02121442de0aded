"""Whether an answer of the engine holds: against the plain curve, dense samples and an attack on the path.

The plain curve goes through grids of vertices, for every network: the engine follows most of them event by
event, and must not be compared with itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.questions import Question
from benchmarks.samples import Path
from glocert import segments
from glocert.budget import Budget
from glocert.report import Interval, SegmentReport
from glocert.segments.decision import margins, possible
from glocert.segments.runs import run as scores_of
from glocert.segments.verdicts import Tally
from glocert.segments.walk import blocks
from glocert.spec import Verdict

Float64 = NDArray[np.float64]

TIE = 1e-9
"""margin, relative to the scores, below which a float64 sample says nothing"""
LOOSE = 1e-6
"""how much less than the curve the engine may prove of a share or an extent before that is counted"""
_BASINS, _ZOOMS, _GRID = 8, 6, 17


@dataclass(frozen=True, slots=True)
class Truth:
    """What the plain curve proves, by grids.

    Attributes:
        report: its answer.
        broken: start of the first part of the path on which a violation is proven; 2 where there is none.
    """

    report: SegmentReport
    broken: float


def truth(program: segments.Program, question: Question) -> Truth:
    """Follow the whole path by grids, never event by event, and keep where the first violation is proven."""
    tally, broken = Tally(question.label, 0.0, partition=False), 2.0
    for block in blocks(program, question.segment, Budget()):
        part = scores_of(program, block)
        tally.add(part)
        if broken > 1.0:
            broken = _first_violation(margins(part, question.label, 0.0))
    return Truth(tally.report(), broken)


def _first_violation(known: segments.decision.Margins) -> float:
    """Return where a run first leaves the set on which the label may win; 2 where it does not."""
    maybe, left, right = possible(known), known.t[:-1], known.t[1:]
    empty = maybe.stop <= maybe.start
    starts = np.where(empty | (maybe.start > left), left, np.where(maybe.stop < right, maybe.stop, 2.0))
    return float(starts.min())


def contradicted(answer: SegmentReport, known: Truth) -> Iterator[str]:
    """Yield what two proven answers about one path cannot both say."""
    curve = known.report
    decided = {answer.verdict, curve.verdict} - {Verdict.UNDECIDED}
    if len(decided) > 1:
        yield f"verdicts {answer.verdict} and {curve.verdict}"
    mine, theirs = answer.robust_mass, curve.robust_mass
    if mine.lower > theirs.upper or theirs.lower > mine.upper:
        yield f"shares [{mine.lower}, {mine.upper}] and [{theirs.lower}, {theirs.upper}]"
    if answer.certified_to > known.broken:
        yield f"extent {answer.certified_to} beyond the violation at {known.broken}"


def weaker(answer: SegmentReport, known: Truth) -> Iterator[str]:
    """Yield where the engine proves less than the curve, by more than ``LOOSE``."""
    curve = known.report
    if answer.verdict is Verdict.UNDECIDED and curve.verdict is not Verdict.UNDECIDED:
        yield "verdict"
    mine, theirs = answer.robust_mass, curve.robust_mass
    if (mine.upper - mine.lower) - (theirs.upper - theirs.lower) > LOOSE:
        yield "share"
    if curve.certified_to - answer.certified_to > LOOSE:
        yield "extent"


def refuted(answer: SegmentReport, path: Path, t: Float64, seen: Float64) -> Iterator[str]:
    """Yield what samples of the margin say against an answer.

    Args:
        answer: of the engine.
        path: what was sampled.
        t: one parameter in each of equal parts of [0, 1], in order.
        seen: margins there.
    """
    reach = 1.0 if answer.verdict is Verdict.CERTIFIED else answer.certified_to
    tie = TIE * path.scale
    wrong = t[(seen < -tie) & (t <= reach)]
    if len(wrong):
        yield f"{len(wrong)} samples lose below {reach}, the first at {wrong[0]}"
    if answer.verdict is Verdict.FALSIFIED:
        held = path.exact(np.array(answer.witnesses)) > tie
        if held.any():
            yield f"no violation at the witness {answer.witnesses[int(held.argmax())]}"
    yield from _share(answer.robust_mass, seen)


def _share(mass: Interval, seen: Float64) -> Iterator[str]:
    """Compare the robust mass with the share of samples: off by at most one part for each change of sign."""
    won = seen > 0
    changes = int((won[1:] != won[:-1]).sum())
    slack = (2 * changes + 4) / len(seen)
    share = float(won.mean())
    if mass.lower > share + slack or mass.upper < share - slack:
        yield f"share [{mass.lower}, {mass.upper}] but {share} of the samples, {changes} changes"


def attacked(answer: SegmentReport, path: Path, t: Float64, seen: Float64) -> Iterator[str]:
    """Look for a violation where none should be: zoom in on the lowest samples below the extent."""
    reach = 1.0 if answer.verdict is Verdict.CERTIFIED else answer.certified_to
    inside = np.flatnonzero(t <= reach)
    if not len(inside):
        return
    lowest = _basins(seen[inside])
    left, right = t[np.maximum(lowest - 1, 0)], np.minimum(t[np.minimum(lowest + 1, len(t) - 1)], reach)
    for _ in range(_ZOOMS):
        grid = np.linspace(left, np.maximum(left, right), _GRID, axis=1)
        values = path.exact(grid.ravel()).reshape(grid.shape)
        best = values.argmin(1)
        if float(values.min()) < -TIE * path.scale:
            at = np.unravel_index(values.argmin(), values.shape)
            yield f"an attack finds {values.min()} at {grid[at]}, proven to {reach}"
            return
        rows = np.arange(len(grid))
        left, right = grid[rows, np.maximum(best - 1, 0)], grid[rows, np.minimum(best + 1, _GRID - 1)]


def _basins(seen: Float64) -> NDArray[np.int64]:
    """Return the lowest local minima of the samples."""
    padded = np.concatenate([[np.inf], seen, [np.inf]])
    minima = np.flatnonzero((seen <= padded[:-2]) & (seen <= padded[2:]))
    return minima[np.argsort(seen[minima])][:_BASINS]


def widened(answer: SegmentReport, by: float) -> SegmentReport:
    """Return an answer whose safe set is too large: what a campaign has to find."""
    mass = Interval(min(1.0, answer.robust_mass.lower + by), min(1.0, answer.robust_mass.upper + by))
    return replace(answer, robust_mass=mass, certified_to=min(1.0, max(answer.certified_to, 0.0) + by))
