"""What requests of all kinds of jobs share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from app.jobs.mutations import Index
from app.schemas import Body, plain

TagKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_./-]{1,63}$")]
TagValue = Annotated[str, Field(max_length=200), AfterValidator(plain)]
Tags = Annotated[dict[TagKey, TagValue], Field(max_length=32)]
Identity = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(plain)]
Priority = Annotated[int, Field(ge=0, le=9, description="0 (last) to 9 (first).")]


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
