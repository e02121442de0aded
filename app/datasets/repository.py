"""SQL of data sets."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import Session

from app.datasets.schemas import DatasetFilter
from app.paging import After
from models import Dataset


def get(session: Session, owner: str, dataset_id: str) -> Dataset | None:
    """Return an owner's data set."""
    return session.scalar(select(Dataset).where(Dataset.id == dataset_id, Dataset.owner == owner))


def for_inspection(session: Session, dataset_id: str) -> Dataset | None:
    """Return a data set whoever owns it."""
    return session.get(Dataset, dataset_id)


def by_digest(session: Session, owner: str, sha256: str) -> Dataset | None:
    """Return an owner's data set with these bytes."""
    return session.scalar(select(Dataset).where(Dataset.owner == owner, Dataset.sha256 == sha256))


def count(session: Session, owner: str) -> int:
    """Return how many data sets an owner has."""
    return session.scalar(select(func.count()).select_from(Dataset).where(Dataset.owner == owner)) or 0


def add(session: Session, dataset: Dataset) -> None:
    """Insert a data set.

    Raises:
        sqlalchemy.exc.IntegrityError: the owner has the same one already; the transaction goes on.
    """
    with session.begin_nested():
        session.add(dataset)
        session.flush()


def remove(session: Session, dataset: Dataset) -> None:
    """Delete a data set.

    Raises:
        sqlalchemy.exc.IntegrityError: a job that needs it came in meanwhile; the transaction goes on.
    """
    with session.begin_nested():
        session.delete(dataset)
        session.flush()


def page(
    session: Session, owner: str, wanted: DatasetFilter, after: After | None, limit: int
) -> Sequence[Dataset]:
    """Return data sets from the newest to the oldest."""
    query: Select[Dataset] = select(Dataset).where(Dataset.owner == owner)
    for column, value in ((Dataset.name, wanted.name), (Dataset.status, wanted.status)):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(tuple_(Dataset.created_at, Dataset.id) < (after.created_at, after.id))
    return session.scalars(query.order_by(Dataset.created_at.desc(), Dataset.id.desc()).limit(limit)).all()
