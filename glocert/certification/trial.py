"""A preprocessing tried on some items: how often the network is right, and how sure it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.certification.guesses import Guess
from glocert.certification.runtimes import NO_LABEL, predictions
from glocert.certification.statistics import wilson
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.paths.items import Float32, Items
from glocert.paths.preprocessing import prepend_preprocessing

BATCH_BYTES = 64 * 2**20
Rearrange = Callable[[Float32], Float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What came of a guess.

    Attributes:
        guess: what was tried.
        predicted: label per item, ``NO_LABEL`` where a score is not finite.
        hits: whether the label was met, per item; ``None`` without labels.
        loss: mean cross-entropy of the labels under the softmax; ``None`` without labels.
        classes: scores of the network.
        information: bits that the answer tells about the item, between 0 and log2 of the classes: entropy of
            the mean of the softmax less the mean of its entropies. Networks that see what they were trained
            on give sure answers of many kinds.
        margin: mean difference of the two best scores.
    """

    guess: Guess
    predicted: Labels
    hits: NDArray[np.bool_] | None
    loss: float | None
    classes: int
    information: float
    margin: float

    @property
    def items(self) -> int:
        """How many were tried."""
        return len(self.predicted)

    @property
    def right(self) -> int | None:
        """How many labels were met."""
        return None if self.hits is None else int(self.hits.sum())

    @property
    def accuracy(self) -> float | None:
        """Share of right answers."""
        return None if self.right is None or not self.items else self.right / self.items

    @property
    def constant(self) -> bool:
        """Whether all of several answers are the same."""
        return self.items > 1 and len(set(self.predicted.tolist())) == 1

    @property
    def rank(self) -> tuple[float, bool, float]:
        """Larger is better: right answers, then the settings that are there, then the loss."""
        if self.accuracy is None or self.loss is None:
            return self.information, self.guess.current, 0.0
        return self.accuracy, self.guess.current, -self.loss

    def to_json(self) -> dict[str, Any]:
        """Return the entry of the precheck."""
        seen = self.predicted[self.predicted != NO_LABEL]
        counts = np.bincount(seen, minlength=self.classes)
        shares = counts[counts > 0] / max(1, counts.sum())
        return {
            "name": self.guess.name,
            "preprocessing": self.guess.preprocessing.to_json(),
            "current": self.guess.current,
            "items": self.items,
            "right": self.right,
            "accuracy": self.accuracy,
            "interval": None if self.right is None else wilson(self.right, self.items).to_json(),
            "loss": self.loss if self.loss is None or np.isfinite(self.loss) else None,
            "label_entropy": float(-(shares * np.log2(shares)).sum()) + 0.0,
            "labels": {str(label): int(n) for label, n in enumerate(counts) if n}
            if self.right is None
            else None,
            "information": self.information,
            "mean_margin": self.margin,
            "not_finite": int((self.predicted == NO_LABEL).sum()),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """What guesses are tried on.

    Attributes:
        graph: the imported network.
        stored: the data set.
        indices: items to try.
        labels: of those items, or ``None``.
        device: where to compute.
    """

    graph: Graph
    stored: NDArray[Any]
    indices: Sequence[int]
    labels: Labels | None
    device: str = "cpu"

    def image_shape(self, guess: Guess) -> tuple[int, ...]:
        """Return the shape of items in the image domain."""
        return Items(self.stored, self.graph.input_shape, guess.preprocessing).shape

    def first(self, items: int) -> Bench:
        """Return the bench with only the first so many items."""
        labels = None if self.labels is None else self.labels[:items]
        return replace(self, indices=self.indices[:items], labels=labels)

    def fed(self, guess: Guess, rearrange: Rearrange | None = None) -> Tensor:
        """Return what the network receives for all items, float32.

        Args:
            guess: the preprocessing.
            rearrange: what to do with images of the domain before.

        Raises:
            InvalidSpec: the guess does not fit.
        """
        found = Items(self.stored, self.graph.input_shape, guess.preprocessing)
        whole = prepend_preprocessing(self.graph, found.shape, guess.preprocessing)
        count = len(whole.nodes) - len(self.graph.nodes)
        last = whole.nodes[count - 1].output if count else whole.input
        images = np.stack([found[index] for index in self.indices])
        if rearrange is not None:
            images = np.ascontiguousarray(rearrange(images))
        with torch.inference_mode():
            return run(replace(whole, nodes=whole.nodes[:count], output=last), torch.from_numpy(images))

    def scores(self, guess: Guess, rearrange: Rearrange | None = None) -> Float32:
        """Run the network on all items, batch by batch; float32, one row per item."""
        rows, size = [], self._batch()
        for start in range(0, len(self.indices), size):
            part = replace(self, indices=self.indices[start : start + size], labels=None)
            fed = part.fed(guess, rearrange).to(self.device)
            with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
                rows.append(run(self.graph, fed).reshape(len(fed), -1).cpu().numpy())
        return np.concatenate(rows).astype(np.float32)

    def tried(self, guess: Guess, rearrange: Rearrange | None = None) -> Trial:
        """Try a guess on all items."""
        scores = self.scores(guess, rearrange)
        predicted = predictions(scores)
        hits = None if self.labels is None else predicted == self.labels
        loss = None if self.labels is None else _loss(scores.astype(np.float64), self.labels)
        finite = scores[np.isfinite(scores).all(axis=1)].astype(np.float64)
        return Trial(guess, predicted, hits, loss, scores.shape[1], _information(finite), _margin(finite))

    def _batch(self) -> int:
        largest = max(prod(shape) for shape in self.graph.shapes.values())
        return max(1, min(256, BATCH_BYTES // (4 * largest)))


def _loss(scores: NDArray[np.float64], labels: Labels) -> float:
    """Return the mean cross-entropy of items whose label is a class; infinite where a score is not finite."""
    known = (labels >= 0) & (labels < scores.shape[1])
    if not np.isfinite(scores).all() or not known.any():
        return float("inf")
    best = scores.max(axis=1)
    total = best + np.log(np.exp(scores - best[:, None]).sum(axis=1))
    own = np.take_along_axis(scores, np.where(known, labels, 0)[:, None], axis=1)[:, 0]
    return float((total - own)[known].mean())


def _information(scores: NDArray[np.float64]) -> float:
    if not len(scores):
        return 0.0
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances = shifted / shifted.sum(axis=1, keepdims=True)
    return max(0.0, float(_entropy(chances.mean(axis=0)) - _entropy(chances).mean()))


def _entropy(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(chances > 0, chances * np.log2(chances), 0.0)
    return np.asarray(-parts.sum(axis=-1))


def _margin(scores: NDArray[np.float64]) -> float:
    if not len(scores) or scores.shape[1] < 2:
        return 0.0
    best = np.sort(scores, axis=1)[:, -2:]
    return float((best[:, 1] - best[:, 0]).mean())
