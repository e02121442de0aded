"""Accuracy at the original inputs: computed first, because a wrong normalisation is the commonest mistake."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np

from glocert.certification.case import Case, Subject, load
from glocert.certification.runtimes import predictions, scores_in_torch


def clean_accuracy(
    case: Case, indices: Sequence[int], *, device: str = "cpu", batch_bytes: int = 64 * 2**20
) -> dict[str, Any]:
    """Run the network on the unchanged inputs, as the certified function sees them.

    Args:
        case: files of the job.
        indices: items to look at.
        device: where to compute.
        batch_bytes: memory of the largest activation of a batch.

    Returns:
        ``clean_accuracy`` in [0, 1] and ``correct``, both ``None`` for unlabelled data; ``inputs``; and
        ``warning`` where the accuracy cannot be told from guessing or inputs lie outside the domain.

    Raises:
        InvalidSpec: items, labels and network do not fit.
    """
    subject = load(case, indices)
    labels = [subject.label(index) for index in indices]
    outside, correct, size = 0, 0, _batch_size(subject, batch_bytes)
    for first in range(0, len(indices), size):
        images = np.stack([subject.item(index) for index in indices[first : first + size]])
        outside += sum(not subject.inside_domain(image) for image in images)
        if subject.labels is not None:
            found = predictions(scores_in_torch(subject.network, images, device))
            correct += int((found == labels[first : first + size]).sum())
    labelled = subject.labels is not None and len(indices) > 0
    outcome: dict[str, Any] = {
        "clean_accuracy": correct / len(indices) if labelled else None,
        "inputs": len(indices),
        "correct": correct if labelled else None,
    }
    warning = _warning(subject, outside, len(indices), correct if labelled else None)
    return outcome | ({"warning": warning} if warning else {})


def near_chance(correct: int, inputs: int, classes: int) -> bool:
    """Whether so many right answers could be guesses: below 1.5 / K or within three deviations of 1 / K.

    All answers right is never near chance, however few they are.
    """
    chance = 1.0 / classes
    deviation = sqrt(chance * (1.0 - chance) / inputs)
    return correct < inputs and correct / inputs < max(1.5 * chance, chance + 3.0 * deviation)


def _batch_size(subject: Subject, batch_bytes: int) -> int:
    largest = max(int(np.prod(shape)) for shape in subject.network.shapes.values())
    return max(1, min(1024, batch_bytes // (4 * largest)))


def _warning(subject: Subject, outside: int, inputs: int, correct: int | None) -> str:
    domain = subject.items.preprocessing
    parts = []
    if outside:
        parts.append(
            f"{outside} of {inputs} inputs leave the domain [{domain.lower:g}, {domain.upper:g}]"
            " and will be skipped: check preprocessing.scale and preprocessing.domain."
        )
    if correct is not None and near_chance(correct, inputs, subject.classes):
        parts.append(
            f"{correct} of {inputs} right with {subject.classes} classes cannot be told from guessing: "
            "check preprocessing (scale, mean, std, layout) and the order of the labels."
        )
    return " ".join(parts)
