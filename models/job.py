"""A certification job (``/v1/jobs``), its rows of results and its files."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, new_id, now


class JobStatus(StrEnum):
    """Where a job stands; what it found is the verdicts of its results."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether the job can no longer change."""
        return self in {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}


class Job(Base):
    """One request; ``spec`` is the validated body, with defaults filled in."""

    __tablename__ = "job"
    __table_args__ = (
        UniqueConstraint("owner", "idempotency_key"),
        Index("ix_job_owner_created_at_id", "owner", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("job"))
    owner: Mapped[str]
    kind: Mapped[str]
    status: Mapped[str] = mapped_column(default=JobStatus.QUEUED, index=True)
    spec: Mapped[dict[str, Any]]
    network_id: Mapped[str | None] = mapped_column(ForeignKey("network.id"), index=True)
    """what is certified, wrapped or trained further"""
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("dataset.id"), index=True)
    validation_dataset_id: Mapped[str | None] = mapped_column(ForeignKey("dataset.id"), index=True)
    """of a training that was given one"""
    tags: Mapped[dict[str, Any]] = mapped_column(default=dict)
    priority: Mapped[int] = mapped_column(default=3)
    """0 (last) to 9 (first)"""
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    units_total: Mapped[int] = mapped_column(default=0)
    units_done: Mapped[int] = mapped_column(default=0)
    inputs_total: Mapped[int] = mapped_column(default=0)
    """or epochs, or files: what the progress of the kind counts"""
    inputs_done: Mapped[int] = mapped_column(default=0)
    inputs_done_before: Mapped[int] = mapped_column(default=0, server_default="0")
    """how many of them were done when the job began, or went on after it was resumed"""
    clean_accuracy: Mapped[float | None]
    warnings: Mapped[list[Any]] = mapped_column(default=list)
    summary: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    """an RFC 9457 problem of a failed job"""
    certificate_sha256: Mapped[str | None]
    """digest of the canonical JSON statement in the blob store"""
    idempotency_key: Mapped[str | None]
    body_sha256: Mapped[str | None]
    """of the request body, to tell a repeated key from a misused one"""
    version: Mapped[int] = mapped_column(default=0)
    """counts up at every visible change: the ETag"""
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class JobNetwork(Base):
    """Another network that a job needs: the generator or the encoder of a latent mutation or a mining.

    It cannot be deleted while the job runs; the rows of finished jobs go with it.
    """

    __tablename__ = "job_network"

    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    """``generator`` or ``encoder``"""
    network_id: Mapped[str] = mapped_column(ForeignKey("network.id"), index=True)


class Result(Base):
    """The answer about one input; written once, never changed."""

    __tablename__ = "result"

    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True)
    verdict: Mapped[str] = mapped_column(index=True)
    row: Mapped[dict[str, Any]]
    """``glocert.report.InputReport.to_json()``"""
    created_at: Mapped[datetime] = mapped_column(default=now)


class PartialResult(Base):
    """What is proven of an input that has no answer yet: a worker that takes over goes on from it.

    Replaced every few seconds, and removed with the answer.
    """

    __tablename__ = "partial_result"

    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[dict[str, Any]]
    """as ``glocert.certification.journal`` told it"""
    kept_at: Mapped[datetime] = mapped_column(default=now)


class TrainingEpoch(Base):
    """One point of a learning curve; an epoch that is repeated after a crash takes the place of the first."""

    __tablename__ = "training_epoch"

    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    log: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=now)


class LipschitzBound(Base):
    """Proven constants of a certified function, found once for all jobs that certify it.

    ``key`` hashes everything that they depend on: graph, preprocessing, shape of the items, our version.
    """

    __tablename__ = "lipschitz_bound"

    key: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(index=True)
    """of the file that units of inputs open"""
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    outcome: Mapped[dict[str, Any]]
    """what a summary says of it"""
    created_at: Mapped[datetime] = mapped_column(default=now)


class Artifact(Base):
    """A file that a job made; ``index`` says which input it belongs to (-1: the whole job)."""

    __tablename__ = "artifact"

    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    media_type: Mapped[str]
    sha256: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
