"""Long polls: a request that waits holds neither a thread nor a transaction."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import anyio
from fastapi import Query, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.deps import Parts

FIRST_LOOK_S = 0.05
LOOK_S = 0.5
Wait = Annotated[
    float,
    Query(ge=0, le=3600, allow_inf_nan=False, description="Seconds to wait; the settings cap it."),
]


async def until(request: Request, parts: Parts, wait_s: float, settled: Callable[[Session], bool]) -> None:
    """Return when ``settled`` says so, the time is over, or the caller has gone."""
    deadline = time.monotonic() + min(wait_s, parts.settings.max_wait_s)
    pause = FIRST_LOOK_S
    while not await run_in_threadpool(_look, parts, settled):
        left = deadline - time.monotonic()
        if left <= 0 or await request.is_disconnected():
            return
        await anyio.sleep(min(pause, left))
        pause = min(pause * 1.5, LOOK_S)


def _look(parts: Parts, settled: Callable[[Session], bool]) -> bool:
    with parts.reading() as session:
        return settled(session)
