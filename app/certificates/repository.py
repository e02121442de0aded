"""SQL of certificates."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from models import Artifact, Dataset, Job, JobNetwork, Network


def parties(session: Session, job: Job) -> tuple[Network, Dataset]:
    """Return the network and the data set of an unfinished job; neither can have been deleted."""
    return session.get_one(Network, job.network_id), session.get_one(Dataset, job.dataset_id)


def other_networks(session: Session, job: Job) -> dict[str, Network]:
    """Return the other networks of an unfinished job by role: generator and encoder."""
    query = select(JobNetwork.role, Network).join(Network, Network.id == JobNetwork.network_id)
    return dict(session.execute(query.where(JobNetwork.job_id == job.id)).all())


def picture_digests(session: Session, job_id: str, name: str) -> dict[int, str]:
    """Return the digests of the pictures with a name, by input."""
    query = select(Artifact.index, Artifact.sha256).where(Artifact.job_id == job_id, Artifact.name == name)
    return dict(session.execute(query).all())
