"""The whole service in one process: ``python -m workers.embedded [--port N] [--data DIR]``.

API, worker thread and reaper share the process and talk over ``memory://``; computing happens in children. It
is the same code as on many machines, with SQLite in the place of PostgreSQL where no other is named.

The server of children starts before anything large is imported here: both take their seconds side by side.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app.settings import Settings
from workers.children import Nursery

if TYPE_CHECKING:
    import uvicorn

NAME = "embedded"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes."""
    settings = _settings(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises what it caught again when it has stopped
        signal.signal(number, lambda *_: sys.exit(0))
    if not settings.embedded_broker:
        sys.exit(
            "The embedded service has its own broker: leave GLOCERT_BROKER_URL out, or start app and workers."
        )
    with _only_one(settings.data_dir), _listening(settings) as listener:
        nursery = Nursery(settings)
        nursery.warm()
        _serve(settings, nursery, listener)
    return 0


def _serve(settings: Settings, nursery: Nursery, listener: socket.socket) -> None:
    from app import logs, migrate

    logs.configure(settings.log_level)
    migrate.upgrade(settings)
    host, port = listener.getsockname()[:2]
    server = _server(settings.model_copy(update={"port": port}), nursery, host)
    server.run([listener])


def _server(settings: Settings, nursery: Nursery, host: str) -> uvicorn.Server:
    import uvicorn

    address = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"

    class Server(uvicorn.Server):
        """Says where it listens as soon as it does."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                sys.stdout.write(f"ready {address}\n")
                sys.stdout.flush()

    return Server(_configuration(settings, nursery))


def _configuration(settings: Settings, nursery: Nursery) -> uvicorn.Config:
    import uvicorn

    from app.broker import QUEUES, make_celery
    from app.db import make_engine, make_sessions
    from app.main import create_app
    from workers.celery import Crewed, WorkerThread

    celery = make_celery(settings)
    sessions = make_sessions(make_engine(settings), celery)
    queues = list(QUEUES.values())
    crewed = Crewed(celery, sessions, name=NAME, queues=queues, patient=False, nursery=nursery)
    app = create_app(settings, celery=celery, background=[WorkerThread(crewed, alone=True)])
    return uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=3)


def _settings(arguments: Sequence[str] | None) -> Settings:
    parser = argparse.ArgumentParser(prog="python -m workers.embedded", description=__doc__)
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument("--port", type=int, help="port to listen on; 0 picks a free one")
    parser.add_argument("--data", type=Path, dest="data_dir", help="folder of everything that is kept")
    given = vars(parser.parse_args(arguments))
    return Settings(**{name: value for name, value in given.items() if value is not None})


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the folder: two embedded services on one would each take the other's work for lost."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(f"Another service is running on {folder}.")
        yield


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            sys.exit(f"Cannot listen on {settings.host}:{settings.port}: {os.strerror(error.errno or 0)}.")
        yield listener


if __name__ == "__main__":
    sys.exit(main())
