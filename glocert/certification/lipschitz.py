"""Certify the inputs of one unit of work in batches: one forward pass and a closed form for each.

Other methods than the global one go on from there, input by input (``_Unit``).

Entry points for the certification child::

    subject = load(case, indices)
    analysis = analyse(subject, indices)  # once per job: its units share analysis.to_bytes()
    for row in run(subject, LipschitzSpec.from_json(body), indices, analysis):
        ...  # one LipschitzRow each
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from glocert.certification.case import Case, Subject, load
from glocert.certification.lipschitz_analysis import Analysis, analyse
from glocert.certification.lipschitz_backward import Backward
from glocert.certification.lipschitz_rows import Answers, rows_of, skipped
from glocert.certification.lipschitz_scores import Scores, from_l2, in_l2, measured, refined
from glocert.errors import InvalidSpec
from glocert.lipschitz.heads import scored
from glocert.lipschitz.local import LocalNetwork
from glocert.lipschitz.magnitudes import Magnitudes
from glocert.lipschitz.radius import radii
from glocert.lipschitz.relaxed import RelaxedRadii, top_sets
from glocert.paths.items import Float32
from glocert.report_lipschitz import VACUOUS
from glocert.spec_lipschitz import (
    Affinity,
    Execution,
    LipschitzMethod,
    LipschitzRow,
    LipschitzSpec,
    Relaxation,
    TopK,
)

Reached = Callable[[Tensor], Tensor]
"""Slack, shape (N,) -> radii, shape (N, ...)."""
_MATTERS = 1.01
"""rounding that takes less than a hundredth of a radius is let alone"""

__all__ = ["Analysis", "Case", "analyse", "load", "run"]


def run(
    subject: Subject,
    spec: LipschitzSpec,
    indices: Sequence[int],
    analysis: Analysis,
    *,
    batch_bytes: int = 64 * 2**20,
) -> Iterator[LipschitzRow]:
    """Certify inputs and yield a row for each.

    Args:
        subject: network and data.
        spec: what is asked.
        indices: items to certify.
        analysis: of this network: ``analyse``, or read back with ``Analysis.from_bytes``.
        batch_bytes: memory of the largest activation of a batch.

    Yields:
        One row per index, in their order.

    Raises:
        InvalidSpec: the request does not fit network and data, or the analysis is of another network.
    """
    if subject.network.digest() != analysis.digest:
        raise InvalidSpec("the analysis is of another network")
    _check(subject, spec)
    unit = _Unit(subject, spec, analysis)
    largest = max(int(np.prod(shape)) for shape in subject.network.shapes.values())
    size = max(1, min(512, batch_bytes // (8 * largest)))
    for first in range(0, len(indices), size):
        yield from unit.rows(indices[first : first + size])


def _check(subject: Subject, spec: LipschitzSpec) -> None:
    """Refuse a relaxation that the network's classes do not fit.

    Raises:
        InvalidSpec: k or a label is out of range.
    """
    if isinstance(spec.relaxation, TopK) and not 1 <= spec.relaxation.most < subject.classes:
        raise InvalidSpec(f"top_k must lie in 1..{subject.classes - 1}, the number of classes less one")
    if isinstance(spec.relaxation, Affinity):
        labels = [label for group in spec.relaxation.groups for label in group]
        if not labels or not all(0 <= label < subject.classes for label in labels):
            raise InvalidSpec(f"affinity needs groups of labels in 0..{subject.classes - 1}")


class _Unit:
    def __init__(self, subject: Subject, spec: LipschitzSpec, analysis: Analysis) -> None:
        self._subject, self._spec, self._analysis = subject, spec, analysis
        self._network, _ = scored(subject.network)
        self._magnitudes = Magnitudes.of(self._network, analysis.ledger)
        plain = spec.relaxation is None
        self._local: LocalNetwork | None = None
        self._backward: Backward | None = None
        if plain and spec.method is not LipschitzMethod.GLOBAL:
            self._local = LocalNetwork.of(self._network, analysis.ledger)
        if plain and spec.method is LipschitzMethod.PORTFOLIO:
            self._backward = Backward.of(self._network, analysis.ledger, self._local, spec)

    def rows(self, indices: Sequence[int]) -> list[LipschitzRow]:
        """Return the rows of one batch."""
        began = time.monotonic()
        labels = [self._subject.label(index) for index in indices]
        images = np.stack([self._subject.item(index) for index in indices])
        answers = self._answers(images, began)
        seconds = (time.monotonic() - began) / len(indices)
        found = rows_of(answers, self._spec, indices, labels, int(images[0].size), seconds)
        return [
            row if self._subject.inside_domain(image) else skipped(row, "outside-domain")
            for row, image in zip(found, images, strict=True)
        ]

    def _answers(self, images: Float32, began: float) -> Answers:
        """Return what is proven of a batch of images of the domain."""
        scores = measured(self._network, self._analysis.ledger, images, self._spec)
        if len(rows := self._in_the_way(scores, images[0].size)):
            scores = refined(scores, self._magnitudes, images, rows)
        plain, relaxed = scores.best(self._plain(scores)), None
        if self._spec.relaxation is not None:
            order = scores.values.argsort(dim=1, descending=True, stable=True)
            relaxed = RelaxedRadii(order, scores.best(self._sets(scores)))
        forward = (time.monotonic() - began) / len(images)
        return Answers(scores.values, self._members(images, scores, plain), relaxed, forward)

    def _plain(self, scores: Scores) -> Reached:
        return lambda slack: radii(scores.values, self._analysis.bound.pairs, slack).radius

    def _sets(self, scores: Scores) -> Reached:
        assert self._spec.relaxation is not None
        most, groups = _sets(self._spec.relaxation)
        return lambda slack: top_sets(scores.values, self._analysis.bound.pairs, slack, most, groups).sets

    def _in_the_way(self, scores: Scores, coordinates: int) -> Tensor:
        """Return the inputs for which float32 rounding decides about something that was asked for.

        Without it their radius would be considerable; with it, it is smaller and misses the largest epsilon.
        """
        none = torch.zeros(len(scores.values), dtype=torch.float64)
        least, largest = (
            in_l2(epsilon, self._spec.norm, coordinates)
            for epsilon in (min(self._spec.epsilons), max(self._spec.epsilons))
        )
        chosen = torch.zeros(len(none), dtype=torch.bool)
        if self._spec.arithmetic is Execution.FLOAT32:
            for question in [self._plain, *([self._sets] if self._spec.relaxation is not None else [])]:
                reached = scores.best(question(scores)).reshape(len(none), -1).amax(1)
                most = question(scores)(none).reshape(len(none), -1).amax(1)
                chosen |= (reached <= largest) & (most > least / VACUOUS) & (most > reached * _MATTERS)
        return chosen.nonzero().flatten()

    def _members(self, images: Float32, scores: Scores, plain: Tensor) -> dict[str, Tensor]:
        """Return the radii that each method proves, the cheapest first, in the norm of the request.

        Each begins with the best so far, and none goes below it.
        """
        stop = time.monotonic() + self._spec.seconds_per_input * len(images)
        x, norm, size = torch.from_numpy(images).double(), self._spec.norm, images[0].size
        found = {"global": from_l2(plain, norm, size)}
        if self._local is not None:
            share = 0.5 if self._backward is not None else 1.0
            limit = share * (stop - time.monotonic())
            near = self._local.improve(x, scores.values, plain, scores.slack, seconds=limit)
            found["local"] = from_l2(near, norm, size)
        if self._backward is not None:
            best = torch.stack(list(found.values())).amax(dim=0)
            known = torch.isfinite(scores.values).all(dim=1)
            limit = stop - time.monotonic()
            better = self._backward.improve(x, scores.values.argmax(dim=1), best, seconds=limit)
            found["backward"] = torch.where(known, better, best)
        return found


def _sets(relaxation: Relaxation) -> tuple[int, tuple[tuple[int, ...], ...]]:
    """Return the largest k of a relaxation, and its groups."""
    if isinstance(relaxation, TopK):
        return relaxation.most, ()
    return max(map(len, relaxation.groups)), relaxation.groups
