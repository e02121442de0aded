"""An uploaded data set (``/v1/datasets``)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, new_id, now
from models.network import UploadStatus


class Dataset(Base):
    """The bytes are stored under ``sha256``; inspection leaves plain arrays under the two other digests."""

    __tablename__ = "dataset"
    __table_args__ = (UniqueConstraint("owner", "sha256"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("dat"))
    owner: Mapped[str] = mapped_column(index=True)
    name: Mapped[str] = mapped_column(index=True)
    filename: Mapped[str]
    sha256: Mapped[str] = mapped_column(index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(default=UploadStatus.UPLOADED, index=True)
    items: Mapped[int | None]
    inputs_sha256: Mapped[str | None]
    """an ``.npy`` file of the inputs, first axis = item"""
    labels_sha256: Mapped[str | None]
    """an ``.npy`` file of int64 labels; NULL for unlabelled data"""
    inspection: Mapped[dict[str, Any] | None]
    rejection: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
