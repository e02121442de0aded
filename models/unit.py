"""A unit of work: seconds to a minute, leased by one worker at a time."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, new_id, now


class UnitKind(StrEnum):
    """What a unit does; it decides queue and child."""

    INSPECT_NETWORK = "inspect-network"
    INSPECT_DATASET = "inspect-dataset"
    ACCURACY = "accuracy"
    SEGMENT = "segment"
    PRECHECK = "precheck"
    LIPSCHITZ_BOUND = "lipschitz-bound"
    LIPSCHITZ = "lipschitz"
    GLORO_WRAP = "gloro-wrap"
    GLORO_TRAINING = "gloro-training"
    GLORO_PREDICTION = "gloro-prediction"
    GENERATOR_TRAINING = "generator-training"
    DIRECTION_MINING = "direction-mining"

    @property
    def of_job(self) -> bool:
        """Whether the subject of such units is a job, not an upload."""
        return self not in {UnitKind.INSPECT_NETWORK, UnitKind.INSPECT_DATASET}


class UnitStatus(StrEnum):
    """Where a unit stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Unit(Base):
    """The database is the truth: a message only says that ``subject`` may have units to claim.

    A claim is one UPDATE that sets ``token`` and ``lease_until``; every later write of that worker is
    fenced by the token, so a worker that lost its lease cannot change anything.
    """

    __tablename__ = "unit"
    __table_args__ = (
        UniqueConstraint("subject", "ordinal"),
        Index("ix_unit_status_lease_until", "status", "lease_until"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("unt"))
    kind: Mapped[str]
    subject: Mapped[str] = mapped_column(index=True)
    """id of the job, network or data set"""
    ordinal: Mapped[int] = mapped_column(default=0)
    """order of claiming within the subject"""
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """``{"indices": [...]}`` for the units of a job"""
    priority: Mapped[int] = mapped_column(default=3)
    status: Mapped[str] = mapped_column(default=UnitStatus.QUEUED)
    attempt: Mapped[int] = mapped_column(default=0)
    token: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    worker: Mapped[str | None]
    published_at: Mapped[datetime | None]
    """when a message for it was last sent; the reaper sends again what stays queued too long"""
    publications: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]
