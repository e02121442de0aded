"""A certification job seen from outside: watch it, read it, stop it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

from glocert_client.errors import ClientError, JobFailed, WaitTimeout
from glocert_client.exchange import Request
from glocert_client.titles import describe_request
from glocert_client.transport import Transport

Document = dict[str, Any]
FINAL = frozenset({"succeeded", "failed", "cancelled"})
POLL_S = 2.0


class Job:
    """Handle of one job.

    As a context manager it cancels the job when the block is left by an exception, so that an interrupted
    pipeline does not keep workers busy.

    Attributes:
        data: the job as last seen.
    """

    def __init__(self, transport: Transport, data: Document, etag: str = "") -> None:
        self._transport = transport
        self._etag = etag
        self.data = data

    @property
    def id(self) -> str:
        """Opaque id."""
        return str(self.data["id"])

    @property
    def model_id(self) -> str:
        """Id of the model that is certified, wrapped, trained further or mined."""
        return str(self.data["model_id"])

    @property
    def mutation(self) -> Document:
        """The path of a segment certification, as the service understood it."""
        return dict(self.data["request"]["mutation"])

    @property
    def title(self) -> str:
        """What it was asked for, in a few words."""
        return describe_request(self.data["request"])

    @property
    def unit(self) -> str:
        """What its progress counts: ``inputs``, ``epochs``, ``files`` or ``stages``."""
        return str((self.data.get("progress") or {}).get("unit") or "inputs")

    @property
    def path(self) -> str:
        """Path of the job below the address of the service."""
        return f"/v1/jobs/{self.id}"

    @property
    def status(self) -> str:
        """``queued``, ``running``, ``succeeded``, ``failed`` or ``cancelled``, as last seen."""
        return str(self.data["status"])

    @property
    def finished(self) -> bool:
        """Whether the job can no longer change."""
        return self.status in FINAL

    @property
    def summary(self) -> Document | None:
        """Counts and numbers over all inputs; None before the end."""
        return self.data.get("summary")

    @property
    def progress(self) -> tuple[int, int]:
        """What is done, and what there is in all, in ``unit``."""
        seen = self.data.get("progress") or {}
        return int(seen.get("done") or 0), int(seen.get("total") or 0)

    def refresh(self, *, wait_s: float = 0.0) -> Self:
        """Ask for the present state.

        Args:
            wait_s: let the service hold the answer back this long while nothing changes.
        """
        headers = {"If-None-Match": self._etag} if self._etag else {}
        query = {"wait": round(wait_s, 3)} if wait_s else {}
        answer = self._transport.send(
            Request("GET", self.path, query=query, headers=headers, patience_s=wait_s)
        )
        if answer.status != 304:
            self.data = answer.json()
            self._etag = answer.headers.get("etag", "")
        return self

    def wait(
        self,
        *,
        timeout_s: float | None = None,
        progress: Callable[[Job], None] | None = None,
        poll_s: float = POLL_S,
    ) -> Self:
        """Wait for the end.

        Args:
            timeout_s: how long to wait; None waits for ever.
            progress: called with the job after every look at it.
            poll_s: longest time between two looks.

        Raises:
            JobFailed: the job failed or was cancelled.
            WaitTimeout: it did not end in time; it goes on.
        """
        deadline = time.monotonic() + timeout_s if timeout_s is not None else float("inf")
        while not self.finished:
            left = deadline - time.monotonic()
            if left <= 0:
                raise WaitTimeout(f"job {self.id} is still {self.status} after {timeout_s:g} s")
            self.refresh(wait_s=min(poll_s, left))
            if progress is not None:
                progress(self)
        return self.require_success()

    def require_success(self) -> Self:
        """Return itself.

        Raises:
            JobFailed: the job failed or was cancelled.
        """
        if self.status in {"failed", "cancelled"}:
            raise JobFailed(self.id, self.status, self.data.get("error") or _without_reason(self.status))
        return self

    def results(self, *, verdict: str | None = None) -> Iterator[Document]:
        """Yield one row per input, page by page; also while the job runs.

        Args:
            verdict: only rows with this verdict.
        """
        return pages(self._transport, f"{self.path}/results", {"verdict": verdict})

    def artifacts(self) -> Iterator[Document]:
        """Yield name, media type, size, digest and address of every file that the job made."""
        return pages(self._transport, f"{self.path}/artifacts", {})

    def artifact(self, name: str) -> bytes:
        """Return a file that the job made for itself as a whole, such as a wrapped model.

        Args:
            name: as ``artifacts`` gives it.
        """
        return self._transport.send(Request("GET", f"{self.path}/artifacts/{name}")).content

    def certificate(self) -> Document:
        """Return the statement of what was shown, with its digest."""
        return dict(self._transport.send(Request("GET", f"{self.path}/certificate")).json())

    def certificate_bytes(self) -> bytes:
        """Return the certificate exactly as the service serves it: its digest is over such bytes."""
        return self._transport.send(Request("GET", f"{self.path}/certificate")).content

    def picture(self, index: int, name: str = "counterexample.png") -> bytes:
        """Return a picture of one input's result.

        Args:
            index: position of the input in the data set.
            name: name of the picture.
        """
        return self._transport.send(Request("GET", f"{self.path}/results/{index}/{name}")).content

    def download(self, href: str) -> bytes:
        """Return a file that the service gave an address for.

        Args:
            href: path below the address of the service; any other host gets neither request nor key.

        Raises:
            ClientError: the address leads to another host.
        """
        if not href.startswith("/") or href.startswith("//"):
            raise ClientError(f"{href!r} does not lie on this service")
        return self._transport.send(Request("GET", href)).content

    def cancel(self) -> Self:
        """Ask the service to stop the job."""
        self._transport.send(Request("POST", f"{self.path}/cancel"))
        return self.refresh()

    def resume(self) -> Self:
        """Have the service go on with the job after it was cancelled, overdue or lost; its rows stay.

        Raises:
            ServiceError: it was not interrupted, is no segment certification, or its model or data are gone.
        """
        self._transport.send(Request("POST", f"{self.path}/resume"))
        return self.refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not self.finished:
            self.cancel()


def pages(transport: Transport, path: str, query: Mapping[str, Any]) -> Iterator[Document]:
    """Yield the items of a list, page by page."""
    cursor: str | None = None
    while True:
        page = transport.send(Request("GET", path, query={**query, "cursor": cursor})).json()
        yield from page["items"]
        cursor = page.get("next")
        if not cursor:
            return


def _without_reason(status: str) -> Document:
    return {"type": "about:blank", "title": f"The job was {status}", "detail": f"the job was {status}"}
