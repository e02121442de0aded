"""SQL of what units leave behind: results, partial results, files, learning curves, constants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.orm import Session

from app.db import insert_new, put
from app.storage import Blob
from models import Artifact, Job, LipschitzBound, PartialResult, Result, TrainingEpoch, now


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


def answered(session: Session, job_id: str, indices: Sequence[int]) -> set[int]:
    """Return those of ``indices`` that already have a result."""
    query = select(Result.index).where(Result.job_id == job_id, Result.index.in_(indices))
    return set(session.scalars(query))


def whole_job_file(session: Session, job_id: str, name: str) -> str | None:
    """Return the digest of a file that belongs to a whole job."""
    query = select(Artifact.sha256).where(
        Artifact.job_id == job_id, Artifact.index == -1, Artifact.name == name
    )
    return session.scalar(query)


def add_results(
    session: Session, job_id: str, rows: Mapping[int, dict[str, Any]], moment: datetime
) -> set[int]:
    """Insert the answers about some inputs, except about those that have one, and count the others.

    Returns:
        The inputs that had none.
    """
    values = [
        {"job_id": job_id, "index": index, "verdict": row["verdict"], "row": row, "created_at": moment}
        for index, row in rows.items()
    ]
    new = set(insert_new(session, Result.__table__, values, "index"))
    if new:
        session.execute(
            update(Job)
            .where(Job.id == job_id)
            .values(inputs_done=Job.inputs_done + len(new))
            .execution_options(synchronize_session=False)
        )
    return new


def add_artifacts(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Insert files of a job, except those that are there already."""
    insert_new(session, Artifact.__table__, rows, "index")


def put_artifacts(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Insert files of a job; those of the same name are replaced."""
    for row in rows:
        put(session, Artifact.__table__, row, ("job_id", "index", "name"))


def put_partial(session: Session, job_id: str, index: int, state: dict[str, Any]) -> None:
    """Insert what is proven of an input so far, or replace it."""
    row = {"job_id": job_id, "index": index, "state": state, "kept_at": now()}
    put(session, PartialResult.__table__, row, ("job_id", "index"))


def partials(session: Session, job_id: str, indices: Sequence[int]) -> list[tuple[int, dict[str, Any]]]:
    """Return (index, state) of those of ``indices`` of which something is kept."""
    query = select(PartialResult.index, PartialResult.state)
    wanted = query.where(PartialResult.job_id == job_id, PartialResult.index.in_(indices))
    return [(index, state) for index, state in session.execute(wanted.order_by(PartialResult.index))]


def drop_partials(session: Session, job_id: str, indices: Sequence[int]) -> None:
    """Remove what was kept of inputs that have their answers."""
    session.execute(
        delete(PartialResult)
        .where(PartialResult.job_id == job_id, PartialResult.index.in_(indices))
        .execution_options(synchronize_session=False)
    )


def put_epoch(session: Session, job_id: str, number: int, log: dict[str, Any]) -> None:
    """Insert one point of a learning curve, or replace it."""
    row = {"job_id": job_id, "number": number, "log": log, "created_at": now()}
    put(session, TrainingEpoch.__table__, row, ("job_id", "number"))


def epochs_written(session: Session, job_id: str) -> int:
    """Return the number of the last point of a learning curve, or 0; those before it are there too."""
    last = select(func.max(TrainingEpoch.number)).where(TrainingEpoch.job_id == job_id)
    return session.scalar(last) or 0


def put_bound(session: Session, key: str, outcome: dict[str, Any], blob: Blob) -> None:
    """Insert constants, or replace those of an older method."""
    row = {
        "key": key, "sha256": blob.sha256, "size_bytes": blob.size_bytes, "outcome": outcome,
        "created_at": now(),
    }  # fmt: skip
    put(session, LipschitzBound.__table__, row, ("key",))


def bound(session: Session, key: str) -> str | None:
    """Return the digest of the constants that are kept under a key."""
    return session.scalar(select(LipschitzBound.sha256).where(LipschitzBound.key == key))
