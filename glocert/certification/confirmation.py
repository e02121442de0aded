"""A proven violation becomes a counterexample only when real runtimes show it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from glocert.certification.runtimes import NAMES
from glocert.paths.items import Float32
from glocert.paths.segment import Float64
from glocert.spec import Preprocessing

ATTEMPTS = 16


class Images(Protocol):
    """Images over parameters in [0, 1], such as a path of images."""

    def at(self, t: Sequence[float]) -> Float64:
        """Return the image at ``t``, before any clamp."""
        ...


class Executions(Protocol):
    """The same network in several runtimes."""

    def scores(self, image: Float32) -> tuple[Float32, ...]:
        """Return the scores of one image, in the order of ``runtimes.NAMES``."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Confirmed:
    """A violation that both runtimes show.

    Attributes:
        t: where on the path; a tuple where it has several parameters.
        image: float32, image domain: the path at ``t`` after the clamp, rounded to float32.
        predicted: label with the highest score in torch.
        runtimes: names of the runtimes.
        outputs: of the network in torch, float32.
    """

    t: float | tuple[float, ...]
    image: Float32
    predicted: int
    runtimes: tuple[str, ...]
    outputs: tuple[float, ...] = ()


def image_at(path: Images, t: float | Sequence[float], domain: Preprocessing) -> Float32:
    """Return a path at ``t``, clamped to the domain and rounded to float32."""
    point = [t] if isinstance(t, float) else t
    return np.clip(path.at(point), domain.lower, domain.upper).astype(np.float32)


def confirm(
    runtimes: Executions,
    path: Images,
    witnesses: Sequence[float | tuple[float, ...]],
    *,
    wrong: Callable[[Float32], bool],
    domain: Preprocessing,
) -> Confirmed | None:
    """Return the first of at most ``ATTEMPTS`` witnesses that every runtime gets wrong in float32.

    Args:
        runtimes: execute the network.
        path: the images that the network sees, of any number of parameters.
        witnesses: t of violations that are proven in real arithmetic, best first.
        wrong: whether scores violate the property; never true of a tie or of a number that is not finite.
        domain: bounds of the images.
    """
    for t in witnesses[:ATTEMPTS]:
        image = image_at(path, t, domain)
        scores = runtimes.scores(image)
        if all(wrong(row) for row in scores):
            return Confirmed(t, image, int(np.argmax(scores[0])), NAMES, tuple(scores[0].tolist()))
    return None


def violates(scores: Float32, label: int, margin: float, k: int = 1) -> bool:
    """Whether finite scores give the label less than ``margin`` above the k-th best other one.

    With margin 0 and k = 1 the runtimes return another label; a tie is no violation.
    """
    row = scores.astype(np.float64)
    return bool(np.isfinite(row).all() and row[label] - np.sort(np.delete(row, label))[-k] < margin)
