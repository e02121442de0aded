"""The tasks, and a worker that receives them.

A task's body is the supervisor's: the pool is ``threads`` with one thread, so that the worker answers while a
child computes, and so that nothing is ever forked from a process that knows CUDA.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import structlog
from celery.worker import WorkController
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from app.broker import QUEUES, Doorbells, Task
from app.units import repository
from app.units.patrol import Patrol
from app.units.reaping import Reaper
from app.units.service import TASKS
from glocert import __version__
from models import UnitKind, now
from workers.children import Nursery
from workers.crew import sweep_scratch
from workers.supervisor import Supervisor

log = structlog.get_logger(__name__)


def attach(celery: Doorbells, supervisor: Supervisor) -> None:
    """Give the tasks their bodies."""

    def serve(subject: str) -> None:
        refuse_torch()
        supervisor.serve(subject)

    for task in Task:
        celery.task(serve, name=task.value)
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)  # the supervisor says what became of a unit


def refuse_torch() -> None:
    """Keep the rule that workers supervise and children compute.

    Raises:
        RuntimeError: something has imported torch into this process.
    """
    if "torch" in sys.modules:
        raise RuntimeError("torch is loaded in a worker process: only its children may load it")


class Crewed:
    """A worker with its supervisor, children and reaper: a context that is entered while it works.

    Args:
        celery: the application; its tasks get their bodies here.
        sessions: of the database.
        name: of the worker, not used by another one.
        queues: which it serves.
        patient: whether entering waits until children can be started at once.
        nursery: of its children, where one has been started before; it is closed with the rest.
    """

    def __init__(
        self,
        celery: Doorbells,
        sessions: sessionmaker[Session],
        *,
        name: str,
        queues: Sequence[str],
        patient: bool = True,
        nursery: Nursery | None = None,
    ) -> None:
        self.settings, self.sessions, self.name, self.queues = celery.settings, sessions, name, list(queues)
        self._patient = patient
        kinds = [kind for kind in UnitKind if QUEUES[TASKS[kind]] in queues]
        self.nursery = nursery or Nursery(celery.settings)
        self.supervisor = Supervisor(sessions, celery.settings, self.nursery, name=name, kinds=kinds)
        self.reaper = Reaper(sessions, celery.settings, kinds)
        self._patrol = Patrol(
            self.reaper,
            celery.settings.reap_s,
            idle=lambda: self.supervisor.idle,
            also=self._beat,
        )
        self._started_at = now()
        attach(celery, self.supervisor)
        self.controller: WorkController = celery.WorkController(
            pool="threads",
            concurrency=1,
            queues=self.queues,
            hostname=name if "@" in name else f"{name}@{socket.gethostname()}",
            loglevel=celery.settings.log_level,
            without_mingle=True,
            without_gossip=True,
            without_heartbeat=True,
        )

    def __enter__(self) -> Crewed:
        refuse_torch()
        sweep_scratch(self.settings)
        self.nursery.warm(wait=self._patient)
        self._patrol.__enter__()
        log.info("worker.started", name=self.name, queues=self.queues, device=self.nursery.device)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.supervisor.stop.set()
        self.supervisor.wait_until_free(self.settings.stop_s)  # units go back before their children are ended
        self._patrol.__exit__(kind, error, trace)
        self.nursery.close()
        try:
            with self.sessions() as session, session.begin():
                repository.forget_worker(session, self.name)
        except SQLAlchemyError as gone:
            log.warning("worker.not_signed_off", error=str(gone))
        log.info("worker.stopped", name=self.name)

    def _beat(self) -> None:
        row: dict[str, Any] = {
            "name": self.name,
            "queues": self.queues,
            "device": self.nursery.device,
            "version": __version__,
            "started_at": self._started_at,
            "beat_at": now(),
        }
        with self.sessions() as session, session.begin():
            repository.beat(session, row)


class WorkerThread:
    """A worker inside another process: entered with it, left with it."""

    def __init__(self, crewed: Crewed, *, alone: bool) -> None:
        self._crewed, self._alone = crewed, alone
        self._thread = threading.Thread(target=crewed.controller.start, name="celery-worker", daemon=True)

    def __enter__(self) -> WorkerThread:
        if self._alone:
            self._crewed.reaper.take_back_all()
        self._crewed.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._crewed.supervisor.stop.set()
        self._crewed.controller.stop()  # returns when the pool has; the thread only waits for messages then
        self._crewed.__exit__(kind, error, trace)
