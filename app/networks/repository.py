"""SQL of networks."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import Session

from app.networks.schemas import NetworkFilter
from app.paging import After
from models import Network


def get(session: Session, owner: str, network_id: str) -> Network | None:
    """Return an owner's network."""
    return session.scalar(select(Network).where(Network.id == network_id, Network.owner == owner))


def for_inspection(session: Session, network_id: str) -> Network | None:
    """Return a network whoever owns it."""
    return session.get(Network, network_id)


def by_identity(session: Session, owner: str, identity: str) -> Network | None:
    """Return an owner's network with these bytes and settings."""
    return session.scalar(select(Network).where(Network.owner == owner, Network.identity == identity))


def count(session: Session, owner: str) -> int:
    """Return how many networks an owner has."""
    return session.scalar(select(func.count()).select_from(Network).where(Network.owner == owner)) or 0


def add(session: Session, network: Network) -> None:
    """Insert a network.

    Raises:
        sqlalchemy.exc.IntegrityError: the owner has the same one already; the transaction goes on.
    """
    with session.begin_nested():
        session.add(network)
        session.flush()


def remove(session: Session, network: Network) -> None:
    """Delete a network.

    Raises:
        sqlalchemy.exc.IntegrityError: a job that needs it came in meanwhile; the transaction goes on.
    """
    with session.begin_nested():
        session.delete(network)
        session.flush()


def page(
    session: Session, owner: str, wanted: NetworkFilter, after: After | None, limit: int
) -> Sequence[Network]:
    """Return networks from the newest to the oldest."""
    query: Select[Network] = select(Network).where(Network.owner == owner)
    for column, value in (
        (Network.name, wanted.name),
        (Network.role, wanted.role),
        (Network.status, wanted.status),
    ):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        query = query.where(tuple_(Network.created_at, Network.id) < (after.created_at, after.id))
    return session.scalars(query.order_by(Network.created_at.desc(), Network.id.desc()).limit(limit)).all()
