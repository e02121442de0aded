"""What a message sets off: claim units of its subject, have a child carry them out, write down what it says.

The worker computes nothing. It watches: heartbeats, cancelling, deadlines, memory, and its own stopping.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from typing import TypeVar

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from app.settings import Settings
from app.storage import BlobStore
from app.units import leases, outcomes, repository, service
from app.units.leases import Lease
from app.units.reaping import deadline_problem
from glocert.errors import WorkerLost
from models import UnitKind, UnitStatus
from workers.children import ChildrenUnavailable, Nursery
from workers.crew import Crew
from workers.watch import End, Ending, Watch

log = structlog.get_logger(__name__)
T = TypeVar("T")

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0


class Supervisor:
    """Serves subjects with units of the given kinds, one unit at a time."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        settings: Settings,
        nursery: Nursery,
        *,
        name: str,
        kinds: Collection[UnitKind],
    ) -> None:
        self.sessions, self.settings, self.nursery, self.name = sessions, settings, nursery, name
        self.kinds = frozenset(kinds)
        self.store = BlobStore(settings.data_dir)
        self.stop = threading.Event()
        self._serving = threading.Lock()

    def serve(self, subject: str) -> None:
        """Work on a subject for a slice of time, after everything that is more urgent."""
        with self._serving:
            try:
                self._serve(subject)
            except Unreachable as error:
                log.warning("database.unreachable", error=str(error))  # leases end, the reaper does the rest

    @property
    def idle(self) -> bool:
        """Whether no message is being served: then the reaper looks for work by itself."""
        return not self._serving.locked() and not self.stop.is_set()

    def wait_until_free(self, timeout_s: float) -> None:
        """Wait until the unit at hand has been given back."""
        if self._serving.acquire(timeout=timeout_s):
            self._serving.release()

    def persist(self, work: Callable[[Session], T]) -> T:
        """Run a transaction; again and again while the database is away.

        Raises:
            Unreachable: it stays away, or this worker is to stop.
        """
        give_up, pause_s = time.monotonic() + max(self.settings.lease_s, 60.0), FIRST_PAUSE_S
        while True:
            try:
                with self.sessions() as session, session.begin():
                    return work(session)
            except (OperationalError, InterfaceError) as error:
                if time.monotonic() > give_up or self.stop.wait(pause_s):
                    raise Unreachable(str(error.orig)) from error
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _serve(self, subject: str) -> None:
        priority = self.persist(lambda session: repository.subject_priority(session, subject))
        if priority is None:
            return  # a copy of a message: all is claimed
        while (urgent := self._more_urgent(priority)) is not None:
            if not self._slice(urgent):
                break
        self._slice(subject)

    def _slice(self, subject: str) -> int:
        """Work on one subject until nothing is left, the slice is over or something more urgent has come."""
        end, served = time.monotonic() + self.settings.slice_s, 0
        with Crew(self.settings, self.nursery) as crew:
            while not self.stop.is_set():
                lease = self.persist(
                    lambda session: leases.claim(session, subject, self.name, self.settings.lease_s)
                )
                if lease is None:
                    break
                paused = self._carry_out(lease, crew) is End.PAUSED
                served += 1
                if paused:
                    break
                if time.monotonic() >= end or self._more_urgent(lease.priority) is not None:
                    self._ring_for_the_rest(lease)
                    break
        return served

    def wanted_elsewhere(self, lease: Lease) -> bool:
        """Whether other work waits that is at least as urgent as a unit at hand."""
        return self.persist(
            lambda session: repository.waits_for(session, self.kinds, lease.subject, lease.priority)
        )

    def _carry_out(self, lease: Lease, crew: Crew) -> End:
        began = time.monotonic()
        try:
            ending = Watch(self, lease, crew).run()
        except ChildrenUnavailable as error:
            ending = Ending(End.DIED, WorkerLost(f"No process could be started: {error}"))
        except Unreachable:
            crew.dismiss()
            raise
        except Exception:  # one bad unit must not take the worker along
            log.exception("unit.broke", unit=lease.unit_id, subject=lease.subject)
            ending = Ending(
                End.DIED, WorkerLost("The worker stopped with an internal error, which is in the log.")
            )
        if ending.end is not End.DONE:
            crew.dismiss()
        self._settle(lease, ending)
        log.info("unit.ended", unit=lease.unit_id, subject=lease.subject, kind=lease.kind.value,
                 end=ending.end.value, seconds=round(time.monotonic() - began, 3))  # fmt: skip
        return ending.end

    def _settle(self, lease: Lease, ending: Ending) -> None:
        try:
            self._settle_now(lease, ending)
        except leases.LeaseLost:
            log.warning("unit.lease_lost", unit=lease.unit_id, subject=lease.subject)

    def _settle_now(self, lease: Lease, ending: Ending) -> None:
        if ending.end is End.DONE and lease.of_job:
            self.persist(lambda session: outcomes.complete(session, lease))
        elif ending.end is End.CANCELLED:
            self.persist(lambda session: leases.withdraw(session, lease))
        elif ending.end is End.STOPPED:
            self._release(lease)
        elif ending.end is End.PAUSED:
            self.persist(lambda session: leases.release(session, lease))
        elif ending.end is End.OVERDUE:
            self.persist(lambda session: outcomes.fail_held_job(session, lease, deadline_problem()))
        elif ending.end is End.REFUSED:
            self._refuse(lease, ending.problem())
        elif ending.end is End.DIED:
            error, attempts = ending.died_of(), self._attempts(lease, ending)
            self.persist(lambda session: outcomes.fail_attempt(session, lease, error, attempts))

    def _release(self, lease: Lease) -> None:
        """Give a unit back at once; one try, because this worker is about to end."""
        try:
            with self.sessions() as session, session.begin():
                leases.release(session, lease)
        except (OperationalError, InterfaceError) as error:
            raise Unreachable(str(error.orig)) from error

    def _refuse(self, lease: Lease, problem: dict[str, object]) -> None:
        if lease.of_job:
            self.persist(lambda session: outcomes.fail_held_job(session, lease, problem))
        else:
            self.persist(lambda session: outcomes.record_inspection(session, lease, None, problem, {}))

    def _attempts(self, lease: Lease, ending: Ending) -> int:
        if ending.certain:
            return 1
        return self.settings.max_attempts if lease.of_job else min(2, self.settings.max_attempts)

    def _more_urgent(self, priority: int) -> str | None:
        if self.stop.is_set():
            return None
        row = self.persist(lambda session: repository.more_urgent(session, self.kinds, priority))
        return None if row is None else row.subject

    def _ring_for_the_rest(self, lease: Lease) -> None:
        def ring(session: Session) -> None:
            if repository.has(session, lease.subject, UnitStatus.QUEUED):
                service.ring(session, lease.kind, lease.subject, lease.priority)

        self.persist(ring)


class Unreachable(Exception):
    """The database does not answer, and it makes no sense to wait for it any longer."""
