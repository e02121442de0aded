"""A worker of its own: ``python -m workers --queues inspection,certification --name w1``."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from celery.worker import state

from app import logs
from app.broker import QUEUES, make_celery
from app.db import make_engine, make_sessions
from app.settings import Settings
from workers.celery import Crewed


def main(arguments: Sequence[str] | None = None) -> int:
    """Work until SIGTERM or SIGINT: the child is killed, its unit goes back to the queue, 0 is returned."""
    given = _parse(arguments)
    settings = Settings()
    logs.configure(settings.log_level)
    if settings.embedded_broker:
        sys.exit("Workers of their own need a broker: set GLOCERT_BROKER_URL to redis://…")
    celery = make_celery(settings)
    sessions = make_sessions(make_engine(settings), celery)
    crewed = Crewed(celery, sessions, name=given.name, queues=given.queues)
    _stop_on_signals(crewed)
    with crewed:
        crewed.controller.start()
    return 0


def _stop_on_signals(crewed: Crewed) -> None:
    def stop(_: int, __: FrameType | None) -> None:
        crewed.supervisor.stop.set()
        state.should_stop = 0
        # a broker or database that hangs must not keep a stopping worker: the lease sees to the rest
        last = threading.Timer(crewed.settings.stop_s, os._exit, [0])
        last.daemon = True
        last.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    parser.add_argument("--queues", type=_queues, default=",".join(QUEUES.values()), help="comma-separated")
    parser.add_argument("--name", default=f"{socket.gethostname()}-{os.getpid()}", help="must be unique")
    return parser.parse_args(arguments)


def _queues(text: str) -> list[str]:
    queues = text.split(",")
    if unknown := set(queues) - set(QUEUES.values()):
        raise argparse.ArgumentTypeError(f"no such queue: {', '.join(sorted(unknown))}")
    return queues


if __name__ == "__main__":
    sys.exit(main())
