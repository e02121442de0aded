"""A direction of a generator's latent space (``/v1/directions``)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, new_id, now


class Direction(Base):
    """A unit vector ``v`` and how far to go: ``G(z)`` becomes ``G(z + s v)``, ``s`` from 0 to ``extent``.

    A direction goes with its generator: without it the numbers mean nothing.
    """

    __tablename__ = "direction"

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("dir"))
    owner: Mapped[str] = mapped_column(index=True)
    generator_id: Mapped[str] = mapped_column(ForeignKey("network.id", ondelete="CASCADE"), index=True)
    job_id: Mapped[str | None] = mapped_column(ForeignKey("job.id", ondelete="SET NULL"), index=True)
    """that found it"""
    position: Mapped[int] = mapped_column(default=0)
    """in the order of the job: the most energy first"""
    mode: Mapped[str]
    """``global``, ``local``, ``pair``, ``derivative`` or ``attribute``"""
    name: Mapped[str | None]
    """of the mutation that it makes, where that is known"""
    vector: Mapped[list[Any]]
    """float64, of length one"""
    extent: Mapped[float]
    """in latent units along the vector"""
    scale: Mapped[dict[str, Any] | None]
    """users' units: ``unit`` and ``per_latent``, how many of them one latent unit is"""
    energy: Mapped[float]
    """mean square of the change of a pixel per latent unit, to first order"""
    leakage: Mapped[float | None]
    """share of the energy outside the mask; NULL without a mask"""
    mask: Mapped[dict[str, Any] | None]
    """a rectangle, or a picture as rows of runs"""
    measures: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """of independency, and of how the direction was found"""
    preview_sha256: Mapped[str | None] = mapped_column(index=True)
    """a PNG"""
    created_at: Mapped[datetime] = mapped_column(default=now)
