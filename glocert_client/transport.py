"""Sends requests with httpx and tries again where that does no harm."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import httpx

from glocert_client.errors import ServiceUnreachable
from glocert_client.exchange import Answer, Request, pause_before_retry

CONNECT_S = 10.0
ANSWER_S = 60.0
ATTEMPTS = 6


class Transport:
    """One connection pool to one service.

    Args:
        url: address of the service.
        key: bearer key; empty sends none.
        attempts: how often a repeatable request is sent in all.
        sleep: waits the seconds that it is given; replaced in tests.
    """

    def __init__(
        self, url: str, key: str, *, attempts: int = ATTEMPTS, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._attempts = attempts
        self._sleep = sleep
        headers = {"Accept": "application/json, application/problem+json, */*"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self._url = checked(url)
        # A proxy of the environment cannot reach this machine's own loopback.
        self._http = httpx.Client(base_url=self._url, headers=headers, trust_env=not is_loopback(self._url))

    def send(self, request: Request) -> Answer:
        """Send until an answer stands.

        Raises:
            ServiceUnreachable: nothing answered.
            ServiceError: the request was refused.
        """
        attempt = 0
        while True:
            attempt += 1
            answer, failure = self._attempt(request)
            pause = pause_before_retry(request, attempt, answer, attempts=self._attempts)
            if pause is None:
                break
            self._sleep(pause)
        if answer is None:
            raise ServiceUnreachable(f"{self._url} does not answer: {failure}")
        return answer.checked()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _attempt(self, request: Request) -> tuple[Answer | None, str]:
        try:
            return self._once(request), ""
        except httpx.TransportError as error:
            return None, str(error) or type(error).__name__

    def _once(self, request: Request) -> Answer:
        timeout = httpx.Timeout(ANSWER_S + request.patience_s, connect=CONNECT_S)
        with ExitStack() as stack:
            extra: dict[str, Any] = {}
            if request.file is not None:
                file = stack.enter_context(request.file.open("rb"))
                extra["files"] = {"file": (request.file.name, file, "application/octet-stream")}
                extra["data"] = _present(request.form)
            if request.body is not None:
                extra["json"] = request.body
            response = self._http.request(
                request.method, request.path, params=_present(request.query),
                headers=dict(request.headers), timeout=timeout, **extra,
            )  # fmt: skip
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, response.content)


def checked(url: str) -> httpx.URL:
    """Return the address of a service.

    Raises:
        ServiceUnreachable: it is no address that could ever answer.
    """
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ServiceUnreachable(f"{url!r} is not an address: {error}") from error
    if address.scheme not in {"http", "https"} or not address.host:
        raise ServiceUnreachable(f"{url!r} is not an address such as http://127.0.0.1:8321")
    return address


def is_loopback(url: httpx.URL) -> bool:
    """Return whether only this machine can be meant."""
    host = url.host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
