"""SQL that says which blobs are in use."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select, union_all
from sqlalchemy.orm import Session

from models import Artifact, Dataset, Direction, Job, LipschitzBound, Network

REFERENCES = (
    Network.sha256, Network.graph_sha256, Dataset.sha256, Dataset.inputs_sha256, Dataset.labels_sha256,
    Artifact.sha256, Job.certificate_sha256, LipschitzBound.sha256, Direction.preview_sha256,
)  # fmt: skip


def referenced(session: Session, digests: Iterable[str]) -> set[str]:
    """Return those digests that a row refers to."""
    wanted = list(digests)
    query = union_all(*(select(column).where(column.in_(wanted)).distinct() for column in REFERENCES))
    return {digest for digest in session.scalars(query) if digest is not None}
