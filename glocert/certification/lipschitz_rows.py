"""Rows of a Lipschitz certification from what is proven of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glocert.certification.lipschitz_scores import from_l2
from glocert.certification.opening import SKIPPED
from glocert.lipschitz.relaxed import RelaxedRadii
from glocert.spec_lipschitz import LipschitzRow, LipschitzSpec, epsilon_key

UNDECIDED = {
    "radius": "The proven radius ends before the largest epsilon: try method portfolio, or fine-tuning.",
    "tie": "Two scores are equal, or too close for the arithmetic of the request: nothing is proven here.",
    "misclassified": "The network answers another class on the unchanged input.",
}
"""reason of a row that is not certified -> its next step"""


@dataclass(slots=True)
class Answers:
    """What is proven of a batch.

    Attributes:
        scores: float64, shape (N, classes).
        members: method -> radii of the best class in the norm of the request, shape (N,), none below those of
            the method before it.
        relaxed: radii of the best sets in the l2 norm; ``None`` without a relaxation.
        forward: seconds that each input took until its global radius was known.
    """

    scores: Tensor
    members: Mapping[str, Tensor]
    relaxed: RelaxedRadii | None
    forward: float

    @property
    def plain(self) -> Tensor:
        """Largest radius of the best class; shape (N,)."""
        return list(self.members.values())[-1]

    def method(self, place: int) -> str:
        """Return the first method that proves the largest radius of an input."""
        best = self.plain[place]
        return next(name for name, radii in self.members.items() if bool(radii[place] == best))


def rows_of(
    answers: Answers,
    spec: LipschitzSpec,
    indices: Sequence[int],
    labels: Sequence[int | None],
    coordinates: int,
    seconds: float,
) -> list[LipschitzRow]:
    """Return the rows of a batch.

    Args:
        answers: what is proven.
        spec: what was asked.
        indices: of the items.
        labels: of the items.
        coordinates: numbers in one input.
        seconds: that each input took.
    """
    finite = torch.isfinite(answers.scores).all(dim=1).tolist()
    predicted = answers.scores.argmax(dim=1).tolist()
    plain = answers.plain
    sets = (
        plain[:, None] if answers.relaxed is None else from_l2(answers.relaxed.sets, spec.norm, coordinates)
    )
    order = answers.scores.argsort(dim=1, descending=True, stable=True)
    best = RelaxedRadii(order, sets)
    wanted = torch.tensor([p if label is None else label for p, label in zip(predicted, labels, strict=True)])
    certified = {epsilon_key(e): best.guaranteed(e) for e in spec.epsilons}
    robust = {epsilon_key(e): best.robust(wanted, e) for e in spec.epsilons}
    rows = []
    for place, index in enumerate(indices):
        row = LipschitzRow(
            index,
            labels[place],
            predicted[place] if finite[place] else None,
            float(best.radius[place]),
            {key: bool(each[place].any()) for key, each in certified.items()},
            {key: bool(each[place]) for key, each in robust.items()},
            answers.method(place),
            seconds,
            members={name: float(radii[place]) for name, radii in answers.members.items()},
            forward=answers.forward,
        )
        if answers.relaxed is not None:
            sizes = {key: _sizes(each[place]) for key, each in certified.items()}
            row = replace(row, guaranteed=sizes, plain=float(plain[place]))
        rows.append(_explained(row) if finite[place] else skipped(row, "non-finite"))
    return rows


def _sizes(guaranteed: Tensor) -> tuple[int, ...]:
    return tuple(k + 1 for k, holds in enumerate(guaranteed.tolist()) if holds)


def _explained(row: LipschitzRow) -> LipschitzRow:
    if all(row.robust.values()):
        return row
    reason = "misclassified" if row.correct is False else "radius" if row.radius > 0 else "tie"
    return replace(row, reason=reason, next_step=UNDECIDED[reason])


def skipped(row: LipschitzRow, reason: str) -> LipschitzRow:
    """Return a row that says nothing of the network."""
    nothing = dict.fromkeys(row.certified, False)
    return replace(
        row,
        radius=0.0,
        certified=nothing,
        robust=dict(nothing),
        method="",
        members={},
        guaranteed=dict.fromkeys(row.guaranteed, ()),
        plain=None if row.plain is None else 0.0,
        reason=reason,
        next_step=SKIPPED[reason],
    )
