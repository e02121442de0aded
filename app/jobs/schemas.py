"""Bodies and answers of ``/v1/jobs``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, computed_field

from app.jobs import generators, gloro, lipschitz, mining, precheck, prediction
from app.jobs.generators import GeneratorSummary, GeneratorTraining
from app.jobs.gloro import GloroTraining, GloroWrap, TrainingSummary, WrapSummary
from app.jobs.latent import MutationBody
from app.jobs.laws import LawBody, Uniform
from app.jobs.lipschitz import LipschitzCertification, LipschitzSummary
from app.jobs.mining import DirectionMining, MiningSummary
from app.jobs.parts import Identity, Inputs, Priority, Tags
from app.jobs.precheck import PrecheckJob, PrecheckSummary
from app.jobs.prediction import GloroPrediction, PredictionSummary
from app.schemas import Answer, Body, Listing, Moment, Search
from glocert.spec import MOST_RANKED

SEGMENT = "segment-certification"
KINDS = (
    SEGMENT, precheck.KIND, lipschitz.KIND, gloro.WRAP, gloro.TRAINING, prediction.KIND, mining.KIND,
    generators.KIND,
)  # fmt: skip
"""What this release offers."""
CERTIFYING = frozenset({SEGMENT, lipschitz.KIND})
"""Kinds that answer with a row per input and a certificate."""
Kind = Literal[
    "segment-certification", "precheck", "lipschitz-certification", "gloro-wrap", "gloro-training",
    "gloro-prediction", "direction-mining", "generator-training",
]  # fmt: skip
Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
EXAMPLE: dict[str, JsonValue] = {
    "kind": "segment-certification",
    "model_id": "mdl_019361f4a1c20123456789abcdef0123",
    "dataset_id": "dat_019361f4a1c20123456789abcdef0123",
    "inputs": {"limit": 100},
    "mutation": {"type": "brightness", "from": 0.0, "to": 0.2},
    "analysis": "complete",
    "margin": 0.0,
    "budget": {"seconds_per_input": 30, "seconds": 3600},
    "tags": {"commit": "abc"},
    "priority": 3,
}


class BudgetBody(Body):
    """How long the job may take."""

    seconds_per_input: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30.0
    seconds: Annotated[
        float | None, Field(gt=0, allow_inf_nan=False, description="Of the whole job; the settings cap it.")
    ] = None


MOST_PARTS = 10_000
"""of the path, in one incomplete analysis"""


class LabelProperty(Body):
    """The label of the data set beats all others."""

    type: Literal["label"]


class BandProperty(Body):
    """Every output stays closer than `width` to its value at the start of the path."""

    type: Literal["band"]
    width: Annotated[float, Field(gt=0, allow_inf_nan=False, description="In the unit of the outputs.")]


class TopKProperty(Body):
    """The label stays among the `k` highest scores; a tie counts against it."""

    type: Literal["top_k"]
    k: Annotated[int, Field(ge=1, lt=MOST_RANKED, description="Below the number of classes.")]


PropertyBody = Annotated[
    LabelProperty | BandProperty | TopKProperty, Field(discriminator="type", title="Property")
]


class SegmentCertification(Body):
    """Certify a property on the whole path of every input."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    kind: Literal["segment-certification"]
    model_id: Identity
    dataset_id: Identity
    inputs: Inputs = Field(default_factory=Inputs)
    mutation: MutationBody
    property: Annotated[
        PropertyBody,
        Field(description="`label` and `top_k` for classifiers; `band` for regressors, and for scores."),
    ] = LabelProperty(type="label")
    analysis: Annotated[
        Literal["complete", "quantitative", "incomplete"],
        Field(
            description="`complete` answers yes or no; `quantitative` bounds the robust mass up to `gap`; "
            "`incomplete` bounds once, quickly, and may leave open what is true."
        ),
    ] = "complete"
    method: Annotated[
        Literal["interval", "zonotope", "crown"],
        Field(description="How `incomplete` bounds, each at least as tight as the one before."),
    ] = "crown"
    parts: Annotated[
        int,
        Field(ge=1, le=MOST_PARTS, description="Equal parts of the path that `incomplete` bounds."),
    ] = 1
    arithmetic: Annotated[
        Literal["real", "float32"],
        Field(
            description="`real`: a theorem about the stored weights over the reals; `float32` also covers "
            "every float32 execution in any order of summation."
        ),
    ] = "real"
    margin: Annotated[
        float,
        Field(
            ge=0,
            allow_inf_nan=False,
            description="The label's score must exceed all others by more than this.",
        ),
    ] = 0.0
    gap: Annotated[float, Field(ge=0, le=1, description="Largest accepted U - L of the robust mass.")] = 0.001
    law: Annotated[
        LawBody,
        Field(description="How likely each value of the parameter is, for the robust mass."),
    ] = Uniform(type="uniform")
    paired: Annotated[
        bool,
        Field(
            description="Whether every item is two images, the channels of one behind those of the other; "
            "the first is mutated, the second is a constant reference."
        ),
    ] = False
    budget: BudgetBody = Field(default_factory=BudgetBody)
    partition: Annotated[
        bool, Field(description="Whether rows list the label of every part of the path.")
    ] = False
    tags: Tags = Field(default_factory=dict)
    priority: Priority = 3

    def stored(self, seconds: float) -> dict[str, Any]:
        """Return the request with every default filled in."""
        spec = self.model_dump(mode="json", by_alias=True)
        return spec | {
            "mutation": self.mutation.stored(),
            "budget": {"seconds_per_input": self.budget.seconds_per_input, "seconds": seconds},
        }


