"""Everything that decides a training run, as plain data, and the schedules that follow from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LOSS_NAMES = ("ce", "trades-kl", "emma")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a GloRo network is trained.

    Attributes:
        epsilon: radius to be certified, in the units of the raw input, l2.
        overshoot: the radius that is trained for at the end, as a multiple of ``epsilon``.
        ramp: share of the epochs after the warm-up over which the trained radius grows from a hundredth.
        loss: ``ce``, ``trades-kl`` or ``emma``.
        weight: factor of the second term of ``trades-kl`` at the end; it grows linearly from zero.
        epochs: passes over the data.
        warmup: the first so many of them learn labels alone, without ⊥.
        batch: inputs of one step.
        rate: learning rate of the first half.
        last_rate: learning rate at the end, reached exponentially in the second half.
        decay: weight decay, decoupled from the gradient.
        clip: largest norm of a gradient; 0 leaves it as it is.
        iterations: of the power iterations, per step.
        shift: images are moved by up to so many pixels, zeros outside.
        flip: whether images are mirrored at random.
        rotate: images are turned by up to so many degrees.
        zoom: images are resized by up to this share.
        seed: of weights, order and augmentation.
    """

    epsilon: float = 0.3
    overshoot: float = 1.3
    ramp: float = 0.5
    loss: str = "trades-kl"
    weight: float = 1.5
    epochs: int = 100
    warmup: int = 0
    batch: int = 256
    rate: float = 1e-3
    last_rate: float = 1e-6
    decay: float = 0.0
    clip: float = 0.0
    iterations: int = 5
    shift: int = 0
    flip: bool = False
    rotate: float = 0.0
    zoom: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with.

        Raises:
            ValueError: a number is out of its range, or the loss is unknown.
        """
        for name in ("epsilon", "overshoot", "rate", "last_rate", "epochs", "batch", "iterations"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        for name in ("weight", "decay", "clip", "shift", "rotate", "warmup"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must not be negative, but it is {getattr(self, name)}")
        for name in ("ramp", "zoom"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share, in [0, 1], not {getattr(self, name)}")
        if self.warmup >= self.epochs:
            raise ValueError(f"a warm-up of {self.warmup} epochs leaves nothing of {self.epochs}")
        if self.loss not in LOSS_NAMES:
            raise ValueError(f"no loss {self.loss!r}; there are {', '.join(LOSS_NAMES)}")

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """Read what ``to_json`` wrote."""
        return cls(**data)

    def after_warmup(self, progress: float) -> float:
        """Return the share of the run behind the warm-up, from the share of the whole run; below 0 in it."""
        begun = self.warmup / self.epochs
        return (progress - begun) / (1 - begun)

    def radius_at(self, progress: float) -> float:
        """Return the trained radius at a share of the run, in [0, 1].

        Source: the logarithmic ramp ``ln((e - e^0.01) t + e^0.01)`` of the reference, from 0.01 to 1.
        """
        passed = max(0.0, self.after_warmup(progress))
        t = min(passed / self.ramp, 1.0) if self.ramp > 0 else 1.0
        start = math.exp(0.01)
        return self.epsilon * self.overshoot * math.log((math.e - start) * t + start)

    def rate_at(self, progress: float) -> float:
        """Return the learning rate: constant, then an exponential decay over the second half."""
        t = max(0.0, 2 * progress - 1)
        return self.rate * math.pow(self.last_rate / self.rate, t)

    def weight_at(self, progress: float) -> float:
        """Return the factor of the second term of the loss."""
        return self.weight * max(0.0, self.after_warmup(progress))
