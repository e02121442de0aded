"""Forms and answers of ``/v1/models``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    FiniteFloat,
    Json,
    ValidationInfo,
    computed_field,
    field_validator,
    model_validator,
)

from app.schemas import Answer, Body, Line, Listing, Moment, Search, plain
from glocert.spec import Preprocessing

Role = Literal["classifier", "regressor", "generator", "encoder"]
Format = Literal["onnx", "torchscript", "pt2"]
Decision = Literal["max", "min"]
Status = Literal["uploaded", "ready", "rejected"]
CHANNELS = 4096


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, int | float) else value


PerChannel = Annotated[list[FiniteFloat], Field(max_length=CHANNELS), BeforeValidator(_listed)]


def _positive(values: list[float]) -> list[float]:
    if any(value <= 0 for value in values):
        raise ValueError("every divisor must be greater than 0")
    return values


class PreprocessingBody(Body):
    """How a stored item becomes the network's input; part of what is certified."""

    scale: Annotated[bool, Field(description="Divide integer items by 255.")] = True
    mean: Annotated[PerChannel, Field(description="Subtracted per channel; one value serves all.")] = []  # noqa: RUF012
    std: Annotated[
        PerChannel, AfterValidator(_positive), Field(description="Divisor per channel; one value serves all.")
    ] = []  # noqa: RUF012
    layout: Annotated[Literal["NCHW", "NHWC"], Field(description="What the network expects.")] = "NCHW"
    domain: Annotated[
        list[FiniteFloat],
        Field(
            min_length=2, max_length=2, description="Smallest and largest value of an item, after `scale`."
        ),
    ] = [0.0, 1.0]  # noqa: RUF012

    @model_validator(mode="after")
    def _ordered(self) -> PreprocessingBody:
        if not self.domain[0] < self.domain[1]:
            raise ValueError("domain: the first value must be smaller than the second")
        if self.mean and self.std and len({len(self.mean), len(self.std), 1}) > 2:
            raise ValueError("mean and std must have the same number of channels")
        return self

    def canonical(self) -> dict[str, Any]:
        """Return the stored form."""
        return Preprocessing.from_json(self.model_dump()).to_json()


InputShape = Annotated[list[Annotated[int, Field(ge=1, le=2**31 - 1)]], Field(max_length=8)]
Classes = Annotated[list[Line], Field(min_length=2, max_length=100_000)]


class NetworkSettings(Body):
    """What is said of a network besides its bytes; all of it but the name is part of its identity."""

    name: Annotated[Line | None, Field(description="Shown in lists; the file's name by default.")] = None
    role: Role = "classifier"
    format: Annotated[Format | None, Field(description="Found out by default.")] = None
    output: Annotated[
        Line | None, Field(description="Name or position of the output to use; the first by default.")
    ] = None
    decision: Annotated[Decision, Field(description="Of a classifier: which score decides.")] = "max"
    input_shape: Annotated[InputShape | None, Field(description="Shape of one sample.")] = None
    classes: Annotated[Classes | None, Field(description="Names of the classes.")] = None
    threshold: Annotated[
        FiniteFloat | None,
        Field(description="Of a classifier with one output: label 1 where it is greater, label 0 elsewhere."),
    ] = None
    prior: Annotated[
        Literal["normal", "uniform"] | None,
        Field(description="Of a generator: the law of its codes; normal by default, uniform is on [-1, 1]."),
    ] = None
    preprocessing: PreprocessingBody = Field(default_factory=PreprocessingBody)

    @field_validator("prior")
    @classmethod
    def _of_generators(cls, prior: str | None, info: ValidationInfo) -> str | None:
        role = info.data.get("role", "classifier")
        if prior is not None and role != "generator":
            raise ValueError(f"a {role} has no prior")
        return prior

    @field_validator("decision")
    @classmethod
    def _of_classifiers(cls, decision: str, info: ValidationInfo) -> str:
        role = info.data.get("role", "classifier")
        if role != "classifier" and decision != "max":
            raise ValueError(f"a {role} makes no decision")
        return decision

    @field_validator("threshold")
    @classmethod
    def _between_two(cls, threshold: float | None, info: ValidationInfo) -> float | None:
        if threshold is None:
            return None
        role = info.data.get("role", "classifier")
        if role != "classifier":
            raise ValueError(f"a {role} has no threshold")
        if info.data.get("decision") == "min":
            raise ValueError("threshold and decision=min exclude each other")
        if len(info.data.get("classes") or ("0", "1")) != 2:
            raise ValueError("a threshold makes two classes")
        return threshold


