"""Bodies and answers of ``/v1/api-keys``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from app.schemas import Answer, Body, Line, Moment

Scope = Literal[
    "models:read", "models:write", "datasets:read", "datasets:write", "jobs:read", "jobs:write",
    "metrics:read", "admin",
]  # fmt: skip


class KeyCreate(Body):
    name: Line
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=8)]
    owner: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9._@-]{1,64}$", description="Whose things it opens; the caller's by default."
        ),
    ] = None
    expires_at: AwareDatetime | None = None


class KeyRead(Answer):
    id: str
    owner: str
    name: str
    prefix: str
    """first characters of the key"""
    scopes: list[Scope]
    created_at: Moment
    expires_at: Moment | None
    last_used_at: Moment | None
    revoked_at: Moment | None


class KeyCreated(KeyRead):
    key: str
    """shown this once"""


class KeyPage(Answer):
    items: list[KeyRead]
    next: str | None
