"""The HTTP service: its process never loads torch and never opens an upload."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from typing import Any

import structlog
from fastapi import Depends, FastAPI
from starlette.concurrency import run_in_threadpool

from app import logs, manual, problems
from app.blobs import service as blobs
from app.broker import make_celery
from app.capabilities.routes import router as capabilities
from app.certificates.routes import router as certificates
from app.datasets.routes import router as datasets
from app.db import make_engine, make_reading_sessions, make_sessions
from app.deps import Parts, refuse_odd_addresses
from app.description import describe
from app.directions.routes import router as directions
from app.health import service as health_service
from app.health.routes import router as health
from app.jobs.routes import router as jobs
from app.keys import service as keys
from app.keys.routes import router as api_keys
from app.metrics import Metrics
from app.middleware import BodyLimit, Envelope
from app.networks.routes import router as networks
from app.prechecks.routes import router as prechecks
from app.results.routes import router as results
from app.settings import Settings
from app.storage import BlobStore
from app.units.patrol import Patrol
from app.units.reaping import Reaper
from glocert import __version__

log = structlog.get_logger()
ROUTERS = (
    networks, directions, prechecks, datasets, jobs, results, certificates, capabilities, api_keys, health,
)  # fmt: skip


def create_app(
    settings: Settings, *, celery: Any = None, background: Sequence[AbstractContextManager[Any]] = ()
) -> FastAPI:
    """Return the application.

    Args:
        settings: limits and addresses; the schema of its database must be there when requests come.
        celery: rings the workers after a commit; made from the settings by default.
        background: entered when the service starts and left, in reverse order, when it stops.
    """
    parts = _parts(settings, celery if celery is not None else make_celery(settings))
    app = FastAPI(
        title="GloCert",
        version=__version__,
        description=inspect.getdoc(describe) or "",
        lifespan=_lifespan(parts, background),
        dependencies=[Depends(refuse_odd_addresses)],
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    app.state.parts = parts
    for router in ROUTERS:
        app.include_router(router)
    manual.install(app)
    problems.install(app)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(Envelope)
    describe(app)
    return app


def from_environment() -> FastAPI:
    """Return the application of the settings in the environment, for ``uvicorn --factory``."""
    settings = Settings()
    logs.configure(settings.log_level)
    celery = make_celery(settings)
    reaper = Reaper(make_sessions(make_engine(settings), celery), settings)
    return create_app(settings, celery=celery, background=[Patrol(reaper, settings.reap_s)])


def _parts(settings: Settings, celery: Any) -> Parts:
    sessions = make_sessions(make_engine(settings), celery)
    reading = make_reading_sessions(sessions)
    metrics = Metrics(lambda: health_service.load(reading, settings))
    return Parts(settings, sessions, reading, BlobStore(settings.data_dir), metrics)


def _lifespan(parts: Parts, background: Sequence[AbstractContextManager[Any]]) -> Any:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(_prepare, parts)
        with ExitStack() as stack:
            for part in background:
                stack.enter_context(part)
            yield
        parts.sessions.kw["bind"].dispose()

    return lifespan


def _prepare(parts: Parts) -> None:
    with parts.sessions() as session, session.begin():
        parts.open_mode = keys.prepare(session, parts.settings)
        removed = blobs.sweep(session)
    mode = "open" if parts.open_mode else "keys"
    log.info("service.started", host=parts.settings.host, authentication=mode, orphans_removed=removed)
