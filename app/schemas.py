"""What bodies and answers of all features share."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def plain(text: str) -> str:
    """Refuse control characters: databases and terminals take them badly."""
    if CONTROL.search(text):
        raise ValueError("control characters are not allowed")
    return text


class Body(BaseModel):
    """What callers send: a field that is not known is an error."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class Answer(BaseModel):
    """What callers get."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)


Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(plain)]
"""One line of text, as in names."""
Search = Annotated[str, Field(max_length=200), AfterValidator(plain)]
Moment = Annotated[datetime, PlainSerializer(lambda moment: moment.isoformat().replace("+00:00", "Z"))]
Future = AwareDatetime


class Listing(Body):
    """Parameters that every list takes."""

    cursor: Annotated[str | None, Field(max_length=400, description="`next` of the page before.")] = None
    limit: Annotated[int, Field(ge=1, description="Rows of a page; the settings cap it.")] = 50


class Problem(BaseModel):
    """An RFC 9457 problem; `GET` of its `type` explains it."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "/problems/invalid-request",
                    "title": "The request is not valid",
                    "status": 422,
                    "detail": "The request is not valid; see errors.",
                    "instance": "/v1/jobs",
                    "request_id": "4f1c2a9be03d77a1",
                    "errors": [{"pointer": "/mutation/to", "detail": "Field required."}],
                }
            ]
        },
    )

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    request_id: str | None = None
    errors: list[dict[str, Any]] | None = None
