"""Forms and answers of ``/v1/datasets``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import computed_field

from app.schemas import Answer, Body, Line, Listing, Moment, Search

Status = Literal["uploaded", "ready", "rejected"]


class DatasetForm(Body):
    """Fields of the upload form besides the file."""

    name: Line | None = None


class DatasetFilter(Listing):
    name: Search | None = None
    status: Status | None = None


class DatasetLinks(Answer):
    self: str


class DatasetRead(Answer):
    id: str
    name: str
    filename: str
    status: Status
    """`uploaded` (inspection still to come), `ready` or `rejected`"""
    sha256: str
    """of the uploaded bytes"""
    size_bytes: int
    items: int | None
    inputs_sha256: str | None
    """of the `.npy` file of inputs that inspection made"""
    labels_sha256: str | None
    """of the `.npy` file of labels; null for unlabelled data"""
    inspection: dict[str, Any] | None
    """shape and type of the items, their range, and the labels with counts"""
    rejection: dict[str, Any] | None
    """a problem that names what is wrong"""
    created_at: Moment

    @computed_field  # type: ignore[prop-decorator]
    @property
    def links(self) -> DatasetLinks:
        return DatasetLinks(self=f"/v1/datasets/{self.id}")


class DatasetPage(Answer):
    items: list[DatasetRead]
    next: str | None
