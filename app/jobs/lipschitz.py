"""Body and summary of jobs of the kind ``lipschitz-certification``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, field_validator

from app.jobs.parts import Identity, Inputs, Priority, Tags
from app.schemas import Answer, Body

KIND = "lipschitz-certification"
MOST_EPSILONS = 64
EXAMPLE: dict[str, JsonValue] = {
    "kind": KIND,
    "model_id": "mdl_019361f4a1c20123456789abcdef0123",
    "dataset_id": "dat_019361f4a1c20123456789abcdef0123",
    "inputs": {"limit": 1000},
    "epsilons": [0.1, 0.3, 1.58],
    "norm": "l2",
    "method": "global",
    "relaxation": None,
    "tags": {"commit": "abc"},
}
Epsilon = Annotated[float, Field(ge=0, allow_inf_nan=False)]
ClassLabel = Annotated[int, Field(ge=0, lt=2**31)]


class LipschitzBudget(Body):
    """How long the job may take."""

    seconds_per_input: Annotated[
        float,
        Field(gt=0, allow_inf_nan=False, description="What `local` and `portfolio` spend, on average."),
    ] = 5.0
    seconds: Annotated[
        float | None, Field(gt=0, allow_inf_nan=False, description="Of the whole job; the settings cap it.")
    ] = None


class TopKBody(Body):
    """The set of the k best classes may not change, for some k up to this."""

    top_k: Annotated[int, Field(ge=1, lt=2**31)]


class AffinityBody(Body):
    """The set of the k best classes may not change, for some k at which it lies in one of the groups."""

    affinity: Annotated[
        list[Annotated[list[ClassLabel], Field(min_length=1, max_length=1000)]],
        Field(min_length=1, max_length=1000, description="Labels that may be confused; they may overlap."),
    ]


class LipschitzCertification(Body):
    """Certify that inputs keep their label within a distance, by a proven bound on the slope."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    kind: Literal["lipschitz-certification"]
    model_id: Identity
    dataset_id: Identity
    inputs: Inputs = Field(default_factory=Inputs)
    epsilons: Annotated[
        list[Epsilon],
        Field(
            min_length=1, max_length=MOST_EPSILONS, description="Distances, in the unit of the data's domain."
        ),
    ]
    norm: Annotated[Literal["l1", "l2", "linf"], Field(description="In which distances are measured.")] = "l2"
    method: Annotated[
        Literal["global", "local", "portfolio"],
        Field(
            description="`global`: one bound for all inputs; `local`: a bound per input; `portfolio`: the "
            "best of all and of backward bounds, per input."
        ),
    ] = "global"
    relaxation: Annotated[
        TopKBody | AffinityBody | None, Field(description="What may change nevertheless.")
    ] = None
    arithmetic: Annotated[
        Literal["real", "float32"],
        Field(
            description="`float32` also covers every float32 execution in any order of summation; `real` is "
            "a theorem about the stored weights over the reals."
        ),
    ] = "float32"
    budget: LipschitzBudget = Field(default_factory=LipschitzBudget)
    tags: Tags = Field(default_factory=dict)
    priority: Priority = 3

    @field_validator("epsilons")
    @classmethod
    def _once_each(cls, epsilons: list[float]) -> list[float]:
        if len(set(epsilons)) < len(epsilons):
            raise ValueError("epsilons must not repeat")
        return epsilons

    def stored(self, seconds: float) -> dict[str, Any]:
        """Return the request with every default filled in."""
        spec = self.model_dump(mode="json", by_alias=True)
        return spec | {
            "budget": {"seconds_per_input": self.budget.seconds_per_input, "seconds": seconds},
        }


class LipschitzSummary(Answer):
    model_config = ConfigDict(extra="allow")

    inputs: int
    certified: int
    falsified: int
    undecided: int
    skipped: int
    clean_accuracy: float | None
    certified_rate: float
    """share of the inputs that are certified at every epsilon"""
    vra: dict[str, float] | None
    """per epsilon: share of the inputs that are right and certified there; null without labels"""
    rejection_rate: dict[str, float]
    """per epsilon: share of the inputs that are answered bottom"""
    certified_but_wrong: dict[str, float]
    """per epsilon: share of the inputs that are certified with another label than the data's"""
    radius_quantiles: dict[str, float | None]
    """of the inputs that are right; null: no other class can ever win"""
    average_certified_radius: float | None
    bound: dict[str, Any]
    """`scores` and `pairs` of the whole network, and `parts`, each with method and tightness"""
    methods: dict[str, int]
    """how often each one won"""
    members: dict[str, Any]
    """per method: how many inputs were `certified` at each epsilon when it was done, how many of them it
    `added`, and the `median_radius` of the right ones"""
    usefulness: dict[str, Any]
    """`verdict` (`useful` or `vacuous`) and what to do next"""
    milliseconds_per_input: float | None
    seconds: float
    """spent on the inputs, all workers together"""
    norm: str
    method: str
    arithmetic: str
