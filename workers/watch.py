"""The loop around one unit: what the child says goes to the database, what the database says to the child."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy.orm import Session

from app.units import leases
from app.units.leases import Lease, LeaseLost, Pulse
from glocert.errors import GlocertError, InspectionFailed, WorkerLost
from workers import briefs, findings
from workers.children import Child
from workers.conversation import Garbled, Message
from workers.crew import Crew
from workers.notes import ROWS, Notes

if TYPE_CHECKING:
    from workers.supervisor import Supervisor

log = structlog.get_logger(__name__)

LOOK_S = 0.05
WEIGH_S = 0.1
MIB = 2**20
RESULT = "result"
GROUP = 32
"""answers that are written in one transaction, of those that the child has said meanwhile"""


class End(Enum):
    """How the work on a unit ended."""

    DONE = "done"
    CANCELLED = "cancelled"
    LOST = "lost"
    STOPPED = "stopped"
    PAUSED = "paused"
    OVERDUE = "overdue"
    REFUSED = "refused"
    DIED = "died"


@dataclass(frozen=True, slots=True)
class Ending:
    """How the work on a unit ended, and what the user should know of it.

    Attributes:
        end: how.
        error: for ``DIED``.
        refusal: for ``REFUSED``: the problem that the child reported.
        certain: another attempt would end in the same way.
    """

    end: End
    error: GlocertError | None = None
    refusal: dict[str, Any] | None = None
    certain: bool = False

    def problem(self) -> dict[str, Any]:
        """Return the problem of a refusal."""
        assert self.refusal is not None
        return self.refusal

    def died_of(self) -> GlocertError:
        """Return the error of a death."""
        assert self.error is not None
        return self.error


KEPT = {End.CANCELLED, End.STOPPED, End.OVERDUE}
"""Endings after which what a training has learned is worth keeping."""


class Watch:
    """Watches one unit from its command to its end."""

    def __init__(self, supervisor: Supervisor, lease: Lease, crew: Crew) -> None:
        self._supervisor, self._settings, self._lease, self._crew = (
            supervisor,
            supervisor.settings,
            lease,
            crew,
        )
        began = time.monotonic()
        self._deadline = began + lease.seconds_left
        self._allowed = began + self._settings.inspection_s if not lease.of_job else float("inf")
        self._next_beat = began + self._settings.beat_s
        self._next_weighing = began

    def run(self) -> Ending:
        """Have a child carry out the unit."""
        if time.monotonic() >= self._deadline:
            return Ending(End.OVERDUE)
        out = self._crew.out(self._lease.unit_id)
        command = self._supervisor.persist(lambda session: self._command(session, out))
        if command is None:
            return self._gone()
        if command.get("indices") == [] and self._lease.kind in ROWS:
            return Ending(End.DONE)  # an earlier attempt had all its answers written down
        child = self._crew.child(self._lease.kind)
        self._notes = Notes(self._supervisor, self._lease, out, command)
        child.tell(command | {"device": self._crew.device})
        while (ending := self._listen(child) or self._look_around(child)) is None:
            pass
        if ending.end in KEPT:
            self._keep()
        return ending

    def _keep(self) -> None:
        """Keep the checkpoint of a training that is stopped from outside."""
        try:
            self._notes.keep_checkpoint()
        except (LeaseLost, Garbled) as error:
            log.warning("checkpoint.not_kept", unit=self._lease.unit_id, error=str(error))

    def _command(self, session: Session, out: Path) -> Message | None:
        return briefs.command(session, self._lease, self._settings, self._supervisor.store, out)

    def _gone(self) -> Ending:
        gone = WorkerLost("The model or the data set was deleted meanwhile.")
        return Ending(End.REFUSED, refusal=gone.to_problem())

    def _listen(self, child: Child) -> Ending | None:
        try:
            for messages in _together(child.hear(LOOK_S)):
                # A child that answers faster than answers are written must not keep a cancelling waiting.
                ending = self._heed(messages) or self._beat_if_due()
                if ending is not None:
                    return ending
        except Garbled as error:
            return self._death(f"It said something that is no message ({error}).")
        except LeaseLost:
            return Ending(End.LOST)
        if child.silent:
            return self._post_mortem(child)
        return None

    def _heed(self, messages: Sequence[Message]) -> Ending | None:
        """Heed one message, or several with answers."""
        message = messages[0]
        event = message.get("event")
        if event == RESULT:
            self._notes.write_results(messages)
            return None
        if event == "done":
            return None if message.get("do") == "prepare" else Ending(End.DONE)
        if event == "problem":
            return Ending(End.REFUSED, refusal=findings.problem(message.get("problem")))
        if event == "exhausted":
            return self._death(f"It needed more than {self._largest() // MIB} MiB of memory.", certain=True)
        if event == "crash":
            log.error("child.crash", unit=self._lease.unit_id, traceback=str(message.get("traceback"))[:8000])
            return self._death("It stopped with an internal error, which is in the log.")
        return Ending(End.PAUSED) if self._notes.write(message) else None

    def _look_around(self, child: Child) -> Ending | None:
        moment = time.monotonic()
        if self._supervisor.stop.is_set():
            return Ending(End.STOPPED)
        if moment >= self._deadline:
            return Ending(End.OVERDUE)
        if moment >= self._allowed:
            return self._death(f"It took longer than {self._settings.inspection_s:g} s.")
        if moment >= self._next_weighing:
            self._next_weighing = moment + WEIGH_S
            if (used := child.resident_bytes()) > self._largest():
                return self._death(
                    f"It used {used // MIB} MiB of memory; {self._largest() // MIB} MiB are allowed.",
                    certain=True,
                )
        return self._beat_if_due()

    def _beat_if_due(self) -> Ending | None:
        if time.monotonic() < self._next_beat:
            return None
        pulse = self._supervisor.persist(
            lambda session: leases.beat(session, self._lease, self._settings.lease_s)
        )
        self._next_beat = time.monotonic() + self._settings.beat_s
        return {Pulse.GO_ON: None, Pulse.CANCEL: Ending(End.CANCELLED), Pulse.LOST: Ending(End.LOST)}[pulse]

    def _largest(self) -> int:
        return self._settings.child_bytes if self._lease.of_job else self._settings.inspection_bytes

    def _post_mortem(self, child: Child) -> Ending:
        deadline = time.monotonic() + 2.0
        while (code := child.exit_code()) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        text, certain = findings.cause_of_death(code, self._settings)
        return self._death(text, certain=certain)

    def _death(self, detail: str, *, certain: bool = False) -> Ending:
        if self._supervisor.stop.is_set():
            return Ending(End.STOPPED)  # it was ended with the worker
        if self._lease.of_job:
            return Ending(
                End.DIED, WorkerLost(f"The process that computed was stopped. {detail}"), certain=certain
            )
        failed = InspectionFailed(f"The process that read the upload was stopped. {detail}")
        return Ending(End.DIED, failed, certain=certain)


def _together(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """Yield messages one by one in their order, but answers that follow each other together."""
    for answers, some in groupby(messages, lambda message: message.get("event") == RESULT):
        group, size = list(some), GROUP if answers else 1
        yield from (group[first : first + size] for first in range(0, len(group), size))