JobBody = (
    SegmentCertification
    | PrecheckJob
    | LipschitzCertification
    | GloroWrap
    | GloroTraining
    | GloroPrediction
    | DirectionMining
    | GeneratorTraining
)
"""A request for a job of any kind; ``kind`` decides."""


class JobFilter(Listing):
    status: Status | None = None
    kind: Kind | None = None
    model_id: Search | None = None
    tag: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9_./-]{1,63}(:[^\x00-\x1f\x7f]{0,200})?$", description="`key` or `key:value`."
        ),
    ] = None


class Progress(Answer):
    done: int
    total: int
    unit: Literal["inputs", "epochs", "files", "stages"] = "inputs"
    rate: float | None
    """of them per second"""
    eta_s: float | None
    """seconds to the end, at that rate"""


class CertificateLink(Answer):
    href: str
    sha256: str


class JobLinks(Answer):
    self: str
    events: str
    cancel: str
    results: str
    artifacts: str
    certificate: str


class RobustMass(Answer):
    lower: float
    upper: float
    law: str = "uniform"
    """of the mutation's parameter; what the mass is the probability under"""


class Summary(Answer):
    inputs: int
    certified: int
    falsified: int
    undecided: int
    skipped: int
    clean_accuracy: float | None
    certified_rate: float
    """certified share of all inputs"""
    robust_mass: RobustMass | None
    """mean over the inputs that were not skipped, under the law; enclosed, rounding included"""
    seconds: float
    """spent on the inputs, all workers together"""
    arithmetic: str


AnySummary = (
    Summary
    | PrecheckSummary
    | LipschitzSummary
    | WrapSummary
    | TrainingSummary
    | PredictionSummary
    | MiningSummary
    | GeneratorSummary
)
SUMMARIES: Mapping[str, type[Answer]] = {
    SEGMENT: Summary,
    precheck.KIND: PrecheckSummary,
    lipschitz.KIND: LipschitzSummary,
    gloro.WRAP: WrapSummary,
    gloro.TRAINING: TrainingSummary,
    prediction.KIND: PredictionSummary,
    mining.KIND: MiningSummary,
    generators.KIND: GeneratorSummary,
}
BODIES: Mapping[str, type[Body]] = {
    SEGMENT: SegmentCertification,
    precheck.KIND: PrecheckJob,
    lipschitz.KIND: LipschitzCertification,
    gloro.WRAP: GloroWrap,
    gloro.TRAINING: GloroTraining,
    prediction.KIND: GloroPrediction,
    mining.KIND: DirectionMining,
    generators.KIND: GeneratorTraining,
}


class JobRead(Answer):
    id: str
    kind: Kind
    status: Status
    model_id: str | None
    """what is certified, wrapped, trained further, asked or mined; null for a training from scratch and for a
    prediction by the files of another job"""
    dataset_id: str | None
    """null for `gloro-wrap`, and for minings that draw codes"""
    request: Annotated[JobBody, Field(discriminator="kind")]
    """with every default filled in"""
    tags: dict[str, str]
    priority: int
    cancel_requested: bool
    progress: Progress
    clean_accuracy: float | None
    warnings: list[str]
    summary: AnySummary | None
    """of the job's kind, when it has succeeded"""
    error: dict[str, Any] | None
    """a problem, of a failed job"""
    certificate: CertificateLink | None
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def links(self) -> JobLinks:
        here = f"/v1/jobs/{self.id}"
        names = ("events", "cancel", "results", "artifacts", "certificate")
        return JobLinks(self=here, **{name: f"{here}/{name}" for name in names})


class JobPage(Answer):
    items: list[JobRead]
    next: str | None
