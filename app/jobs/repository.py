"""SQL of jobs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, func, select, tuple_, update
from sqlalchemy.orm import Session

from app.db import hold
from app.jobs.schemas import JobFilter
from app.paging import After
from models import Job, JobStatus, Result

UNFINISHED = [status for status in JobStatus if not status.final]
NAMED = 10


def get(session: Session, owner: str, job_id: str) -> Job | None:
    """Return an owner's job."""
    return session.scalar(select(Job).where(Job.id == job_id, Job.owner == owner))


def by_key(session: Session, owner: str, idempotency_key: str) -> Job | None:
    """Return the job that an owner made with this key."""
    return session.scalar(select(Job).where(Job.owner == owner, Job.idempotency_key == idempotency_key))


def add(session: Session, job: Job) -> None:
    """Insert a job.

    Raises:
        sqlalchemy.exc.IntegrityError: the idempotency key is taken; the transaction goes on.
    """
    with session.begin_nested():
        session.add(job)
        session.flush()


def count_unfinished(session: Session, owner: str) -> int:
    """Return how many unfinished jobs an owner has; nobody adds one until the transaction ends."""
    hold(session, f"jobs of {owner}")
    query = select(func.count()).select_from(Job).where(Job.owner == owner, Job.status.in_(UNFINISHED))
    return session.scalar(query) or 0


def unfinished_with(session: Session, *, network_id: str = "", dataset_id: str = "") -> list[str]:
    """Return some unfinished jobs that need a network or a data set."""
    needs = (Job.network_id == network_id) if network_id else (Job.dataset_id == dataset_id)
    return list(session.scalars(select(Job.id).where(needs, Job.status.in_(UNFINISHED)).limit(NAMED)))


def forget_network(session: Session, network_id: str) -> None:
    """Cut the references of finished jobs to a network; their request still names it."""
    session.execute(update(Job).where(Job.network_id == network_id).values(network_id=None))


def forget_dataset(session: Session, dataset_id: str) -> None:
    """Cut the references of finished jobs to a data set; their request still names it."""
    session.execute(update(Job).where(Job.dataset_id == dataset_id).values(dataset_id=None))


def page(session: Session, owner: str, wanted: JobFilter, after: After | None, limit: int) -> Sequence[Job]:
    """Return jobs from the newest to the oldest."""
    query: Select[Job] = select(Job).where(Job.owner == owner)
    if wanted.status is not None:
        query = query.where(Job.status == wanted.status)
    if wanted.kind is not None:
        query = query.where(Job.kind == wanted.kind)
    if wanted.model_id is not None:
        query = query.where(Job.spec["model_id"].as_string() == wanted.model_id)
    if wanted.tag is not None:
        query = _tagged(query, wanted.tag)
    if after is not None:
        query = query.where(tuple_(Job.created_at, Job.id) < (after.created_at, after.id))
    return session.scalars(query.order_by(Job.created_at.desc(), Job.id.desc()).limit(limit)).all()


def rows(session: Session, job_id: str) -> Sequence[Result]:
    """Return all results of a job by index."""
    return session.scalars(select(Result).where(Result.job_id == job_id).order_by(Result.index)).all()


def _tagged(query: Select[Job], tag: str) -> Select[Job]:
    key, colon, value = tag.partition(":")
    found = Job.tags[key].as_string()
    return query.where(found == value if colon else found.is_not(None))
