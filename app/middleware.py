"""What every request passes: an id, a log line, headers, and limits on bodies."""

from __future__ import annotations

import re
import secrets
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import PayloadTooLarge
from app.headers import protect
from app.problems import render

log = structlog.get_logger()
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Envelope:
    """Give every request an id, every answer the security headers, and the log one line about both.

    An answer that goes out before the body has been read closes the connection: otherwise the server would
    read the rest of it only to throw it away.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        scope["request_id"] = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        body, status, begin = _Body(scope, receive), 500, time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, scope, close=body.unread)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=scope["request_id"]):
            try:
                await self.app(scope, body.receive, sending)
            finally:
                seconds = round(time.perf_counter() - begin, 4)
                route = {"method": scope["method"], "path": scope["path"]}
                log.info("request.finished", **route, status=status, seconds=seconds)


class BodyLimit:
    """Refuse bodies over the limit while they stream; multipart bodies have limits of their own."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app, self.max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read a small body whole, then hand it on."""
        if scope["type"] != "http" or not _has_body(scope) or _is_multipart(scope):
            await self.app(scope, receive, send)
            return
        chunks, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            size += len(message.get("body", b""))
            if size > self.max_bytes:
                extra = {"limit_bytes": self.max_bytes, "setting": "max_body_bytes"}
                answer = render(PayloadTooLarge("The body is larger than the limit.", extra=extra))
                await answer(scope, receive, send)
                return
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
        await self.app(scope, _once(b"".join(chunks), receive), send)


class _Body:
    """Watches whether the body has been read to its end."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self.unread = _has_body(scope)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self.unread = False
        return message


def _once(body: bytes, receive: Receive) -> Receive:
    pending = [body]

    async def replay() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return replay


def _add_headers(message: Message, scope: Scope, *, close: bool) -> None:
    headers = MutableHeaders(scope=message)
    protect(headers, scope)
    if close:
        headers["Connection"] = "close"


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _is_multipart(scope: Scope) -> bool:
    return Headers(scope=scope).get("content-type", "").lower().startswith("multipart/form-data")
