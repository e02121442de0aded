"""Everything that decides how a generator is trained, as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from glocert.spec_ranges import EXPLICIT, Ranges

ARCHITECTURES: Mapping[str, tuple[str, ...]] = {
    "autoencoder": ("conv", "skip", "fc"),
    "gan": ("dcgan",),
    "style": ("residual",),
}
"""Family -> its architectures, the default first."""
PRIORS = ("normal", "uniform")
WHITE, SCALED = "white", "scaled"
CODES = (WHITE, SCALED)
"""What the codes of an autoencoder become in the end: of covariance I, or turned and scaled by one number."""
ESTIMATORS = ("difference", "jvp", "frobenius", "spectral")


@dataclass(frozen=True, slots=True)
class Continuity:
    """The terms that keep the gain of a generator between ``a / bound`` and ``a bound``.

    ``a`` is the running geometric mean of the gains, so the band is free of scale.

    Attributes:
        bound: C of the band, above 1.
        up: weight of gains above it.
        low: weight of gains below it.
        interpolation: weight of the distance from being linear between two codes.
        estimator: how a gain is measured: ``difference`` and ``jvp`` along a random direction, ``frobenius``
            over all directions, ``spectral`` along the worst one; the last two leave the lower side to
            differences.
        ramp: share of the epochs without the terms, and over which their weights grow afterwards: what has
            not learned anything yet has gains near zero, and the terms would hold it there.
    """

    bound: float = 4.0
    up: float = 1.0
    low: float = 1.0
    interpolation: float = 1.0
    estimator: str = "difference"
    ramp: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what makes no band.

        Raises:
            ValueError: a number is out of its range, or the estimator is unknown.
        """
        if not 1 < self.bound < math.inf:
            raise ValueError(f"continuity.bound must be above 1, not {self.bound}")
        for name in ("up", "low", "interpolation"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"continuity.{name} must not be negative, but it is {getattr(self, name)}")
        if not 0 <= self.ramp <= 0.5:
            raise ValueError(f"continuity.ramp is a share, in [0, 0.5], not {self.ramp}")
        if self.estimator not in ESTIMATORS:
            raise ValueError(f"no estimator {self.estimator!r}; there are {', '.join(ESTIMATORS)}")

    @property
    def off(self) -> bool:
        """Whether no term counts."""
        return not (self.up or self.low or self.interpolation)

    def weights_at(self, progress: float) -> dict[str, float]:
        """Return the weights of the terms that count, at a share of the run."""
        grown = min(1.0, max(0.0, progress / self.ramp - 1)) if self.ramp else 1.0
        every = {"up": self.up, "low": self.low, "interpolation": self.interpolation}
        return {name: grown * weight for name, weight in every.items() if weight}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a generator is trained.

    Attributes:
        family: ``autoencoder``, ``gan`` or ``style``.
        architecture: one of ``ARCHITECTURES[family]``.
        latent_dim: numbers of a code; a style network has codes of its own, an image and a strength.
        width: channels of the widest resolution, or units of a layer that is fully connected.
        prior: of a gan's codes, ``normal`` or ``uniform``; the codes of the others are what they are.
        codes: of an autoencoder, ``white`` (their covariance becomes I) or ``scaled`` (by one number, so that
            the encoder's metric stays: an even gain then asks less of the reconstruction).
        augment: mutation -> from, to: the training images are varied by random parameters between them.
        endpoints: whether only the ends of the ranges and the unchanged image are drawn.
        straight: of an autoencoder, weight of this: between the codes of two variants of an image lie those
            of the variants between, so that what the images are varied by is a straight way.
        continuity: the terms of continuity.
        epochs: passes over the data.
        encoder_epochs: of a gan: passes over the data in which its encoder is fitted afterwards.
        batch: images of one step.
        rate: learning rate of the first half.
        last_rate: at the end, reached exponentially in the second half.
        patience: an autoencoder or a style network stops after so many epochs without a better
            reconstruction of the images held out, and keeps the best; 0: never.
        critic_steps: steps of the critic for one of the generator.
        penalty: weight of the critic's gradient penalty.
        cycle: weight of the way there and back, of a style that is another data set.
        mutation: of a style network: the mutation that strength 1 makes, as JSON; ``None``: the style of
            another data set.
        seed: of weights, order, augmentation and codes.
    """

    family: str = "autoencoder"
    architecture: str = "conv"
    latent_dim: int = 16
    width: int = 8
    prior: str = "normal"
    codes: str = WHITE
    augment: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    endpoints: bool = False
    straight: float = 0.0
    continuity: Continuity = field(default_factory=Continuity)
    epochs: int = 100
    encoder_epochs: int = 0
    batch: int = 128
    rate: float = 1e-3
    last_rate: float = 1e-5
    patience: int = 0
    critic_steps: int = 3
    penalty: float = 10.0
    cycle: float = 10.0
    mutation: Mapping[str, Any] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with.

        Raises:
            ValueError: a number is out of its range, or a name is unknown.
        """
        if self.family not in ARCHITECTURES:
            raise ValueError(f"no family {self.family!r}; there are {', '.join(ARCHITECTURES)}")
        known = ARCHITECTURES[self.family]
        if self.architecture not in known:
            raise ValueError(
                f"architecture of a {self.family} is {' or '.join(known)}: not {self.architecture}"
            )
        for name in ("latent_dim", "width", "epochs", "batch", "rate", "last_rate", "critic_steps"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        for name in ("encoder_epochs", "patience", "penalty", "cycle", "straight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must not be negative, but it is {getattr(self, name)}")
        if self.prior not in PRIORS:
            raise ValueError(f"no prior {self.prior!r}; there are {', '.join(PRIORS)}")
        if self.codes not in CODES:
            raise ValueError(f"codes are {' or '.join(CODES)}, not {self.codes!r}")
        self._check_family()
        self.ranges.check()

    def _check_family(self) -> None:
        if self.family == "gan" and not self.encoder_epochs:
            raise ValueError("encoder_epochs must be positive: without an encoder no image has a code")
        if self.family == "gan" and self.patience:
            raise ValueError("patience is for autoencoders and styles: a gan reconstructs nothing")
        if self.family != "gan" and self.prior != "normal":
            raise ValueError(f"the codes of a {self.family} follow from its data; prior is of a gan")
        if self.family != "autoencoder" and self.codes != WHITE:
            raise ValueError(f"codes is of an autoencoder, not of a {self.family}")
        if self.straight and (self.family != "autoencoder" or not self.augment):
            raise ValueError("straight is of an autoencoder with augment: there are no ways otherwise")
        if self.family == "style" and self.continuity.estimator in {"frobenius", "spectral"}:
            raise ValueError(
                "a code of a style holds a whole image: continuity.estimator is difference or jvp"
            )
        kind = None if self.mutation is None else self.mutation.get("type")
        if kind is not None and (self.family != "style" or kind not in EXPLICIT):
            raise ValueError(f"mutation is of a style, one of {', '.join(EXPLICIT)}: not {kind}")

    @property
    def ranges(self) -> Ranges:
        """The augmentation."""
        return Ranges(self.augment, endpoints=self.endpoints)

    @property
    def total_epochs(self) -> int:
        """Epochs of all phases."""
        return self.epochs + (self.encoder_epochs if self.family == "gan" else 0)

    def rate_at(self, progress: float) -> float:
        """Return the learning rate: constant, then an exponential decay over the second half."""
        return self.rate * math.pow(self.last_rate / self.rate, max(0.0, 2 * progress - 1))

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self) | {"augment": {name: list(ends) for name, ends in self.augment.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """Read what ``to_json`` wrote; a range may also be one number (see ``Ranges``).

        Raises:
            ValueError: as the class, or a member is unknown.
        """
        members = dict(data)
        try:
            continuity = Continuity(**(members.pop("continuity", None) or {}))
            augment = Ranges.from_json(members.pop("augment", None) or {})
            return cls(continuity=continuity, augment=augment, **members)
        except TypeError as error:
            raise ValueError(str(error)) from error
