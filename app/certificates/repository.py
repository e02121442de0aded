"""SQL of certificates."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Artifact, Dataset, Job, Network


def parties(session: Session, job: Job) -> tuple[Network, Dataset]:
    """Return the network and the data set of an unfinished job; neither can have been deleted."""
    return session.get_one(Network, job.network_id), session.get_one(Dataset, job.dataset_id)


def picture_digests(session: Session, job_id: str, name: str) -> dict[int, str]:
    """Return the digests of the pictures with a name, by input."""
    query = select(Artifact.index, Artifact.sha256).where(Artifact.job_id == job_id, Artifact.name == name)
    return dict(session.execute(query).all())
