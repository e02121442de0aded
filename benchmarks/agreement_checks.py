"""Whether an answer of the engine holds: against the plain curve, dense samples and an attack on the path.

The plain curve goes through grids of vertices, for every network: the engine follows most of them event by
event, and must not be compared with itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.questions import Question
from glocert import segments
from glocert.budget import Budget
from glocert.graph.run import run
from glocert.report import Interval, SegmentReport
from glocert.segments.decision import margins, possible
from glocert.segments.runs import run as scores_of
from glocert.segments.verdicts import Tally
from glocert.segments.walk import blocks
from glocert.spec import Verdict

Float64 = NDArray[np.float64]

CLOSE = 1e-3
"""margin, relative to the scores, below which a float32 sample is repeated in float64"""
TIE = 1e-9
"""margin, relative to the scores, below which a float64 sample says nothing"""
LOOSE = 1e-6
"""how much less than the curve the engine may prove of a share or an extent before that is counted"""
_BATCH, _NUMBERS = 256, 2**20
"""samples that are run at once, and numbers of their largest activation: what caches hold"""
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


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """A path that can be sampled, written without the code under test.

    Attributes:
        question: network, ends and label.
        parameters: of the network, for each type of numbers.
        scale: size of the scores at the ends.
    """

    question: Question
    parameters: dict[torch.dtype, dict[str, torch.Tensor]]
    scale: float

    @classmethod
    def of(cls, question: Question) -> Path:
        """Look at the ends."""
        stored = question.graph.parameters.items()
        parameters = {
            dtype: {name: _loaded(torch.tensor(values, dtype=dtype)) for name, values in stored}
            for dtype in (torch.float32, torch.float64)
        }
        path = cls(question, parameters, 1.0)
        return replace(path, scale=max(1.0, float(path.scores(np.array([0.0, 1.0])).abs().max())))

    @torch.inference_mode()
    def scores(self, t: Float64, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        """Run the network at some parameters, shape (len(t), classes)."""
        segment, graph = self.question.segment, self.question.graph
        start, stop = (torch.tensor(end, dtype=dtype) for end in (segment.start, segment.stop))
        share = torch.tensor(t, dtype=dtype).view(-1, *(1,) * start.ndim)
        return run(graph, torch.lerp(start, stop, share), self.parameters[dtype]).flatten(1)

    def margins(self, t: Float64) -> Float64:
        """Return the smallest margin at every parameter: by float64 where float32 is close."""
        found = self._sampled(t, torch.float32)
        close = np.abs(found) < CLOSE * self.scale
        found[close] = self.exact(t[close])
        return found

    def exact(self, t: Float64) -> Float64:
        """Return the smallest margin in float64."""
        return self._sampled(t, torch.float64)

    def _sampled(self, t: Float64, dtype: torch.dtype) -> Float64:
        size = max(1, min(_BATCH, _NUMBERS // _widest(self.question)))
        parts = np.array_split(t, max(1, -(-len(t) // size)))
        return np.concatenate([self._smallest(self.scores(part, dtype)).double().numpy() for part in parts])

    def _smallest(self, scores: torch.Tensor) -> torch.Tensor:
        label = self.question.label
        others = [j for j in range(scores.shape[1]) if j != label]
        return scores[:, label] - scores[:, others].amax(1)


def _loaded(parameter: torch.Tensor) -> torch.Tensor:
    """Return a parameter in the order in which torch convolves fastest: channels last."""
    return parameter.to(memory_format=torch.channels_last) if parameter.ndim == 4 else parameter


def _widest(question: Question) -> int:
    return max(math.prod(shape) for shape in question.graph.shapes.values())


def stratified(count: int, seed: int) -> Float64:
    """Return one random parameter in each of ``count`` equal parts of [0, 1], in order."""
    return (np.arange(count) + np.random.default_rng(seed).random(count)) / count


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
