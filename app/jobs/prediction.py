"""Body and summary of jobs of the kind ``gloro-prediction``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, model_validator

from app.jobs.gloro import JobBudget, MadeFile
from app.jobs.lipschitz import MOST_EPSILONS
from app.jobs.parts import Identity, Inputs, Priority, Tags
from app.schemas import Answer, Body

KIND = "gloro-prediction"
WHOLE_JOB = -1
ONNX, MANIFEST = WRAPPED = ("wrapped.onnx", "manifest.json")
EXAMPLE: dict[str, JsonValue] = {
    "kind": KIND,
    "wrap_job_id": "job_019361f4a1c20123456789abcdef0123",
    "dataset_id": "dat_019361f4a1c20123456789abcdef0123",
    "epsilons": [0.1, 0.3],
    "format": "npz",
}
Reach = Annotated[float, Field(ge=0, le=2.0**40, allow_inf_nan=False)]


class GloroPrediction(Body):
    """Answer a data set with a wrapped network as `glocert predict-serve` does: class or bottom per item."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    kind: Literal["gloro-prediction"]
    wrap_job_id: Annotated[
        Identity | None, Field(description="A job gloro-wrap that has succeeded and wrote an ONNX file.")
    ] = None
    model_id: Annotated[
        Identity | None, Field(description="A model instead, which is wrapped first; needs `epsilons`.")
    ] = None
    dataset_id: Identity
    inputs: Inputs = Field(default_factory=Inputs)
    epsilons: Annotated[
        list[Reach] | None,
        Field(
            min_length=1,
            max_length=MOST_EPSILONS,
            description="l2, in the unit of the data's domain; that of the wrapped file by default.",
        ),
    ] = None
    format: Annotated[Literal["npz", "csv", "jsonl"], Field(description="Of the file with the answers.")] = (
        "npz"
    )
    budget: JobBudget = Field(default_factory=JobBudget)
    tags: Tags = Field(default_factory=dict)
    priority: Priority = 3

    @model_validator(mode="after")
    def _one_source(self) -> GloroPrediction:
        if (self.wrap_job_id is None) == (self.model_id is None):
            raise ValueError("give wrap_job_id or model_id, and only one of them")
        if self.model_id is not None and (self.epsilons is None or not max(self.epsilons) > 0):
            raise ValueError("a model has no radius of its own: give epsilons, at least one above zero")
        if self.epsilons is not None and len(set(self.epsilons)) < len(self.epsilons):
            raise ValueError("epsilons must not repeat")
        return self

    def stored(self, seconds: float) -> dict[str, Any]:
        """Return the request with every default filled in."""
        return self.model_dump(mode="json") | {"budget": {"seconds": seconds}}


class PredictionSummary(Answer):
    model_config = ConfigDict(extra="allow")

    inputs: int
    artifacts: list[MadeFile]
    """`predictions.*`, and the wrapped file with its manifest"""
    epsilons: list[float]
    answered: dict[str, int]
    """per epsilon: how many inputs got a class"""
    rejection_rate: dict[str, float]
    """per epsilon: share of the inputs that got bottom"""
    outside_domain: int
    """inputs that were clamped"""
    radius_quantiles: dict[str, float]
    clean_accuracy: float | None
    vra: dict[str, float] | None
    """per epsilon: share of the inputs that are right and certified there; null without labels"""
    certified_but_wrong: dict[str, float] | None
    milliseconds_per_input: float
