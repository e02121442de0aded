"""Requests to registries: bounded in size and time, and redirected only where the settings say."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from app.errors import ReferenceForbidden, ReferenceUnavailable, ReferenceUnresolved
from app.limits import Limit
from app.references.guard import GuardedTransport, is_listed, listed
from app.settings import Settings
from app.storage import Incoming
from glocert.errors import Offence

REDIRECTS = 5
DOCUMENT_BYTES = 2**20
CONNECT_S, READ_S = 10.0, 30.0


class Fetcher:
    """Requests of one reference; together they may take ``reference_s``.

    Args:
        settings: hosts and times.
    """

    def __init__(self, settings: Settings) -> None:
        self._redirect_hosts = listed(settings.reference_hosts)
        self._seconds = settings.reference_s
        self._end = time.monotonic() + settings.reference_s
        self._http = httpx.Client(
            transport=GuardedTransport(listed(settings.reference_private_hosts)),
            headers={"Accept-Encoding": "identity", "User-Agent": "glocert"},
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
            trust_env=False,
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def document(
        self, url: str, headers: Mapping[str, str], query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Return a JSON object.

        Raises:
            ReferenceForbidden: the address, or one that it redirects to, is not allowed.
            ReferenceUnresolved: there is nothing, or it is no JSON object.
            ReferenceUnavailable: no answer in time.
        """
        whole = bytearray()
        with self._opened(_address(url, query), headers) as response:
            for block in self._blocks(response):
                whole += block
                if len(whole) > DOCUMENT_BYTES:
                    raise ReferenceUnresolved("The registry answers with too long a document.")
        try:
            found = json.loads(whole)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ReferenceUnresolved("The registry does not answer with a JSON object.")
        return found

    def download(
        self, url: str, headers: Mapping[str, str], file: Incoming, limit: Limit
    ) -> Mapping[str, str]:
        """Write a body to a file and return the headers of the answer.

        Raises:
            PayloadTooLarge: as soon as it is seen to be larger than the limit.
            ReferenceForbidden, ReferenceUnresolved, ReferenceUnavailable: as with ``document``; also where
                the body is empty or breaks off.
        """
        with self._opened(_address(url), headers) as response:
            declared = response.headers.get("content-length", "")
            if declared.isdecimal() and int(declared) > limit.max_bytes:
                raise limit.refuse("The file")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ReferenceUnresolved("The registry encodes the file although it was asked not to.")
            for block in self._blocks(response):
                if file.size_bytes + len(block) > limit.max_bytes:
                    raise limit.refuse("The file")
                file.write(block)
            if not file.size_bytes:
                raise ReferenceUnresolved("The file is empty.", [Offence("/uri", "It has no bytes.")])
            return dict(response.headers)

    @contextmanager
    def _opened(self, url: httpx.URL, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """Send a request, follow redirects, and yield an answer of status 200."""
        request = self._http.build_request("GET", url, headers=dict(headers))
        for _ in range(REDIRECTS + 1):
            self._check_time()
            response = self._sent(request)
            try:
                if response.next_request is None:
                    _check_status(response, request)
                    yield response
                    return
                request = self._redirected(url, response.next_request)
            finally:
                response.close()
        raise ReferenceUnresolved("The registry redirects too often.")

    def _sent(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._http.send(request, stream=True, follow_redirects=False)
        except httpx.TransportError as error:
            raise _silent(request.url.host) from error

    def _redirected(self, first: httpx.URL, request: httpx.Request) -> httpx.Request:
        """Return the request that a redirect asks for; httpx leaves credentials out on another host."""
        url = request.url
        home = (first.scheme, first.host, first.port)
        if (url.scheme, url.host, url.port) != home and not (
            url.scheme == "https" and is_listed(url.host, self._redirect_hosts)
        ):
            detail = (
                f"It is redirected to {url.scheme}://{url.host}, which GLOCERT_REFERENCE_HOSTS does not list."
            )
            raise ReferenceForbidden(
                "The service does not follow the reference.",
                [Offence("/uri", detail)],
                extra={"setting": "reference_hosts"},
            )
        return request

    def _blocks(self, response: httpx.Response) -> Iterator[bytes]:
        try:
            for block in response.iter_raw():
                self._check_time()
                yield block
        except httpx.TransportError as error:
            raise _silent(response.request.url.host) from error

    def _check_time(self) -> None:
        if time.monotonic() > self._end:
            raise ReferenceUnavailable(
                f"The reference was not fetched within {self._seconds:g} s.", extra={"setting": "reference_s"}
            )


def _address(url: str, query: Mapping[str, str] | None = None) -> httpx.URL:
    try:
        return httpx.URL(url, params=query) if query else httpx.URL(url)
    except httpx.InvalidURL:
        raise ReferenceUnresolved("The reference leads to what is no address.") from None


def _silent(host: str) -> ReferenceUnavailable:
    return ReferenceUnavailable(f"{host} does not answer, or breaks off.")


def _check_status(response: httpx.Response, request: httpx.Request) -> None:
    """Refuse what is no success; bodies are not shown, as they may repeat what was sent."""
    status, host = response.status_code, request.url.host
    if status == httpx.codes.OK:
        return
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.TOO_MANY_REQUESTS:
        raise ReferenceUnavailable(f"{host} answers with status {status}.")
    detail = f"{host} answers with status {status}."
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        detail = f"{host} does not give it to this service (status {status})."
    if status == httpx.codes.NOT_FOUND:
        detail = f"{host} has no such thing."
    raise ReferenceUnresolved("The reference leads nowhere.", [Offence("/uri", detail)])
