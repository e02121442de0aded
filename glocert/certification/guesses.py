"""Preprocessings that a network may have been trained with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from glocert.certification.fit import Stored
from glocert.paths.items import Float32
from glocert.spec import Preprocessing

IMAGES, COLOURS, BYTE = 4, 3, 255.0
CLOSE = 0.03
"""of the unit range: as far as the mean of a few hundred pictures is from that of all"""
GREY: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "MNIST": ((0.1307,), (0.3081,)),
    "Fashion-MNIST": ((0.2860,), (0.3530,)),
}
COLOUR: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "CIFAR-10, std .2023": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "CIFAR-10, std .2471": ((0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)),
    "CIFAR-100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "ImageNet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Names of the usual constants of pixels in [0, 1]: mean and standard deviation per channel. Both
deviations of CIFAR-10 are in wide use: the first is a mean over images, the second one over pixels."""


@dataclass(frozen=True, slots=True)
class Guess:
    """One candidate.

    Attributes:
        name: what it is, for people.
        preprocessing: what it says.
        current: whether these are the model's own settings.
        surprise: what to prefer where accuracy does not decide: 0 for values as they are or in [0, 1], 1 for
            [-1, 1], values that are not scaled and published constants whose mean is close to that of the
            data, 2 for the rest.
    """

    name: str
    preprocessing: Preprocessing
    current: bool = False
    surprise: int = 2


def guesses(
    stored: Stored, current: Preprocessing, layouts: Sequence[str], sample: Float32
) -> Iterator[Guess]:
    """Yield candidates, the model's own settings first.

    Args:
        stored: type and range of the data.
        current: the model's settings.
        layouts: axis orders that fit.
        sample: some items as images of the domain, float32, values as stored, first axis = item.
    """
    yield Guess("settings of the model", current, current=True, surprise=0)
    for layout in layouts:
        frame = _Frame(stored, layout)
        yield Guess(f"values in [{frame.lower:g}, {frame.upper:g}]", frame.plain(), surprise=0)
        yield from _stretched(stored, frame)
        yield from _published(frame, sample)
        yield from _own(frame, sample)


@dataclass(frozen=True, slots=True)
class _Frame:
    """The range in which paths run, and how normalisations of the unit range read in it."""

    stored: Stored
    layout: str

    @property
    def lower(self) -> float:
        return 0.0 if self.stored.whole else self.stored.range[0]

    @property
    def upper(self) -> float:
        return 1.0 if self.stored.whole else self.stored.range[1]

    @property
    def width(self) -> float:
        return self.upper - self.lower

    def plain(self) -> Preprocessing:
        """Values as they are, integers divided by 255."""
        return Preprocessing(layout=self.layout, lower=self.lower, upper=self.upper)

    def normalised(self, mean: Sequence[float], std: Sequence[float]) -> Preprocessing:
        """The range brought to [0, 1], then ``(u - mean) / std``."""
        means = tuple(_short(self.lower + self.width * value) for value in mean)
        deviations = tuple(_short(self.width * value) for value in std)
        return Preprocessing(
            mean=means if any(means) else (),
            std=deviations if any(value != 1 for value in deviations) else (),
            layout=self.layout,
            lower=self.lower,
            upper=self.upper,
        )


def _stretched(stored: Stored, frame: _Frame) -> Iterator[Guess]:
    """The other ranges that networks are trained on."""
    yield Guess("[0, 1]", frame.normalised((0.0,), (1.0,)), surprise=0)
    yield Guess("[-1, 1]", frame.normalised((0.5,), (0.5,)), surprise=1)
    if stored.whole:
        bytes_ = Preprocessing(scale=False, layout=frame.layout, lower=0.0, upper=255.0)
    else:
        bytes_ = frame.normalised((0.0,), (1 / 255,))
    yield Guess("[0, 255], not scaled", bytes_, surprise=1)


def _published(frame: _Frame, sample: Float32) -> Iterator[Guess]:
    """The constants that go with well-known data sets of as many channels."""
    channels = sample.shape[1] if sample.ndim == IMAGES else 0
    scale = BYTE if frame.stored.whole else 1.0
    for name, (mean, std) in {1: GREY, COLOURS: COLOUR}.get(channels, {}).items():
        seen = (sample.mean(axis=(0, 2, 3), dtype=np.float64) / scale - frame.lower) / frame.width
        close = bool((np.abs(seen - np.array(mean)) <= CLOSE).all())
        yield Guess(name, frame.normalised(mean, std), surprise=1 if close else 2)


def _own(frame: _Frame, sample: Float32) -> Iterator[Guess]:
    """The mean and deviation of the data themselves, per channel; of rows of features, one for all."""
    values = sample.astype(np.float64) / (BYTE if frame.stored.whole else 1.0)
    axes = (0, 2, 3) if sample.ndim == IMAGES else None
    mean, std = np.atleast_1d(values.mean(axis=axes)), np.atleast_1d(values.std(axis=axes))
    if (std > 0).all():
        settings = Preprocessing(
            mean=tuple(round(float(value), 4) for value in mean),
            std=tuple(float(f"{value:.4g}") for value in std),
            layout=frame.layout,
            lower=frame.lower,
            upper=frame.upper,
        )
        yield Guess("mean and deviation of these data", settings)


def _short(value: float) -> float:
    """Without the digits that come from multiplying by the width of a range."""
    return float(f"{value:.10g}")
