"""Certify the inputs of one unit of work, one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glocert.budget import Budget
from glocert.certification.case import Case, Subject, load
from glocert.certification.confirmation import Confirmed, confirm
from glocert.certification.drawing import Story
from glocert.certification.runtimes import NO_LABEL, Runtimes, predictions, scores_in_torch
from glocert.paths.items import Float32
from glocert.paths.mutations import segment
from glocert.paths.segment import Segment
from glocert.report import Counterexample, InputReport, SegmentReport
from glocert.segments import Program, certify, prepare
from glocert.spec import Preprocessing, SegmentSpec, Verdict

_SKIPPED = {
    "misclassified": "Nothing to certify: the network is already wrong on the unchanged input.",
    "outside-domain": "Set preprocessing.domain to the range of the data, or preprocessing.scale.",
    "non-finite": "The network returns NaN or infinity on the unchanged input: check weights and scale.",
}


def run(
    case: Case,
    spec: SegmentSpec,
    indices: Sequence[int],
    out: Path,
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
    subject = load(case, indices)
    program = prepare(subject.network, device)
    unit = _Unit(subject, spec, program, Runtimes(subject.network), block_bytes)
    for index in indices:
        yield unit.report(index, out / str(index))


@dataclass(frozen=True, slots=True, eq=False)
class _Unit:
    subject: Subject
    spec: SegmentSpec
    program: Program
    runtimes: Runtimes
    block_bytes: int

    def report(self, index: int, folder: Path) -> InputReport:
        """Return the row of one input and leave its pictures in ``folder``."""
        began = time.monotonic()
        item, label = self.subject.item(index), self.subject.label(index)
        predicted = int(predictions(scores_in_torch(self.subject.network, item[None]))[0])
        label = predicted if label is None else label
        row = InputReport(index, label, predicted, Verdict.SKIPPED, 0.0, self.spec.mutation.unit)
        if reason := self._obstacle(item, label, predicted):
            row = replace(row, reason=reason, next_step=_SKIPPED[reason])
        else:
            row = self._certified(row, item, folder)
        return replace(row, seconds=time.monotonic() - began)

    def _obstacle(self, item: Float32, label: int, predicted: int) -> str:
        """Return why there is nothing to certify, or nothing."""
        if not self.subject.inside_domain(item):
            return "outside-domain"
        if predicted == NO_LABEL:
            return "non-finite"
        return "misclassified" if predicted != label else ""

    def _certified(self, row: InputReport, item: Float32, folder: Path) -> InputReport:
        path = segment(self.spec.mutation, item, items=self.subject.items)
        answer = self._engine(path, row.label)
        found = self._confirmed(path, answer, row.label)
        if answer.verdict is Verdict.FALSIFIED and found is None:
            answer = _unconfirmed(answer)
        story = Story(item, row.label, path, self.spec.mutation, self._domain, answer, found)
        return replace(
            row,
            verdict=answer.verdict,
            segment=answer,
            certified_value=self.spec.mutation.value_within(max(0.0, answer.certified_to)),
            counterexample=None if found is None else self._counterexample(found),
            reason=answer.reason,
            next_step=answer.next_step,
            files=story.draw(folder),
        )

    def _engine(self, path: Segment, label: int) -> SegmentReport:
        spec = self.spec
        return certify(
            self.program,
            path,
            label,
            analysis=spec.analysis,
            margin=spec.margin,
            gap=spec.gap,
            partition=spec.partition,
            budget=Budget.seconds(spec.seconds_per_input, block_bytes=self.block_bytes),
        )

    def _confirmed(self, path: Segment, answer: SegmentReport, label: int) -> Confirmed | None:
        if answer.verdict is not Verdict.FALSIFIED:
            return None
        return confirm(
            self.runtimes, path, answer.witnesses, label=label, margin=self.spec.margin, domain=self._domain
        )

    def _counterexample(self, found: Confirmed) -> Counterexample:
        value = self.spec.mutation.value_at(found.t)
        return Counterexample(found.t, value, found.predicted, found.runtimes)

    @property
    def _domain(self) -> Preprocessing:
        return self.subject.items.preprocessing


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
