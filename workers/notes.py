"""What a child reports, written down: each event has its kinds of units, anything else is garbled."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from app.units import making, outcomes
from app.units.leases import Lease
from app.units.outcomes import Answer
from models import UnitKind, now
from workers import findings
from workers.conversation import Garbled, Message

if TYPE_CHECKING:
    from workers.supervisor import Supervisor

log = structlog.get_logger(__name__)

ROWS = {UnitKind.SEGMENT, UnitKind.LIPSCHITZ}
ACCURACY = {UnitKind.ACCURACY, UnitKind.LIPSCHITZ_BOUND}
ANSWERED = {UnitKind.GLORO_PREDICTION}
TRAININGS = {UnitKind.GLORO_TRAINING, UnitKind.GENERATOR_TRAINING}
MADE = {UnitKind.GLORO_WRAP, UnitKind.DIRECTION_MINING, *TRAININGS}
COUNTED = {UnitKind.PRECHECK, UnitKind.GLORO_WRAP, UnitKind.DIRECTION_MINING}
PARTIAL_BYTES = 2**19
"""largest state of an unfinished input that is kept: some ten thousand intervals"""


class Notes:
    """Writes down what is said about one unit."""

    def __init__(self, supervisor: Supervisor, lease: Lease, out: Path, command: Message) -> None:
        self._supervisor, self._lease, self._out, self._command = supervisor, lease, out, command
        self._settings, self._store = supervisor.settings, supervisor.store
        self._checkpoint_at = time.monotonic() + self._settings.checkpoint_s
        self._writers: dict[str, tuple[set[UnitKind], Callable[[Message], bool]]] = {
            "accuracy": (ACCURACY, self._accuracy),
            "bound": ({UnitKind.LIPSCHITZ_BOUND}, self._bound),
            "epoch": (TRAININGS, self._epoch),
            "inspected": ({UnitKind.INSPECT_NETWORK, UnitKind.INSPECT_DATASET}, self._inspected),
            "made": (MADE, self._made),
            "part": (ANSWERED, self._part),
            "partial": ({UnitKind.SEGMENT}, self._partial),
            "prechecked": ({UnitKind.PRECHECK}, self._prechecked),
            "progress": (COUNTED, self._progress),
            "sandbox": (set(UnitKind), self._sandbox),
        }

    def write(self, message: Message) -> bool:
        """Store what a message reports; return whether the unit is to be given back, to go on later.

        Raises:
            Garbled: such units report no such thing.
            LeaseLost: the unit is no longer ours.
        """
        kinds, writer = self._writers.get(str(message.get("event")), (set(), self._sandbox))
        if self._lease.kind not in kinds:
            raise Garbled(f"unexpected event {message.get('event')!r}")
        return writer(message)

    def keep_checkpoint(self) -> None:
        """Store the state of a training as its child wrote it last, if it wrote one."""
        file = self._out / making.CHECKPOINT
        if self._lease.kind in TRAININGS and file.exists():
            blob = findings.taken(self._store, file)
            self._persist(lambda session: making.save_checkpoint(session, self._lease, blob, self._until()))

    def _persist(self, work: Callable[[Any], Any]) -> Any:
        return self._supervisor.persist(work)

    def _until(self) -> datetime:
        return now() + timedelta(seconds=self._settings.lease_s)

    def write_results(self, messages: Sequence[Message]) -> None:
        """Store the answers about some inputs together: a transaction takes longer than what it writes.

        Raises:
            Garbled: such units report no such thing.
            LeaseLost: the unit is no longer ours.
        """
        if self._lease.kind not in ROWS:
            raise Garbled("unexpected event 'result'")
        answers = [
            Answer(index, message["row"], findings.pictures(self._store, self._out / str(index), files))
            for message in messages
            for index, files in [(message["index"], message["files"])]
        ]
        self._persist(lambda session: outcomes.save_results(session, self._lease, answers, self._until()))

    def _partial(self, message: Message) -> bool:
        """Keep what is proven of an input that takes long."""
        index, state = message["index"], message["state"]
        if not isinstance(state, dict) or index not in self._lease.indices:
            raise Garbled("a state of no input of the unit")
        size_bytes = len(json.dumps(state))
        if size_bytes > PARTIAL_BYTES:
            log.warning("partial.too_large", subject=self._lease.subject, index=index, size_bytes=size_bytes)
            return False
        self._persist(
            lambda session: outcomes.save_partial(session, self._lease, index, state, self._until())
        )
        return False

    def _accuracy(self, message: Message) -> bool:
        found = message["outcome"]
        self._persist(lambda session: outcomes.save_accuracy(session, self._lease, found, self._until()))
        return False

    def _bound(self, message: Message) -> bool:
        found = None
        if message["report"] is not None:
            found = message["report"], findings.taken(self._store, self._out / making.BOUND)
        key = self._command["key"]
        self._persist(lambda session: making.save_bound(session, self._lease, key, found, self._until()))
        return False

    def _made(self, message: Message) -> bool:
        files = findings.pictures(self._store, self._out, message["files"])
        found = message["outcome"]
        self._persist(lambda session: making.save_made(session, self._lease, found, files, self._until()))
        return False

    def _part(self, message: Message) -> bool:
        (file,) = findings.pictures(self._store, self._out, [message["file"]])
        inputs = len(self._lease.indices)
        self._persist(lambda session: making.save_part(session, self._lease, file, inputs, self._until()))
        return False

    def _epoch(self, message: Message) -> bool:
        """Write a point of the learning curve; now and then keep the state, and let others have a turn."""
        number, point = message["number"], message["log"]
        self._persist(lambda session: making.save_epoch(session, self._lease, number, point, self._until()))
        if message.get("files") and (number == 1 or time.monotonic() >= self._checkpoint_at):
            shown = findings.pictures(self._store, self._out, message["files"])
            self._persist(lambda session: making.save_files(session, self._lease, shown, self._until()))
        if time.monotonic() < self._checkpoint_at or number >= self._command["epochs"]:
            return False
        self.keep_checkpoint()
        self._checkpoint_at = time.monotonic() + self._settings.checkpoint_s
        return self._supervisor.wanted_elsewhere(self._lease)

    def _prechecked(self, message: Message) -> bool:
        found = message["outcome"]
        self._persist(lambda session: outcomes.save_precheck(session, self._lease, found, self._until()))
        return False

    def _progress(self, message: Message) -> bool:
        done = message["done"]
        self._persist(lambda session: outcomes.save_progress(session, self._lease, done, self._until()))
        return False

    def _inspected(self, message: Message) -> bool:
        found = findings.inspection(self._store, self._lease.kind, message.get("report"), self._out)
        self._persist(
            lambda session: outcomes.record_inspection(
                session, self._lease, found.report, None, found.digests
            )
        )
        return False

    @staticmethod
    def _sandbox(message: Message) -> bool:
        """Only the log hears of the sandbox of a certification child."""
        log.debug("child.sandbox", report=message.get("report"))
        return False
