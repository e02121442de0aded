"""Bodies and summaries of jobs of the kinds ``gloro-wrap`` and ``gloro-training``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, model_validator

from app.jobs.parts import Identity, Priority, Tags
from app.schemas import Answer, Body, Line

WRAP = "gloro-wrap"
TRAINING = "gloro-training"
WRAP_EXAMPLE: dict[str, JsonValue] = {
    "kind": WRAP,
    "model_id": "mdl_019361f4a1c20123456789abcdef0123",
    "epsilon": 0.3,
    "formats": ["onnx"],
}
TRAINING_EXAMPLE: dict[str, JsonValue] = {
    "kind": TRAINING,
    "dataset_id": "dat_019361f4a1c20123456789abcdef0123",
    "validation_dataset_id": None,
    "epsilon": 0.3,
    "architecture": "2c2f",
    "loss": "trades-kl",
    "epochs": 100,
}
Radius = Annotated[float, Field(gt=0, allow_inf_nan=False, description="Of the ball, l2, raw input units.")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
WrapFormat = Literal["onnx", "torchscript", "pt2"]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

DEFAULTS: Mapping[str, tuple[float, float]] = {
    "weight": (1.5, 1.0),
    "epochs": (100, 80),
    "batch": (256, 128),
    "overshoot": (1.3, 1.2),
    "ramp": (0.5, 0.6),
    "shift": (0, 1),
}
"""Members whose default depends on the beginning: from scratch, and from a model that is there."""
RECIPE = (
    "epsilon", "loss", "weight", "epochs", "warmup", "batch", "overshoot", "ramp", "rate", "last_rate",
    "decay", "clip", "iterations", "shift", "flip", "rotate", "zoom", "seed",
)  # fmt: skip
"""Members that decide how a training runs; they are what the engine calls its recipe."""
NETWORK = ("architecture", "activation", "normalised", "depth", "width")
"""Members that decide what is trained from scratch."""


class JobBudget(Body):
    """How long the job may take."""

    seconds: Annotated[
        float | None, Field(gt=0, allow_inf_nan=False, description="Of the whole job; the settings cap it.")
    ] = None


class GloroWrap(Body):
    """Make files that answer the class where it is certified, and bottom elsewhere, in one forward pass."""

    model_config = ConfigDict(json_schema_extra={"examples": [WRAP_EXAMPLE]})

    kind: Literal["gloro-wrap"]
    model_id: Identity
    epsilon: Radius
    formats: Annotated[list[WrapFormat], Field(min_length=1, max_length=3)] = [  # noqa: RUF012
        "onnx",
        "torchscript",
        "pt2",
    ]
    budget: JobBudget = Field(default_factory=JobBudget)
    tags: Tags = Field(default_factory=dict)
    priority: Priority = 3

    @model_validator(mode="after")
    def _once_each(self) -> GloroWrap:
        if len(set(self.formats)) < len(self.formats):
            raise ValueError("formats must not repeat")
        return self

    def stored(self, seconds: float) -> dict[str, Any]:
        """Return the request with every default filled in."""
        return self.model_dump(mode="json") | {"budget": {"seconds": seconds}}


class GloroTraining(Body):
    """Train a network for a proven radius, from scratch or from a model that is there."""

    model_config = ConfigDict(json_schema_extra={"examples": [TRAINING_EXAMPLE]})

    kind: Literal["gloro-training"]
    dataset_id: Identity
    validation_dataset_id: Annotated[
        Identity | None, Field(description="What figures are measured on; by default a share is held out.")
    ] = None
    validation_share: Annotated[
        float, Field(gt=0, lt=1, description="Held out where there is no data set for validation.")
    ] = 0.1
    epsilon: Radius
    architecture: Annotated[
        Literal["2c2f", "4c3f", "6c2f", "8c2f", "liresnet"] | None,
        Field(description="Of a training from scratch; 2c2f by default."),
    ] = None
    from_model_id: Annotated[
        Identity | None, Field(description="A model to be trained further, in its own architecture.")
    ] = None
    name: Annotated[Line | None, Field(description="Of the model that is made.")] = None
    activation: Literal["minmax", "relu"] = "minmax"
    normalised: Annotated[
        bool | None, Field(description="Rows of length one in the last matrix; by default only of liresnet.")
    ] = None
    depth: Annotated[int, Field(ge=1, le=64, description="Blocks of a liresnet.")] = 4
    width: Annotated[int, Field(ge=2, le=2048, multiple_of=2, description="Channels of a liresnet.")] = 64
    loss: Literal["ce", "trades-kl", "emma"] = "trades-kl"
    weight: Annotated[NotNegative | None, Field(description="Factor of the second term of trades-kl.")] = None
    epochs: Annotated[int | None, Field(ge=1, description="The settings cap it.")] = None
    warmup: Annotated[int, Field(ge=0, description="Epochs that learn labels alone.")] = 0
    batch: Annotated[int | None, Field(ge=1, description="Inputs of one step; the settings cap it.")] = None
    overshoot: Annotated[Positive | None, Field(description="Trained radius, as a multiple of epsilon.")] = (
        None
    )
    ramp: Annotated[Share | None, Field(description="Share of the epochs over which the radius grows.")] = (
        None
    )
    rate: Annotated[Positive, Field(description="Learning rate of the first half.")] = 1e-3
    last_rate: Annotated[Positive, Field(description="Learning rate at the end.")] = 1e-6
    decay: Annotated[NotNegative, Field(description="Weight decay.")] = 0.0
    clip: Annotated[NotNegative, Field(description="Largest norm of a gradient; 0: any.")] = 0.0
    iterations: Annotated[int, Field(ge=1, le=100, description="Power iterations of a step.")] = 5
    shift: Annotated[int | None, Field(ge=0, le=64, description="Pixels by which images are moved.")] = None
    flip: Annotated[bool, Field(description="Mirror images at random.")] = False
    rotate: Annotated[float, Field(ge=0, le=180, description="Degrees by which images are turned.")] = 0.0
    zoom: Annotated[Share, Field(description="Share by which images are resized.")] = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    budget: JobBudget = Field(default_factory=JobBudget)
    tags: Tags = Field(default_factory=dict)
    priority: Priority = 3

    @model_validator(mode="after")
    def _one_beginning(self) -> GloroTraining:
        if self.architecture is not None and self.from_model_id is not None:
            raise ValueError("give architecture or from_model_id, not both")
        if self.warmup >= self.filled("epochs"):
            raise ValueError("warmup must be smaller than epochs")
        return self

    def filled(self, member: str) -> Any:
        """Return a member, or the default of a training that begins as this one does."""
        own = getattr(self, member)
        return DEFAULTS[member][self.from_model_id is not None] if own is None else own

    def stored(self, seconds: float) -> dict[str, Any]:
        """Return the request with every default filled in."""
        spec = self.model_dump(mode="json") | {"budget": {"seconds": seconds}}
        spec |= {member: self.filled(member) for member in DEFAULTS}
        if self.from_model_id is None:
            spec["architecture"] = self.architecture or "2c2f"
        return spec


class MadeFile(Answer):
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    href: str


class WrapSummary(Answer):
    model_config = ConfigDict(extra="allow")

    artifacts: list[MadeFile]
    """the wrapped network in every format, and its manifest"""
    epsilon: float


class TrainingSummary(Answer):
    model_config = ConfigDict(extra="allow")

    model_id: str
    """of the trained model"""
    artifacts: list[MadeFile]
    recipe: dict[str, Any]
    epochs: int
    seconds_per_epoch: float
    trained_on: int
    """inputs"""
    device: str
    certified_over_estimated: float
    """proven constants over those that were trained with"""
    validation: dict[str, Any]
    """figures with proven constants on data that was not trained on"""
    before: dict[str, Any] | None
    """the same of the model that was begun with"""
