"""Bodies and answers of ``/v1/jobs``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, computed_field, model_validator
from pydantic_core import PydanticCustomError

from app.jobs.mutations import Index, MutationBody
from app.schemas import Answer, Body, Listing, Moment, Search, plain

KINDS = ("segment-certification",)
"""What this release offers."""
Kind = Literal["segment-certification"]
Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
TagKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_./-]{1,63}$")]
TagValue = Annotated[str, Field(max_length=200), AfterValidator(plain)]
Tags = Annotated[dict[TagKey, TagValue], Field(max_length=32)]
Identity = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(plain)]
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


class Inputs(Body):
    """Which items; all of the data set by default."""

    limit: Annotated[int | None, Field(ge=1, description="Only the first so many.")] = None
    indices: Annotated[list[Index] | None, Field(min_length=1, description="Only these.")] = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Inputs:
        if self.limit is not None and self.indices is not None:
            raise ValueError("give limit or indices, not both")
        if self.indices is not None and len(set(self.indices)) < len(self.indices):
            raise ValueError("indices must not repeat")
        return self


class BudgetBody(Body):
    """How long the job may take."""

    seconds_per_input: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30.0
    seconds: Annotated[
        float | None, Field(gt=0, allow_inf_nan=False, description="Of the whole job; the settings cap it.")
    ] = None


class SegmentCertification(Body):
    """Certify that no point of a path changes the label."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    kind: Kind

    @model_validator(mode="before")
    @classmethod
    def _offered(cls, body: Any) -> Any:
        kind = body.get("kind") if isinstance(body, dict) else None
        if isinstance(kind, str) and kind not in KINDS:
            raise PydanticCustomError("kind_not_offered", "the kind is not offered by this release")
        return body

    model_id: Identity
    dataset_id: Identity
    inputs: Inputs = Field(default_factory=Inputs)
    mutation: MutationBody
    analysis: Annotated[
        Literal["complete", "quantitative"],
        Field(description="`complete` answers yes or no; `quantitative` bounds the robust mass up to `gap`."),
    ] = "complete"
    arithmetic: Annotated[
        Literal["real"], Field(description="`real`: a theorem about the stored weights over the reals.")
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
    budget: BudgetBody = Field(default_factory=BudgetBody)
    partition: Annotated[
        bool, Field(description="Whether rows list the label of every part of the path.")
    ] = False
    tags: Tags = Field(default_factory=dict)
    priority: Annotated[int, Field(ge=0, le=9, description="0 (last) to 9 (first).")] = 3

    def stored(self, seconds: float) -> dict[str, Any]:
        """Return the request with every default filled in."""
        spec = self.model_dump(mode="json", by_alias=True)
        return spec | {
            "mutation": self.mutation.stored(),
            "budget": {"seconds_per_input": self.budget.seconds_per_input, "seconds": seconds},
        }


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
    unit: Literal["inputs"] = "inputs"
    rate: float | None
    """inputs per second"""
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
    """mean over the inputs that were not skipped; enclosed, rounding included"""
    seconds: float
    """spent on the inputs, all workers together"""
    arithmetic: str


class JobRead(Answer):
    id: str
    kind: Kind
    status: Status
    model_id: str
    dataset_id: str
    request: SegmentCertification
    """with every default filled in"""
    tags: dict[str, str]
    priority: int
    cancel_requested: bool
    progress: Progress
    clean_accuracy: float | None
    warnings: list[str]
    summary: Summary | None
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
