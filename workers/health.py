"""Whether a worker of this host still reports itself: ``python -m workers.health`` ends with 0 or 1.

For a container's health check: a worker has no port, but its beat is in the database.
"""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.db import make_engine
from app.settings import Settings
from models import now
from models.access import Worker


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when a worker whose name begins with ``--name`` reported within its lease."""
    parser = argparse.ArgumentParser(prog="python -m workers.health", description=__doc__)
    parser.add_argument("--name", default=f"{socket.gethostname()}-", help="how the worker's name begins")
    name = parser.parse_args(arguments).name
    settings = Settings()
    engine = make_engine(settings)
    try:
        with Session(engine) as session:
            return 0 if reported(session, name, settings.lease_s) else 1
    except SQLAlchemyError as error:
        sys.exit(f"The database does not answer: {error}")
    finally:
        engine.dispose()


def reported(session: Session, name: str, within_s: float) -> bool:
    """Whether a worker of that name reported itself lately."""
    since = now() - timedelta(seconds=within_s)
    asked = select(Worker.name).where(Worker.name.startswith(name, autoescape=True), Worker.beat_at >= since)
    return session.scalars(asked.limit(1)).first() is not None


if __name__ == "__main__":
    sys.exit(main())
