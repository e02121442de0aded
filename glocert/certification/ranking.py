"""Guesses from the best to the worst, what to recommend, and what to warn of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from glocert.certification.accuracy import near_chance
from glocert.certification.statistics import alike, wilson
from glocert.certification.trial import Bench, Rearrange, Trial
from glocert.spec import Preprocessing

COLOURS = 3
IMAGES = 4
"""axes of a batch of images"""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Trials, best first.

    Attributes:
        trials: best first.
        current: that of the model's own settings, ``None`` where they do not fit.
        leaders: trials that the items cannot tell from the best one; those of unlabelled data are all alike.
        better: the most plausible of the leaders where it is clearly better than the model's own settings.
    """

    trials: tuple[Trial, ...]
    current: Trial | None
    leaders: tuple[Trial, ...]
    better: Trial | None

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> Ranking:
        """Sort trials; only labels can recommend anything."""
        ordered = tuple(sorted(trials, key=lambda trial: trial.rank, reverse=True))
        current = next((trial for trial in ordered if trial.guess.current), None)
        leaders = tuple(trial for trial in ordered if _alike(trial, ordered[0]))
        best = min(leaders, key=_plausible, default=None)
        better = best if best is not None and _clearly(best, current) else None
        return cls(ordered, current, leaders, better)

    @property
    def settled(self) -> Trial | None:
        """The settings that a job should have: the recommended ones, else the model's own."""
        return self.better or self.current

    def right_indices(self, bench: Bench) -> list[int]:
        """Return items that a job would certify: right ones, or all of unlabelled data."""
        chosen = self.settled
        if chosen is None:
            return []
        indices = np.asarray(bench.indices[: chosen.items])
        if bench.labels is None:
            return [int(index) for index in indices]
        return [int(index) for index in indices[chosen.predicted == bench.labels[: chosen.items]]]

    def to_json(self) -> dict[str, Any]:
        """Return ``guesses`` and ``recommended``: a name and a body for the upload, or ``None``."""
        better = self.better
        return {
            "guesses": [trial.to_json() | {"leads": trial in self.leaders} for trial in self.trials],
            "recommended": None
            if better is None
            else {"name": better.guess.name, "preprocessing": better.guess.preprocessing.to_json()},
        }

    def warnings(self, settings: Preprocessing) -> list[str]:
        """Return what is wrong with the model's own settings, one sentence each."""
        if self.current is None:
            text = f"The model's own settings (layout {settings.layout}) do not fit these data."
            return [text] if self.trials else []
        return list(self._warnings(self.current))

    def _warnings(self, current: Trial) -> Iterator[str]:
        if self.better is not None:
            yield (
                f"{_percent(current)} right with the model's own settings, {_percent(self.better)} with "
                f"{self.better.guess.name}: upload the model with the recommended preprocessing."
            )
        if current.right is not None and near_chance(current.right, current.items, current.classes):
            yield (
                f"{current.right} of {current.items} right with the model's own settings cannot be told from "
                f"guessing among {current.classes} classes."
            )
        if current.constant:
            yield f"The model's own settings give label {int(current.predicted[0])} to every item."


def rearranged(bench: Bench, ranking: Ranking) -> list[Trial]:
    """Try the best guess on images with channels reversed and with rows and columns exchanged.

    No setting says so: data in such an order have to be rearranged before they are uploaded. Only what is
    clearly better is returned.
    """
    if not ranking.trials or bench.labels is None:
        return []
    best = min(ranking.leaders, key=_plausible)
    bench = bench.first(best.items)
    found = [
        bench.tried(replace(best.guess, name=f"{best.guess.name}, {name}", current=False), how)
        for name, how in _orders(bench, best).items()
    ]
    return [trial for trial in found if _clearly(trial, best)]


def _orders(bench: Bench, best: Trial) -> dict[str, Rearrange]:
    """Return the orders that keep the shape of an image."""
    shape = bench.image_shape(best.guess)
    orders: dict[str, Rearrange] = {}
    if len(shape) + 1 == IMAGES and shape[0] == COLOURS:
        orders["channels reversed (BGR)"] = lambda images: images[:, ::-1]
    if len(shape) + 1 == IMAGES and shape[1] == shape[2]:
        orders["rows and columns exchanged"] = lambda images: images.swapaxes(2, 3)
    return orders


def _alike(trial: Trial, best: Trial) -> bool:
    return trial.hits is None or best.hits is None or alike(trial.hits, best.hits)


def _plausible(trial: Trial) -> tuple[int, float]:
    """Smaller is likelier: the less surprising settings, then the smaller loss."""
    return trial.guess.surprise, trial.loss if trial.loss is not None else 0.0


def _clearly(one: Trial, other: Trial | None) -> bool:
    """Whether the intervals of two accuracies do not overlap, the first above the second."""
    if one.right is None:
        return False
    if other is None:
        return not near_chance(one.right, one.items, one.classes)
    if other.right is None:
        return False
    return wilson(one.right, one.items).lower > wilson(other.right, other.items).upper


def _percent(trial: Trial) -> str:
    return f"{trial.accuracy:.1%}" if trial.accuracy is not None else "-"
