"""Reading what a job found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app import paging
from app.db import store_of
from app.errors import NotFound
from app.paging import Page
from app.results import repository
from app.results.schemas import ResultFilter
from models import Artifact, Job, Result

WHOLE_JOB = -1


def list_rows(session: Session, job: Job, wanted: ResultFilter, limit: int) -> Page[dict[str, Any]]:
    """Return a page of a job's rows by index."""
    after = paging.read_index(wanted.cursor)
    found = repository.page(session, job.id, wanted.verdict, after, limit + 1)
    cut = paging.page(found, limit, lambda result: paging.encode(result.index))
    return Page(_shown(session, job, cut.items), cut.next)


def get_row(session: Session, job: Job, index: int) -> dict[str, Any]:
    """Return the row of one input.

    Raises:
        NotFound: it is not part of the job, or not done yet.
    """
    result = repository.get(session, job.id, index)
    if result is None:
        raise NotFound(f"The job has no result for input {index}.")
    return _shown(session, job, [result])[0]


def list_artifacts(session: Session, job: Job, cursor: str | None, limit: int) -> Page[Artifact]:
    """Return a page of a job's files."""
    found = repository.artifacts(session, job.id, paging.read_index_and_name(cursor), limit + 1)
    return paging.page(found, limit, lambda file: paging.encode(file.index, file.name))


def get_file(session: Session, job: Job, index: int, name: str) -> tuple[Artifact, Path]:
    """Return a file and where it lies.

    Raises:
        NotFound: the job has none of this name there.
    """
    file = repository.artifact(session, job.id, index, name) if name.isprintable() else None
    if file is None:
        raise NotFound("The job has no such file.")
    return file, store_of(session).path(file.sha256)


def address(job_id: str, index: int, name: str) -> str:
    """Return where a file of a job is served."""
    place = "artifacts" if index == WHOLE_JOB else f"results/{index}"
    return f"/v1/jobs/{job_id}/{place}/{name}"


def _shown(session: Session, job: Job, results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return rows with addresses instead of file names."""
    names: dict[int, dict[str, str]] = defaultdict(dict)
    for index, name in repository.files_of(session, job.id, [result.index for result in results]):
        names[index][name] = address(job.id, index, name)
    return [_addressed(result.row, job, names[result.index]) for result in results]


def _addressed(row: dict[str, Any], job: Job, files: dict[str, str]) -> dict[str, Any]:
    shown = row | {"files": files}
    if (found := row.get("counterexample")) and found["image"] is not None:
        shown["counterexample"] = found | {"image": address(job.id, row["index"], found["image"])}
    return shown
