"""The request of a mutation through a generator as data: what the API stores and the engine receives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

ANCHORS = ("residual", "generated")
PRIORS = ("normal", "uniform")


@dataclass(frozen=True, slots=True)
class EncodingSpec:
    """How hard the code of an input is looked for.

    Attributes:
        steps: of Adam at most; 0 takes the first code as it is.
        restarts: codes that are refined side by side.
        samples: codes of the prior to begin with, where no encoder proposes one.
        rate: of Adam.
        prior_weight: of how unlikely a code is.
        edges: weight of the differences of neighbouring pixels.
        seed: of samples and restarts.
    """

    steps: int = 500
    restarts: int = 4
    samples: int = 256
    rate: float = 0.05
    prior_weight: float = 1e-3
    edges: float = 0.1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Gates:
    """When a path through the latent space is worth certifying, and when it is worth a warning.

    Attributes:
        psnr: least peak signal-to-noise ratio of ``G(z)`` in decibels; below it an input is skipped.
        keep_label: whether an input is skipped unless the network says the same of ``G(z)``.
        jump_index: largest speed over mean speed, above which a row warns.
        stall: share of the path without motion, above which a row warns.
        leakage: share of the change outside the mask, above which a row warns.
    """

    psnr: float = 20.0
    keep_label: bool = True
    jump_index: float = 10.0
    stall: float = 0.2
    leakage: float = 0.1


@dataclass(frozen=True, slots=True)
class LatentSpec:
    """What a latent mutation needs beside the ends of its path.

    Attributes:
        direction: v, float64 as JSON carries it: exact by definition.
        anchor: ``residual``: the path starts at the input itself; ``generated``: at what the generator makes
            of its code.
        prior: ``normal`` or ``uniform``.
        spreads: standard deviations of normal codes, one per number; none: all are 1.
        unit: of the parameter, as users know it.
        per_latent: how many of it one latent unit is.
        mask: rows of the image where the mutation is meant to act, see ``glocert.generators``; or nothing.
        gates: see there.
        encoding: see there.
    """

    direction: tuple[float, ...]
    anchor: str = "residual"
    prior: str = "normal"
    spreads: tuple[float, ...] = ()
    unit: str = "latent"
    per_latent: float = 1.0
    mask: Mapping[str, Any] | None = None
    gates: Gates = field(default_factory=Gates)
    encoding: EncodingSpec = field(default_factory=EncodingSpec)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LatentSpec:
        """Read the options of a mutation as the API stores them."""
        scale = data.get("scale") or {}
        return cls(
            direction=tuple(map(float, data["direction"])),
            anchor=str(data.get("anchor", "residual")),
            prior=str(data.get("prior") or "normal"),
            spreads=tuple(map(float, data.get("spreads") or ())),
            unit=str(scale.get("unit", "latent")),
            per_latent=float(scale.get("per_latent", 1.0)),
            mask=data.get("mask"),
            gates=Gates(**(data.get("gates") or {})),
            encoding=EncodingSpec(**(data.get("encoding") or {})),
        )

    def shared(self) -> dict[str, Any]:
        """Return what several latent mutations at once must have in common."""
        return {
            "anchor": self.anchor, "prior": self.prior, "spreads": self.spreads,
            "gates": asdict(self.gates), "encoding": asdict(self.encoding),
        }  # fmt: skip
