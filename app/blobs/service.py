"""Keeping and removing stored files so that no row ever points at nothing.

Who keeps an upload and who removes blobs take turns: between the look for references and the removal nobody
can add one. What inspections write is not covered by that turn: younger than ``SETTLE_S`` it is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import event
from sqlalchemy.orm import Session

from app.blobs import repository
from app.db import hold, store_of
from app.storage import Blob, BlobStore, Incoming

TURN = "blobs"
SETTLE_S = 5.0
ORPHAN_S = 24 * 3600.0
BATCH = 500


def keep(session: Session, file: Incoming) -> Blob:
    """Give an upload its place, in the transaction that adds the row which refers to it."""
    hold(session, TURN)
    return file.keep()


def release_after_commit(
    session: Session, digests: Iterable[str | None], derived: Iterable[str | None] = ()
) -> None:
    """Remove blobs once the rows that referred to them are gone for good, unless others refer to them.

    Args:
        session: its transaction deletes the rows.
        digests: of uploads.
        derived: of what inspections wrote.
    """
    uploads, others = {digest for digest in digests if digest}, {digest for digest in derived if digest}
    store, bind = store_of(session), session.get_bind()

    @event.listens_for(session, "after_commit", once=True)
    def release(_: Session) -> None:
        settled = {digest for digest in others if store.age_s(digest) > SETTLE_S}
        with Session(bind) as another, another.begin():
            _remove(another, store, uploads | settled)


def sweep(session: Session) -> int:
    """Remove what crashes left in the store and return the number of files."""
    store = store_of(session)
    hold(session, TURN)
    old = {digest for digest in store.digests() if store.age_s(digest) > ORPHAN_S}
    return _remove(session, store, old) + store.sweep(ORPHAN_S)


def _remove(session: Session, store: BlobStore, digests: set[str]) -> int:
    hold(session, TURN)
    unused = digests - {
        digest for some in batches(digests) for digest in repository.referenced(session, some)
    }
    for digest in unused:
        store.delete(digest)
    return len(unused)


def batches(digests: set[str]) -> Iterator[list[str]]:
    """Cut a set so that no statement gets more parameters than a database takes."""
    rest = sorted(digests)
    return (rest[start : start + BATCH] for start in range(0, len(rest), BATCH))
