"""Body and summary of jobs of the kind ``precheck``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from app.jobs.latent import MutationBody
from app.jobs.parts import Identity, Inputs, Priority, Tags
from app.schemas import Answer, Body

KIND = "precheck"
ITEMS = 200
SECONDS = 600.0
EXAMPLE: dict[str, JsonValue] = {
    "kind": KIND,
    "model_id": "mdl_019361f4a1c20123456789abcdef0123",
    "dataset_id": "dat_019361f4a1c20123456789abcdef0123",
    "inputs": {"limit": 200},
    "mutation": {"type": "brightness", "from": 0.0, "to": 0.2},
}


class PrecheckBudget(Body):
    """How long the precheck may take."""

    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False, description="The settings cap it.")] = SECONDS


class PrecheckSettings(Body):
    """What a precheck looks at."""

    inputs: Annotated[Inputs, Field(description="Items on which preprocessings are tried.")] = Inputs(
        limit=ITEMS
    )
    mutation: Annotated[
        MutationBody | None,
        Field(
            description="Of the job whose cost is estimated; brightness by a tenth of the domain by default."
        ),
    ] = None
    budget: PrecheckBudget = PrecheckBudget()
    tags: Tags = Field(default_factory=dict)
    priority: Priority = 3


class PrecheckStart(PrecheckSettings):
    """A precheck of the model in the address."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"dataset_id": EXAMPLE["dataset_id"]}]})

    dataset_id: Identity


class PrecheckJob(PrecheckSettings):
    """Say whether model and data go together, which settings would be better, and what a job would cost."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    kind: Literal["precheck"]
    model_id: Identity
    dataset_id: Identity

    def stored(self, longest: float) -> dict[str, Any]:
        """Return the request with every default filled in."""
        spec = self.model_dump(mode="json", by_alias=True)
        return spec | {
            "mutation": None if self.mutation is None else self.mutation.stored(),
            "budget": {"seconds": min(self.budget.seconds, longest)},
        }


class Enclosed(Answer):
    lower: float
    upper: float


class GuessRead(Answer):
    name: str
    preprocessing: dict[str, Any]
    """as the upload of a model takes it"""
    current: bool
    """whether these are the model's own settings"""
    leads: bool = False
    """whether the items cannot tell it from the best guess (sign test)"""
    items: int
    right: int | None
    accuracy: float | None
    interval: Enclosed | None
    """of the accuracy, 95 % (Wilson)"""
    loss: float | None
    """mean cross-entropy of the labels"""
    information: float
    """bits that the answers tell about the items: many kinds of sure answers; sorts unlabelled data"""
    label_entropy: float
    """of the answers, in bits; 0 where all are the same"""
    labels: dict[str, int] | None
    """answers of unlabelled data, by label"""
    mean_margin: float
    """mean difference of the two best scores"""
    not_finite: int
    """items whose scores are not finite"""


class Recommendation(Answer):
    name: str
    preprocessing: dict[str, Any]
    """to be sent with the upload of the model"""


class Spread(Answer):
    least: float
    median: float
    most: float


class Estimate(Answer):
    mutation: dict[str, Any] | None = None
    measured: int
    """inputs that were certified for the estimate"""
    seconds_per_input: Spread | None = None
    inputs: int | None = None
    """items of the data set"""
    workers: int | None = None
    """that were at hand"""
    seconds: float | None
    """of a job on the whole data set"""
    at_least: bool | None = None
    """whether an input was still undecided when the time for the estimate was over"""
    note: str


class PrecheckSummary(Answer):
    model: dict[str, Any]
    """`family`, `methods`, `parameters`, `nonlinear_units`, `outputs`, `output_kind`"""
    fit: dict[str, Any]
    """`items`, `item_shape`, `dtype`, `range`, `input_shape`, `layouts` (the likely one first),
    `image_shape`, `problems`"""
    labels: dict[str, Any]
    """`labelled`, `problems`; `classes`, `counts`, `missing`, `outside`, `outside_count` of labelled data"""
    guesses: list[GuessRead]
    """preprocessings, best first"""
    recommended: Recommendation | None
    """where a guess is clearly better than the model's own settings: their intervals do not overlap"""
    rearranged: list[GuessRead]
    """clearly better orders of the data that no setting names: channels reversed, rows for columns"""
    outputs: dict[str, Any] | None
    """of networks that return values: `items`, `lowest`, `highest`"""
    warnings: list[str]
    estimate: Estimate
