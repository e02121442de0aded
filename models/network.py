"""An uploaded network (``/v1/models``)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, new_id, now


class UploadStatus(StrEnum):
    """Where an upload stands."""

    UPLOADED = "uploaded"
    """stored, not yet inspected"""
    READY = "ready"
    """inspected, usable"""
    REJECTED = "rejected"
    """inspected, unusable; the row says why"""


class Network(Base):
    """The bytes are stored under ``sha256``; what inspection made of them under ``graph_sha256``."""

    __tablename__ = "network"
    __table_args__ = (UniqueConstraint("owner", "identity"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("mdl"))
    owner: Mapped[str] = mapped_column(index=True)
    identity: Mapped[str]
    """sha256 over the bytes and everything that the form says of them: the same again is one row"""
    name: Mapped[str] = mapped_column(index=True)
    filename: Mapped[str]
    role: Mapped[str]
    format: Mapped[str | None]
    sha256: Mapped[str] = mapped_column(index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    input_shape: Mapped[list[Any] | None]
    classes: Mapped[list[Any] | None]
    preprocessing: Mapped[dict[str, Any]]
    output: Mapped[str | None]
    """name or position of the output to use; the first by default"""
    threshold: Mapped[float | None]
    """of a classifier with one output: label 1 where it is greater"""
    decision: Mapped[str] = mapped_column(default="max", server_default="max")
    """``max`` or ``min``: which score decides"""
    reference: Mapped[dict[str, Any] | None]
    """where the bytes were fetched from: ``uri``, ``resolved`` and ``sha256``; None for an upload"""
    status: Mapped[str] = mapped_column(default=UploadStatus.UPLOADED, index=True)
    graph_sha256: Mapped[str | None]
    inspection: Mapped[dict[str, Any] | None]
    """report of the inspection; ``docs/api.md`` lists its members"""
    rejection: Mapped[dict[str, Any] | None]
    """an RFC 9457 problem that names every offending node"""
    card: Mapped[dict[str, Any] | None]
    """what is known of a network that a job has trained; of a generator at least ``prior`` and ``image``"""
    created_at: Mapped[datetime] = mapped_column(default=now)
