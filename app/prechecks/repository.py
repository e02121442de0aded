"""SQL of prechecks."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.jobs import precheck
from models import Job, JobStatus

LOST = (JobStatus.FAILED, JobStatus.CANCELLED)
MOST = 100


def of_model(session: Session, owner: str, network_id: str, dataset_id: str) -> Sequence[Job]:
    """Return an owner's prechecks of a model with a data set, newest first; not those that failed."""
    query = select(Job).where(
        Job.owner == owner,
        Job.kind == precheck.KIND,
        Job.network_id == network_id,
        Job.dataset_id == dataset_id,
        Job.status.not_in(LOST),
    )
    return session.scalars(query.order_by(Job.created_at.desc(), Job.id.desc()).limit(MOST)).all()
