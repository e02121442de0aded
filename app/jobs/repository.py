"""SQL of jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Select, delete, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from app.db import hold
from app.jobs.schemas import JobFilter
from app.paging import After
from app.storage import Blob
from models import Artifact, Job, JobNetwork, JobStatus, PartialResult, Result, TrainingEpoch

UNFINISHED = [status for status in JobStatus if not status.final]
NAMED = 10
EPOCHS = 1000


def get(session: Session, owner: str, job_id: str) -> Job | None:
    """Return an owner's job."""
    return session.scalar(select(Job).where(Job.id == job_id, Job.owner == owner))


def by_key(session: Session, owner: str, idempotency_key: str) -> Job | None:
    """Return the job that an owner made with this key."""
    return session.scalar(select(Job).where(Job.owner == owner, Job.idempotency_key == idempotency_key))


def add(session: Session, job: Job, networks: Mapping[str, str] | None = None) -> None:
    """Insert a job, and what it needs besides its own network: role -> id.

    Raises:
        sqlalchemy.exc.IntegrityError: the idempotency key is taken; the transaction goes on.
    """
    with session.begin_nested():
        session.add(job)
        session.flush()
        for role, network_id in (networks or {}).items():
            add_network(session, job.id, role, network_id)


def add_network(session: Session, job_id: str, role: str, network_id: str) -> None:
    """Note another network that a job needs: it stays until the job has ended."""
    session.add(JobNetwork(job_id=job_id, role=role, network_id=network_id))
    session.flush()


def networks(session: Session, job_id: str) -> dict[str, str]:
    """Return the other networks that a job needs: role -> id."""
    found = session.scalars(select(JobNetwork).where(JobNetwork.job_id == job_id))
    return {row.role: row.network_id for row in found}


def count_unfinished(session: Session, owner: str) -> int:
    """Return how many unfinished jobs an owner has; nobody adds one until the transaction ends."""
    hold(session, f"jobs of {owner}")
    query = select(func.count()).select_from(Job).where(Job.owner == owner, Job.status.in_(UNFINISHED))
    return session.scalar(query) or 0


def unfinished_with(session: Session, *, network_id: str = "", dataset_id: str = "") -> list[str]:
    """Return some unfinished jobs that need a network or a data set."""
    if network_id:
        besides = select(JobNetwork.job_id).where(JobNetwork.network_id == network_id)
        needs: ColumnElement[bool] = or_(Job.network_id == network_id, Job.id.in_(besides))
    else:
        needs = or_(Job.dataset_id == dataset_id, Job.validation_dataset_id == dataset_id)
    return list(session.scalars(select(Job.id).where(needs, Job.status.in_(UNFINISHED)).limit(NAMED)))


def forget_network(session: Session, network_id: str) -> None:
    """Cut the references of finished jobs to a network; their request still names it.

    A job that came in since ``unfinished_with`` looked keeps its reference, and the database the network.
    """
    finished = Job.status.not_in(UNFINISHED)
    _forget_partials(session, Job.network_id == network_id, finished)
    session.execute(update(Job).where(Job.network_id == network_id, finished).values(network_id=None))
    besides = JobNetwork.job_id.in_(select(Job.id).where(finished))
    session.execute(delete(JobNetwork).where(JobNetwork.network_id == network_id, besides))


def forget_dataset(session: Session, dataset_id: str) -> None:
    """Cut the references of finished jobs to a data set, likewise."""
    finished = Job.status.not_in(UNFINISHED)
    _forget_partials(session, Job.dataset_id == dataset_id, finished)
    for column in (Job.dataset_id, Job.validation_dataset_id):
        session.execute(update(Job).where(column == dataset_id, finished).values({column: None}))


def _forget_partials(session: Session, *jobs: ColumnElement[bool]) -> None:
    """Remove what was kept of unfinished inputs: such jobs cannot be resumed any more."""
    session.execute(delete(PartialResult).where(PartialResult.job_id.in_(select(Job.id).where(*jobs))))


def page(session: Session, owner: str, wanted: JobFilter, after: After | None, limit: int) -> Sequence[Job]:
    """Return jobs from the newest to the oldest."""
    query: Select[Job] = select(Job).where(Job.owner == owner)
    if wanted.status is not None:
        query = query.where(Job.status == wanted.status)
    if wanted.kind is not None:
        query = query.where(Job.kind == wanted.kind)
    if wanted.model_id is not None:
        members = ("model_id", "from_model_id", "generator_id")
        named = [Job.spec[member].as_string() == wanted.model_id for member in members]
        query = query.where(or_(*named))
    if wanted.tag is not None:
        query = _tagged(query, wanted.tag)
    if after is not None:
        query = query.where(tuple_(Job.created_at, Job.id) < (after.created_at, after.id))
    return session.scalars(query.order_by(Job.created_at.desc(), Job.id.desc()).limit(limit)).all()


def rows(session: Session, job_id: str) -> Sequence[Result]:
    """Return all results of a job by index."""
    return session.scalars(select(Result).where(Result.job_id == job_id).order_by(Result.index)).all()


def epochs(session: Session, job_id: str, after: int) -> Sequence[TrainingEpoch]:
    """Return the points of a learning curve behind one, in order."""
    query = select(TrainingEpoch).where(TrainingEpoch.job_id == job_id, TrainingEpoch.number > after)
    return session.scalars(query.order_by(TrainingEpoch.number).limit(EPOCHS)).all()


def files(session: Session, job_id: str, index: int) -> Sequence[Artifact]:
    """Return the files that belong to an input, or to the whole job (index -1), by name."""
    query = select(Artifact).where(Artifact.job_id == job_id, Artifact.index == index)
    return session.scalars(query.order_by(Artifact.name)).all()


def remove_files(session: Session, files: Sequence[Artifact]) -> None:
    """Delete files of jobs; their bytes are the caller's business."""
    for file in files:
        session.delete(file)
    session.flush()


def add_file(session: Session, job_id: str, index: int, name: str, media_type: str, blob: Blob) -> None:
    """Insert a file that a job has made, or put it in the place of another one."""
    session.merge(
        Artifact(
            job_id=job_id, index=index, name=name, media_type=media_type, sha256=blob.sha256,
            size_bytes=blob.size_bytes,
        )
    )  # fmt: skip
    session.flush()


def _tagged(query: Select[Job], tag: str) -> Select[Job]:
    key, colon, value = tag.partition(":")
    found = Job.tags[key].as_string()
    return query.where(found == value if colon else found.is_not(None))
