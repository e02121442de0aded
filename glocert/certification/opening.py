"""What one input is asked: its row before the engine has looked at it, and the question, if there is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from glocert.certification.band import Bounds
from glocert.certification.case import Subject
from glocert.certification.confirmation import violates
from glocert.certification.question import KeepsLabel, Question, StaysInBand, StaysInTopK
from glocert.certification.runtimes import NO_LABEL, predictions, scores_in_torch
from glocert.certification.top_k import check_rank
from glocert.paths.items import Float32
from glocert.paths.segment import Float64
from glocert.report import InputReport
from glocert.spec import Band, SegmentSpec, TopK, Verdict

SKIPPED = {
    "misclassified": "Nothing to certify: the network is already wrong on the unchanged input.",
    "outside-domain": "Set preprocessing.domain to the range of the data, or preprocessing.scale.",
    "non-finite": "The network returns NaN or infinity on the unchanged input: check weights and scale.",
}
"""reason of a skipped row -> its next step"""


@dataclass(frozen=True, slots=True)
class Opening:
    """An input before the engine.

    Attributes:
        row: ``skipped``, which stands unless there is a question.
        question: what to decide, or ``None``.
    """

    row: InputReport
    question: Question | None


def opening(
    subject: Subject, spec: SegmentSpec, index: int, item: Float32, centre: Callable[[], Float64]
) -> Opening:
    """Look at the unchanged input.

    Args:
        subject: network and data.
        spec: what is asked of every input.
        index: position of the item.
        item: in the image domain, before the clamp.
        centre: gives the outputs in float64 at the start of the path, for a band about them.

    Raises:
        InvalidSpec: the network has no class for the label, or not as many as a rank needs.
    """
    scores = scores_in_torch(subject.network, item[None])
    outside = not subject.inside_domain(item)
    if isinstance(spec.property, Band):
        return _of_band(spec, spec.property.width, index, scores[0], centre, outside)
    return _of_label(subject, spec, index, scores, outside)


def _of_label(subject: Subject, spec: SegmentSpec, index: int, scores: Float32, outside: bool) -> Opening:
    predicted, label = int(predictions(scores)[0]), subject.label(index)
    label = predicted if label is None else label
    row = InputReport(index, label, predicted, Verdict.SKIPPED, 0.0, spec.mutation.unit)
    if outside:
        return _skipped(row, "outside-domain")
    if predicted == NO_LABEL:
        return _skipped(row, "non-finite")
    if isinstance(spec.property, TopK):
        check_rank(spec.property.k, subject.classes)
        if violates(scores[0], label, 0.0, spec.property.k):
            return _skipped(row, "misclassified")
        return Opening(row, StaysInTopK(label, spec.property.k, spec.margin))
    if predicted != label:
        return _skipped(row, "misclassified")
    return Opening(row, KeepsLabel(label, spec.margin))


def _of_band(
    spec: SegmentSpec,
    width: float,
    index: int,
    outputs: Float32,
    begin: Callable[[], Float64],
    outside: bool,
) -> Opening:
    row = InputReport(index, None, None, Verdict.SKIPPED, 0.0, spec.mutation.unit)
    if outside:
        return _skipped(row, "outside-domain")
    if not np.isfinite(outputs).all():
        return _skipped(row, "non-finite")
    centre = begin()
    if not np.isfinite(centre).all():
        return _skipped(row, "non-finite")
    row = replace(row, centre=tuple(centre.tolist()), outputs=tuple(outputs.tolist()))
    return Opening(row, StaysInBand(Bounds.around(centre, width), width))


def _skipped(row: InputReport, reason: str) -> Opening:
    return Opening(replace(row, reason=reason, next_step=SKIPPED[reason]), None)
