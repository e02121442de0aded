"""The thread that looks for lost units and lost messages, in every API and worker process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.units.reaping import Reaper

log = structlog.get_logger(__name__)


def never() -> bool:
    """Say that this process is not an idle worker."""
    return False


class Patrol:
    """A context: while it is entered, the reaper makes its round every ``reap_s`` seconds.

    Args:
        reaper: what to do on a round.
        reap_s: seconds between two rounds.
        idle: whether this process is a worker without work.
        also: called on every round, for example to write down that a worker is alive.
    """

    def __init__(
        self,
        reaper: Reaper,
        reap_s: float,
        *,
        idle: Callable[[], bool] = never,
        also: Callable[[], None] | None = None,
    ) -> None:
        self._reaper, self._reap_s, self._idle, self._also = reaper, reap_s, idle, also
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._walk, name="reaper", daemon=True)

    def __enter__(self) -> Patrol:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        self._thread.join(10.0)

    def _walk(self) -> None:
        while True:
            self._round()
            if self._leaving.wait(self._reap_s):
                return

    def _round(self) -> None:
        try:
            if self._also is not None:
                self._also()
            self._reaper.reap(idle=self._idle())
        except SQLAlchemyError as error:
            log.warning(
                "reaper.failed", error=str(error)
            )  # the database may be away; the next round will tell
        except Exception:  # the patrol is what repairs: it must outlive any surprise
            log.exception("reaper.broke")
