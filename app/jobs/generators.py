"""Bodies and summaries of jobs of the kind ``generator-training``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, model_validator

from app.jobs.gloro import JobBudget, MadeFile, NotNegative, Positive
from app.jobs.mutations import Blur, Brightness, Contrast, Noise, Rotation, Scaling, Shear, Translation, Veil
from app.jobs.parts import Identity, Priority, Tags
from app.schemas import Answer, Body, Line
from glocert.spec import NEUTRAL
from glocert.spec_generator import ARCHITECTURES, Recipe

KIND = "generator-training"
EXAMPLE: dict[str, JsonValue] = {
    "kind": KIND,
    "dataset_id": "dat_019361f4a1c20123456789abcdef0123",
    "family": "autoencoder",
    "augment": {"rotation": 30},
    "latent_dim": 16,
    "continuity": {"bound": 4.0, "up": 1.0, "low": 1.0, "interpolation": 1.0},
    "epochs": 100,
}
WIDTHS: Mapping[str, int] = {"conv": 8, "skip": 8, "fc": 256, "dcgan": 8, "residual": 16}
RATES: Mapping[str, tuple[float, float]] = {
    "autoencoder": (1e-3, 1e-5),
    "gan": (2e-4, 2e-4),
    "style": (2e-4, 2e-4),
}
"""Family -> learning rates of both halves, by default."""
ENCODING = 4
"""The encoder of a gan is fitted in a fourth of the epochs, by default."""
OF_STYLES = 0.002
"""Learning rate of a style that learns from pairs."""
RECIPE = (
    "family", "architecture", "latent_dim", "width", "prior", "codes", "augment", "endpoints", "straight",
    "continuity", "epochs", "encoder_epochs", "batch", "rate", "last_rate", "patience", "critic_steps",
    "penalty", "cycle", "seed",
)  # fmt: skip
"""Members that are the engine's recipe, besides the target's mutation."""
Range = Annotated[
    Annotated[float, Field(ge=0, allow_inf_nan=False)]
    | Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=2, max_length=2)],
    Field(description="[from, to]; one number r is [0, r], [1 - r, 1 + r] or [-r, r]"),
]
Explicit = Literal[
    "brightness", "contrast", "noise", "fog", "haze", "blur", "rotation", "scaling", "shear", "translation"
]


class ContinuityBody(Body):
    """What keeps the gain of the generator between `a / bound` and `a bound`, `a` its geometric mean."""

    bound: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 4.0
    up: Annotated[NotNegative, Field(description="Weight of gains above the band.")] = 1.0
    low: Annotated[NotNegative, Field(description="Weight of gains below it.")] = 1.0
    interpolation: Annotated[
        NotNegative, Field(description="Weight of the distance from being linear between two codes.")
    ] = 1.0
    estimator: Annotated[
        Literal["difference", "jvp", "frobenius", "spectral"], Field(description="How a gain is measured.")
    ] = "difference"
    ramp: Annotated[
        float,
        Field(ge=0, le=0.5, description="Share of the epochs without the terms; over as many they grow."),
    ] = 0.1


class MutationTarget(Body):
    """A style that is an explicit mutation: strength 1 is all of it, 0 the unchanged image."""

    mutation: Annotated[
        Brightness | Contrast | Veil | Noise | Rotation | Scaling | Shear | Translation | Blur,
        Field(discriminator="type", title="Target"),
    ]

    @model_validator(mode="after")
    def _from_nothing(self) -> MutationTarget:
        if getattr(self.mutation, "start", None) not in {None, NEUTRAL.get(self.mutation.type, 0.0)}:
            raise ValueError("the mutation of a style starts at the unchanged image: leave `from` out")
        return self


class DatasetTarget(Body):
    """A style that is how the images of another data set look."""

    dataset_id: Identity


class GeneratorTraining(Body):
    """Train a generator that is continuous, and an encoder for it; both become models."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    kind: Literal["generator-training"]
    dataset_id: Identity
    family: Literal["autoencoder", "gan", "style"] = "autoencoder"
    architecture: Annotated[
        Literal["conv", "skip", "fc", "dcgan", "residual"] | None,
        Field(
            description="conv (default), skip (conv and a linear map, added) or fc of an autoencoder, "
            "dcgan of a gan, residual of a style."
        ),
    ] = None
    target: Annotated[
        MutationTarget | DatasetTarget | None, Field(description="Of a style: what strength 1 makes.")
    ] = None
    name: Annotated[Line | None, Field(description="Of the models that are made.")] = None
    validation_share: Annotated[
        float, Field(gt=0, lt=1, description="Of the items that is held out; figures are measured on it.")
    ] = 0.1
    latent_dim: Annotated[int, Field(ge=1, description="Numbers of a code; the settings cap it.")] = 16
    width: Annotated[
        int | None, Field(ge=1, description="Channels, or units of a layer of fc; the settings cap it.")
    ] = None
    prior: Annotated[
        Literal["normal", "uniform"] | None, Field(description="Of a gan's codes; normal by default.")
    ] = None
    codes: Annotated[
        Literal["white", "scaled"],
        Field(
            description="Of an autoencoder: white codes have covariance I; scaled ones keep the encoder's "
            "metric, in which an even gain costs less, and the card says how wide they are."
        ),
    ] = "white"
    augment: Annotated[
        dict[Explicit, Range], Field(description="Mutation -> range by which the images are varied.")
    ] = Field(default_factory=dict)
    endpoints: Annotated[
        bool, Field(description="Vary by the ends of the ranges only; continuity fills the gap.")
    ] = False
    straight: Annotated[
        NotNegative,
        Field(
            description="Of an autoencoder, weight of this: between the codes of two variants of an image "
            "lie those of the variants between, so that what it is varied by becomes a straight way."
        ),
    ] = 0.0
    continuity: ContinuityBody = Field(default_factory=ContinuityBody)
    epochs: Annotated[int, Field(ge=1, description="The settings cap it.")] = 100
    encoder_epochs: Annotated[
        int | None, Field(ge=1, description="Of a gan's encoder, afterwards; a fourth of epochs by default.")
    ] = None
    batch: Annotated[int, Field(ge=2, description="Images of one step; the settings cap it.")] = 128
    rate: Annotated[Positive | None, Field(description="Learning rate of the first half.")] = None
    last_rate: Annotated[Positive | None, Field(description="Learning rate at the end.")] = None
    patience: Annotated[
        int, Field(ge=0, description="Stop after so many epochs without a better reconstruction; 0: never.")
    ] = 0
    critic_steps: Annotated[
        int, Field(ge=1, le=100, description="Of a gan: steps of its critic for one.")
    ] = 3
    penalty: Annotated[NotNegative, Field(description="Weight of the critic's gradient penalty.")] = 10.0
    cycle: Annotated[
        NotNegative, Field(description="Weight of the way there and back, of a style that is a data set.")
    ] = 10.0
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    budget: JobBudget = Field(default_factory=JobBudget)
    tags: Tags = Field(default_factory=dict)
    priority: Priority = 3

    @model_validator(mode="after")
    def _trainable(self) -> GeneratorTraining:
        if (self.target is not None) != (self.family == "style"):
            raise ValueError("a style, and nothing else, has a target: a mutation or a data set")
        if self.encoder_epochs is not None and self.family != "gan":
            raise ValueError("encoder_epochs are of a gan: the encoders of the others learn with them")
        Recipe.from_json(self.recipe())
        return self

    def recipe(self) -> dict[str, Any]:
        """Return the engine's recipe, every default filled in."""
        given = self.model_dump(mode="json", by_alias=True)
        known = {name: given[name] for name in RECIPE} | self._filled()
        mutation = self.target.mutation.stored() if isinstance(self.target, MutationTarget) else None
        return known | {"mutation": mutation}

    def stored(self, seconds: float) -> dict[str, Any]:
        """Return the request with every default filled in."""
        spec = self.model_dump(mode="json", by_alias=True, exclude={"target"}) | self._filled()
        if self.family != "gan":
            spec |= {"prior": None, "encoder_epochs": None}
        target = None if self.target is None else self.target.model_dump(mode="json", by_alias=True)
        return spec | {"target": target, "budget": {"seconds": seconds}}

    def _filled(self) -> dict[str, Any]:
        architecture = self.architecture or ARCHITECTURES[self.family][0]
        rates = RATES[self.family]
        if isinstance(self.target, MutationTarget):
            rates = OF_STYLES, OF_STYLES / 10
        rate = self.rate or rates[0]
        encoding = self.encoder_epochs or math.ceil(self.epochs / ENCODING)
        return {
            "architecture": architecture,
            "width": self.width or WIDTHS[architecture],
            "prior": self.prior or "normal",
            "encoder_epochs": encoding if self.family == "gan" else 0,
            "rate": rate,
            "last_rate": self.last_rate or rate * rates[1] / rates[0],
        }

    @property
    def total_epochs(self) -> int:
        """Epochs of all phases."""
        return self.epochs + int(self._filled()["encoder_epochs"])


class GeneratorSummary(Answer):
    model_config = ConfigDict(extra="allow")

    generator_id: str
    """of the generator, a model"""
    encoder_id: str
    """of its encoder"""
    artifacts: list[MadeFile]
    family: str
    recipe: dict[str, Any]
    reconstruction: dict[str, Any]
    """of the images held out: `psnr_db`, `ssim`"""
    continuity: dict[str, Any]
    """quantiles of the gain, `index`, `residual`, `singular_values`"""
    epochs: int
    seconds_per_epoch: float
    trained_on: int
    """images"""
    device: str
