"""Answers of ``/v1/jobs/{id}/results`` and ``/artifacts``."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from app.jobs.schemas import RobustMass
from app.schemas import Answer, Listing

Verdict = Literal["certified", "falsified", "undecided", "skipped"]


class ResultFilter(Listing):
    verdict: Verdict | None = None


class ParameterRead(Answer):
    type: str
    """of the mutation"""
    t: float
    """share of its range"""
    value: float
    """of its parameter"""
    unit: str


class CertifiedTo(Answer):
    t: float
    value: float
    """of the mutation's parameter; of several at once the share of every range"""
    unit: str
    parameters: list[ParameterRead] | None = None
    """of several mutations at once: where that share of each range ends"""


class MinMargin(Answer):
    value: float | None
    t: float | None


class CounterexampleRead(Answer):
    t: float | None
    """share of the path; null for several mutations at once"""
    value: float | None
    """of the mutation's parameter; likewise"""
    parameters: list[ParameterRead] | None = None
    """of several mutations at once"""
    predicted: int | None
    """label that the runtimes give; null for bands"""
    image: str | None
    """address of the picture; null for inputs that are no pictures"""
    confirmed_in: list[str]
    """runtimes that show it, in float32"""
    outputs: list[float] | None = None
    """of the network there, for bands"""


class PartRead(Answer):
    start: float = Field(alias="from")
    stop: float = Field(alias="to")
    label: int


class Continuity(Answer):
    """How evenly the image moves along the path; a measure, not a proof. Null where it does not move."""

    exact: bool
    """whether every straight piece was followed, up to rounding; else the image was taken at 257 points"""
    pieces: int
    lipschitz: float
    """largest speed, per t"""
    slowest: float
    length: float
    """Euclidean, of the path that the image takes"""
    jump_index: float | None
    """largest over mean speed"""
    stall: float
    """share of t on which the speed is below a twentieth of the mean"""
    straightness: float | None
    """distance between the ends over length"""
    largest_piece: float | None
    """share of the length that the longest straight piece has"""


class Independency(Answer):
    """How much of the change lies outside the mask; likewise."""

    leakage: float | None
    """share of the squared change, integrated along the path"""
    background_change: float
    """of one number, at most"""


class AlongRead(Answer):
    out_of_prior: dict[str, float | str] | None = None
    """`t`, `value` and `unit` from which codes are none that the generator was trained on"""
    continuity: Continuity | None = None
    independency: Independency | None = None
    """null without a mask"""
    warnings: list[str] = Field(default_factory=list)


class LatentRead(AlongRead):
    """Of a mutation through a generator; `skipped` rows have the first four members only."""

    psnr: float
    """of what the generator makes of the code, in decibels"""
    ssim: float | None
    steps: int
    """that refining the code took"""
    label_kept: bool | None
    """whether the model says of it what it should say of the input; null for bands"""
    anchor: Literal["residual", "generated"] | None = None
    prior: Literal["normal", "uniform"] | None = None
    code: list[float] | None = None
    """z"""
    directions: list[AlongRead] | None = None
    """of several at once: the measures along each, the others at their start"""


class ResultRead(Answer):
    model_config = ConfigDict(extra="allow")

    index: int
    label: int | None
    """null for bands"""
    predicted: int | None
    """null for bands"""
    verdict: Verdict
    seconds: float
    reason: str | None = None
    """why undecided or skipped"""
    next_step: str | None = None
    robust_mass: RobustMass | None = None
    """encloses the probability under the law that the property holds; uniform: the share of the path, or of
    all combinations of several parameters"""
    certified_to: CertifiedTo | None = None
    """the property holds from the start of the path to here; for all combinations of several parameters up to
    here"""
    min_margin: MinMargin | None = None
    """absent for several mutations at once"""
    error_radius: float | None = None
    """bounds the error of every margin: of rounding, and of the bounds where the family is enclosure; absent
    for several mutations at once"""
    pieces: int | None = None
    """of the exact curve, or parts of the path that were bounded"""
    family: Literal["exact", "enclosure"] | None = None
    """whether the network was followed exactly, or bounded on parts of the path"""
    analysis: Literal["incomplete"] | None = None
    """of rows whose path was bounded once: undecided says nothing about the network"""
    method: str | None = None
    """interval, zonotope or crown of an incomplete analysis; whose radius a Lipschitz certification gives"""
    partition: list[PartRead] | None = None
    centre: list[float] | None = None
    """of a band: the outputs at the start of the path in float64, about which the band is certified"""
    outputs: list[float] | None = None
    """of a band: the network's at the unchanged input, in float32"""
    latent: LatentRead | None = None
    """of a mutation through a generator"""
    counterexample: CounterexampleRead | None = None
    files: dict[str, str] = Field(default_factory=dict)
    """addresses of the pictures, by name"""


class ResultPage(Answer):
    items: list[ResultRead]
    next: str | None


class ArtifactRead(Answer):
    index: int | None
    """the input that it belongs to; null: the whole job"""
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    href: str


class ArtifactPage(Answer):
    items: list[ArtifactRead]
    next: str | None