class NetworkForm(NetworkSettings):
    """Fields of the upload form besides the file; those that are no plain text are JSON."""

    input_shape: Json[InputShape] | None = None
    classes: Json[Classes] | None = None
    preprocessing: Json[PreprocessingBody] = Field(default_factory=PreprocessingBody)


class NetworkReference(NetworkSettings):
    """A network that lies in a registry or an object store, and the same settings as in the form."""

    uri: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2_000,
            description="`https://…`, `hf://org/repo@revision/path`, `s3://bucket/key`, `models:/name@alias` "
            "or `models:/name/version`.",
        ),
        AfterValidator(plain),
    ]


class Reference(Answer):
    uri: str
    """as it was asked for"""
    resolved: str
    """the same with what may change replaced: a commit, a version"""
    sha256: str
    """of the bytes that were found there"""


class NetworkFilter(Listing):
    name: Search | None = None
    role: Role | None = None
    status: Status | None = None


class NetworkLinks(Answer):
    self: str
    file: str


class NetworkRead(Answer):
    id: str
    name: str
    filename: str
    role: Role
    status: Status
    """`uploaded` (inspection still to come), `ready` or `rejected`"""
    format: str | None
    sha256: str
    """of the uploaded bytes"""
    size_bytes: int
    input_shape: list[int] | None
    """as given at the upload"""
    classes: list[str] | None
    preprocessing: PreprocessingBody
    output: str | None
    """name or position of the output, as given at the upload; `outputs` says which one is used"""
    threshold: float | None
    decision: Decision
    reference: Reference | None
    """where the bytes were fetched from, if they were"""
    graph_sha256: str | None
    """of the inert graph that inspection made of the upload; what is certified"""
    opset: int | None = None
    producer: str | None = None
    operators: dict[str, int] | None = None
    """of the upload, with counts"""
    canonical_operators: dict[str, int] | None = None
    parameters: int | None = None
    """of the upload"""
    nonlinear_units: int | None = None
    nonlinear_units_by_operator: dict[str, int] | None = None
    input: dict[str, Any] | None = None
    outputs: list[dict[str, Any]] | None = None
    """all that the upload offers, and which one is used"""
    family: Literal["exact", "enclosure"] | None = None
    piecewise_linear: bool | None = None
    methods: dict[str, Any] | None = None
    """which methods admit the network, why not, and the nodes that stand in the way"""
    notes: list[str] | None = None
    comparison: dict[str, Any] | None = None
    """difference between the graph and the upload on random inputs"""
    sandbox: dict[str, str] | None = None
    """each layer of the lock-down in which the upload was opened: `on`, or why it was missing"""
    rejection: dict[str, Any] | None
    """a problem that names every offending node"""
    card: dict[str, Any] | None = None
    """of a generator: at least the `prior` of its codes; of one that a job has trained: how, and how good"""
    created_at: Moment

    @model_validator(mode="before")
    @classmethod
    def _spread_inspection(cls, row: Any) -> Any:
        if isinstance(row, dict):
            return row
        members = {name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)}
        found = row.inspection or {}
        return (
            {name: found[name] for name in cls.model_fields if name in found and name not in members}
            | members
            | ({"format": row.format or found.get("format")})
        )

    @computed_field  # type: ignore[prop-decorator]
    @property
    def links(self) -> NetworkLinks:
        return NetworkLinks(self=f"/v1/models/{self.id}", file=f"/v1/models/{self.id}/file")


class NetworkPage(Answer):
    items: list[NetworkRead]
    next: str | None
