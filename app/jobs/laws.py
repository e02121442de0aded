"""Laws of a mutation's parameter as callers write them: one class per type."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from app.schemas import Body
from glocert.spec_law import MOST_POINTS, MOST_SHAPE

Shape = Annotated[int, Field(ge=1, le=MOST_SHAPE)]


class Uniform(Body):
    """Every value of the path is as likely as every other."""

    type: Literal["uniform"]


class TruncatedNormal(Body):
    """The normal law, given that the value lies on the path."""

    type: Literal["truncated-normal"]
    mean: Annotated[FiniteFloat, Field(description="In the mutation's unit; it may lie beyond the path.")]
    std: Annotated[float, Field(gt=0, allow_inf_nan=False, description="In the mutation's unit.")]


class Beta(Body):
    """The beta law of the share of the path that lies before the value."""

    type: Literal["beta"]
    a: Annotated[Shape, Field(description="A large one makes the end of the path likely.")]
    b: Annotated[Shape, Field(description="A large one makes its start likely.")]


class Triangular(Body):
    """Likeliest at the mode, and less and less towards both ends of the path."""

    type: Literal["triangular"]
    mode: Annotated[FiniteFloat, Field(description="In the mutation's unit, on the path.")]


class PointBody(Body):
    """A value and how likely it is, relative to the others."""

    value: Annotated[FiniteFloat, Field(description="In the mutation's unit, on the path.")]
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class Points(Body):
    """Only some values are possible."""

    type: Literal["points"]
    points: Annotated[list[PointBody], Field(min_length=1, max_length=MOST_POINTS)]


LawBody = Annotated[
    Uniform | TruncatedNormal | Beta | Triangular | Points, Field(discriminator="type", title="Law")
]
