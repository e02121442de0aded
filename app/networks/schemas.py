"""Forms and answers of ``/v1/models``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    FiniteFloat,
    Json,
    computed_field,
    model_validator,
)

from app.schemas import Answer, Body, Line, Listing, Moment, Search
from glocert.spec import Preprocessing

Role = Literal["classifier", "generator", "encoder"]
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


class NetworkForm(Body):
    """Fields of the upload form besides the file; those that are no plain text are JSON."""

    name: Line | None = None
    role: Role = "classifier"
    format: Literal["onnx", "torchscript"] | None = None
    input_shape: (
        Json[Annotated[list[Annotated[int, Field(ge=1, le=2**31 - 1)]], Field(max_length=8)]] | None
    ) = None
    classes: Json[Annotated[list[Line], Field(min_length=2, max_length=100_000)]] | None = None
    preprocessing: Json[PreprocessingBody] = Field(default_factory=PreprocessingBody)


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
    graph_sha256: str | None
    """of the inert graph that inspection made of the upload; what is certified"""
    opset: int | None = None
    producer: str | None = None
    operators: dict[str, int] | None = None
    """of the upload, with counts"""
    canonical_operators: dict[str, int] | None = None
    parameters: int | None = None
    nonlinear_units: int | None = None
    input: dict[str, Any] | None = None
    outputs: list[dict[str, Any]] | None = None
    piecewise_linear: bool | None = None
    methods: dict[str, Any] | None = None
    """which methods admit the network, and why not"""
    notes: list[str] | None = None
    comparison: dict[str, Any] | None = None
    """difference between the graph and the upload on random inputs"""
    rejection: dict[str, Any] | None
    """a problem that names every offending node"""
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
