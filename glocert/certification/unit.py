"""Certify the inputs of one unit of work, one after the other."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from glocert.budget import Budget
from glocert.certification.case import Case, Subject, load
from glocert.certification.confirmation import Confirmed, confirm
from glocert.certification.drawing import COUNTEREXAMPLE, Story
from glocert.certification.opening import opening
from glocert.certification.question import Question
from glocert.certification.runtimes import Runtimes
from glocert.engine import Program, certify, prepare
from glocert.graph.ir import Graph
from glocert.paths.items import Float32
from glocert.paths.mutations import segment
from glocert.paths.path import Path
from glocert.report import Counterexample, InputReport, SegmentReport
from glocert.spec import Preprocessing, SegmentSpec, Verdict


def run(
    case: Case,
    spec: SegmentSpec,
    indices: Sequence[int],
    out: pathlib.Path,
    *,
    device: str = "cpu",
    block_bytes: int = 64 * 2**20,
) -> Iterator[InputReport]:
    """Certify inputs and yield each report as it is done.

    Args:
        case: files of the job.
        spec: path, analysis and budget.
        indices: items to certify.
        out: existing folder; the pictures of input ``i`` are written to ``out/i/``.
        device: where the engine computes; confirmations always run on the CPU.
        block_bytes: memory of one depth-first block of the engine.

    Yields:
        One report per index, in their order.

    Raises:
        InvalidSpec: network, data and request do not fit.
    """
    unit = _Unit(load(case, indices), spec, device, block_bytes)
    for index in indices:
        yield unit.report(index, out / str(index))


class _Unit:
    def __init__(self, subject: Subject, spec: SegmentSpec, device: str, block_bytes: int) -> None:
        self._subject, self._spec, self._device, self._block_bytes = subject, spec, device, block_bytes
        self._runtimes = Runtimes(subject.network)
        self._program: tuple[Graph, Program] | None = None

    def report(self, index: int, folder: pathlib.Path) -> InputReport:
        """Return the row of one input and leave its pictures in ``folder``."""
        began = time.monotonic()
        item = self._subject.item(index)
        path = segment(self._spec.mutation, item, items=self._subject.items)
        found = opening(self._subject, self._spec, index, item, path)
        row = found.row
        if found.question is not None:
            row = self._certified(row, found.question, item, path, folder)
        return replace(row, seconds=time.monotonic() - began)

    def _certified(
        self, row: InputReport, question: Question, item: Float32, path: Path, folder: pathlib.Path
    ) -> InputReport:
        answer = self._engine(path, question)
        found = self._confirmed(path, answer, question)
        if answer.verdict is Verdict.FALSIFIED and found is None:
            answer = _unconfirmed(answer)
        files = Story(item, row.label, path, self._spec.mutation, self._domain, answer, found).draw(folder)
        return replace(
            row,
            verdict=answer.verdict,
            segment=answer,
            certified_value=self._spec.mutation.value_within(max(0.0, answer.certified_to)),
            counterexample=None if found is None else self._counterexample(row, found, files),
            reason=answer.reason,
            next_step=answer.next_step,
            files=files,
        )

    def _engine(self, path: Path, question: Question) -> SegmentReport:
        spec = self._spec
        return certify(
            self._prepared(question.network(self._subject.network)),
            path,
            question.label,
            analysis=spec.analysis,
            margin=question.margin,
            gap=spec.gap,
            partition=spec.partition,
            budget=Budget.seconds(spec.seconds_per_input, block_bytes=self._block_bytes),
        )

    def _prepared(self, network: Graph) -> Program:
        """Return the program of a network; one that does not depend on the input is prepared once."""
        if self._program is None or self._program[0] is not network:
            self._program = network, prepare(network, self._device)
        return self._program[1]

    def _confirmed(self, path: Path, answer: SegmentReport, question: Question) -> Confirmed | None:
        if answer.verdict is not Verdict.FALSIFIED:
            return None
        return confirm(self._runtimes, path, answer.witnesses, wrong=question.violated, domain=self._domain)

    def _counterexample(self, row: InputReport, found: Confirmed, files: tuple[str, ...]) -> Counterexample:
        value, image = self._spec.mutation.value_at(found.t), COUNTEREXAMPLE if files else None
        if row.label is None:
            return Counterexample(found.t, value, None, found.runtimes, image, found.outputs)
        return Counterexample(found.t, value, found.predicted, found.runtimes, image)

    @property
    def _domain(self) -> Preprocessing:
        return self._subject.items.preprocessing


def _unconfirmed(answer: SegmentReport) -> SegmentReport:
    """A violation in real arithmetic that float32 does not show is no counterexample."""
    return replace(
        answer,
        verdict=Verdict.UNDECIDED,
        witnesses=(),
        reason="numeric",
        next_step="The violation is proven for real numbers, but float32 runtimes do not show it; ask for a "
        "small margin to count such near ties as violations.",
    )
