"""Pairs of pictures of which one is mutated, and what the engine says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.study import faces
from experiments.study.asking import PLAIN, Outcome, asked
from experiments.study.attributes import Attribute
from experiments.study.comparing import DIFFERENT, KINDS, SAME, partners
from experiments.study.generators import Generator
from experiments.study.habits import Known, tensors
from glocert.engine import prepare
from glocert.generators.jacobian import Mask
from glocert.generators.measures import measure
from glocert.graph.compose import composed
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.paths.generated import imaging
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.paths.segment import Segment
from glocert.report import SegmentReport
from glocert.spec import Analysis


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """One picture of every person, which is mutated, and another one.

    Attributes:
        known: N people, whole families.
        look: of the picture that is mutated.
        images: these pictures, float32, shape (N, 3, SIDE, SIDE).
        others: the other pictures, likewise.
    """

    known: Known
    look: faces.Look
    images: Tensor
    others: Tensor

    @classmethod
    def drawn(cls, count: int, rng: np.random.Generator) -> Anchors:
        """Draw so many people with two natural looks each."""
        known, everybody = Known.drawn(count, rng), np.arange(count)
        look, another = (known.looks(everybody, rng) for _ in range(2))
        return cls(known, look, tensors(known.people, look), tensors(known.people, another))

    def value(self, attribute: Attribute) -> faces.Floats:
        """Return an attribute of the pictures, shape (N,)."""
        found: faces.Floats = getattr(self.look, attribute.name)
        return found

    def mutated(self, attribute: Attribute) -> Tensor:
        """Draw the pictures with one attribute moved to the farther end of its range."""
        far = attribute.far(self.value(attribute))
        return tensors(self.known.people, replace(self.look, **{attribute.name: far}))


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Two pairs of every anchor: first all of one person, then all of two.

    Attributes:
        images: float32, shape (2 N, 6, SIDE, SIDE).
        truth: int64, shape (2 N,), ``SAME`` or ``DIFFERENT``.
    """

    images: Tensor
    truth: Tensor


def paired(anchors: Anchors) -> Pairs:
    """Put every anchor beside another picture of the same person, and beside one of somebody else."""
    count, draw = len(anchors.images), torch.Generator().manual_seed(0)
    person = torch.arange(count)
    _, (somebody, _) = partners(person, torch.zeros_like(person), count, 2, draw)
    second = torch.cat([anchors.others, anchors.others[somebody]])
    truth = torch.tensor([SAME, DIFFERENT]).repeat_interleave(count)
    return Pairs(torch.cat([anchors.images.repeat(2, 1, 1, 1), second], 1), truth)


def certified(
    generator: Generator, network: Graph, pairs: Pairs, start: Tensor, stop: Tensor, mask: Mask | None
) -> dict[str, Any]:
    """Ask on how much of ``x + G(z + t (z' - z)) - G(z)``, clamped, the network's right answer stays.

    Args:
        generator: G.
        network: pairs to scores.
        pairs: what it is asked about; x is the first picture of each.
        start: codes z of the N anchors, float64, shape (N, d); they and ``x - G(z)`` are exact as numbers.
        stop: codes z', likewise.
        mask: where the mutation is meant to act; ``None`` for everywhere.

    Returns:
        What came of all pairs that are answered rightly at t = 0, of those of one person and of two, the
        share of the pairs that were asked about, and medians of the measures of the paths.
    """
    images, references = pairs.images.double().split(3, 1)
    front, _ = imaging(generator.picture, residual=True, reference=references.shape[1:])
    whole = composed(front, prepend_preprocessing(network, front.output_shape, PLAIN))
    rest = images - generator.images(start).repeat(2, 1, 1, 1)
    behind = [rest.flatten(1), references.flatten(1)]
    first, last = (torch.cat([codes.repeat(2, 1), *behind], 1) for codes in (start, stop))
    with torch.no_grad():
        right = (run(whole, first).argmax(1) == pairs.truth).numpy()
    where, truth = np.flatnonzero(right), pairs.truth.numpy()
    paths = [(_straight(first[at], last[at]), int(truth[at])) for at in where]
    answers = asked(prepare(whole), paths, Analysis.QUANTITATIVE)
    found = {
        name: _outcome(answers, truth[where] == kind) for name, kind in KINDS.items() if kind in truth[where]
    }
    gap = max(one.robust_mass.upper - one.robust_mass.lower for one, _ in answers)
    measures = [measure(generator.picture, _straight(*ends), mask) for ends in zip(start, stop, strict=True)]
    return Outcome.of(answers).to_json() | found | {
        "right": float(right.mean()), "largest_gap": gap,
        "jump_index": float(np.median([one.jump_index or np.nan for one in measures])),
        "leakage": None if mask is None else float(np.median([one.leakage or np.nan for one in measures])),
    }  # fmt: skip


def _straight(start: Tensor, stop: Tensor) -> Segment:
    return Segment(start.numpy(), stop.numpy(), np.zeros(len(start)))


def _outcome(answers: Sequence[tuple[SegmentReport, float]], chosen: np.ndarray) -> dict[str, Any]:
    return Outcome.of([answers[at] for at in np.flatnonzero(chosen)]).to_json()
