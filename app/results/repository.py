"""SQL of results and artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from models import Artifact, Result


def page(session: Session, job_id: str, verdict: str | None, after: int, limit: int) -> Sequence[Result]:
    """Return results of a job by index."""
    query = select(Result).where(Result.job_id == job_id, Result.index > after)
    if verdict is not None:
        query = query.where(Result.verdict == verdict)
    return session.scalars(query.order_by(Result.index).limit(limit)).all()


def get(session: Session, job_id: str, index: int) -> Result | None:
    """Return the result about one input."""
    return session.get(Result, (job_id, index))


def artifact(session: Session, job_id: str, index: int, name: str) -> Artifact | None:
    """Return a file that belongs to an input, or to the whole job (index -1)."""
    return session.get(Artifact, (job_id, index, name))


def files_of(session: Session, job_id: str, indices: Iterable[int]) -> list[tuple[int, str]]:
    """Return index and name of the files that belong to these inputs."""
    query = select(Artifact.index, Artifact.name).where(
        Artifact.job_id == job_id, Artifact.index.in_(list(indices))
    )
    return [(index, name) for index, name in session.execute(query.order_by(Artifact.index, Artifact.name))]


def artifacts(session: Session, job_id: str, after: tuple[int, str] | None, limit: int) -> Sequence[Artifact]:
    """Return the files of a job, those of the whole job first."""
    query = select(Artifact).where(Artifact.job_id == job_id)
    if after is not None:
        query = query.where(tuple_(Artifact.index, Artifact.name) > after)
    return session.scalars(query.order_by(Artifact.index, Artifact.name).limit(limit)).all()
