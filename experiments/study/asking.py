"""Many questions to the engine, and what the answers amount to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from glocert.engine import Program, Question, certify_many, prepare
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.paths.items import Items
from glocert.paths.path import Path
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.paths.request import path
from glocert.report import SegmentReport
from glocert.spec import Analysis, Mutation, Preprocessing, Verdict

PLAIN = Preprocessing()
SECONDS = 20.0
"""of the engine, for one path"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of paths that start at images which the network gets right.

    Attributes:
        paths: how many.
        certified: of them.
        falsified: of them.
        undecided: of them.
        lower: mean of the lower bounds of the robust mass.
        upper: mean of the upper bounds.
        seconds: median of the engine, for one path.
        pieces: median of the breakpoints plus one, or of the bounded parts.
    """

    paths: int
    certified: int
    falsified: int
    undecided: int
    lower: float
    upper: float
    seconds: float
    pieces: float

    @classmethod
    def of(cls, answers: Sequence[tuple[SegmentReport, float]]) -> Outcome:
        """Add up reports and their seconds."""
        reports = [report for report, _ in answers]
        verdicts = [report.verdict for report in reports]
        count = len(reports)
        return cls(
            paths=count,
            certified=verdicts.count(Verdict.CERTIFIED),
            falsified=verdicts.count(Verdict.FALSIFIED),
            undecided=verdicts.count(Verdict.UNDECIDED),
            lower=fsum(report.robust_mass.lower for report in reports) / count,
            upper=fsum(report.robust_mass.upper for report in reports) / count,
            seconds=float(np.median([seconds for _, seconds in answers])),
            pieces=float(np.median([report.pieces for report in reports])),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {name: getattr(self, name) for name in self.__slots__}


class Classifier:
    """A network behind the clamp of the image domain, ready for the engine."""

    def __init__(self, graph: Graph, shape: Sequence[int]) -> None:
        self.graph = prepend_preprocessing(graph, shape, PLAIN)
        self._program: Program | None = None

    @property
    def program(self) -> Program:
        """The engine's program of it, made once."""
        if self._program is None:
            self._program = prepare(self.graph)
        return self._program

    def predictions(self, images: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the best class of every image."""
        with torch.inference_mode():
            return np.asarray(run(self.graph, torch.from_numpy(images)).argmax(1).numpy())

    def accuracy(self, images: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
        """Return the share of images that it gets right."""
        return float((self.predictions(images) == labels).mean())


def asked(
    program: Program,
    paths: Iterable[tuple[Path, int]],
    analysis: Analysis = Analysis.COMPLETE,
    gap: float = 1e-3,
    seconds: float = SECONDS,
) -> list[tuple[SegmentReport, float]]:
    """Ask about paths and their labels; return reports and seconds in the same order."""
    questions = [Question(one, label, analysis=analysis, gap=gap, seconds=seconds) for one, label in paths]
    answers = {answer.position: answer for answer in certify_many(program, questions)}
    return [(answers[at].report, answers[at].seconds) for at in range(len(questions))]


def mutated(
    classifier: Classifier,
    mutation: Mutation,
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    analysis: Analysis = Analysis.COMPLETE,
) -> Outcome:
    """Ask about one mutation with a formula, of the images that the classifier gets right."""
    right = np.flatnonzero(classifier.predictions(images) == labels)
    items = Items(images, images.shape[1:], PLAIN)
    paths = ((path(mutation, images[at], items=items), int(labels[at])) for at in right)
    return Outcome.of(asked(classifier.program, paths, analysis))
