"""A connection to a service: uploads, jobs of any kind, and what it can do."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from glocert_client.errors import UploadRejected, WaitTimeout
from glocert_client.exchange import Request
from glocert_client.job import Document, Job, pages
from glocert_client.transport import ATTEMPTS, Transport
from glocert_client.uploads import (
    Dataset,
    Kind,
    Model,
    Preprocessing,
    dataset_request,
    decode,
    is_reference,
    model_request,
)

LOCAL = "http://127.0.0.1:8321"
LOOK_S = 20.0


class Connection:
    """One service and one key.

    Requests that may be repeated are repeated when the connection breaks or the service is busy; a job is
    posted with an ``Idempotency-Key`` of the client's own, so that a repetition never makes a second one.

    Args:
        url: address of the service.
        key: bearer key; empty for a service that runs open.
        attempts: how often a repeatable request is sent in all.
    """

    def __init__(self, url: str = LOCAL, key: str = "", *, attempts: int = ATTEMPTS) -> None:
        self.url = url.rstrip("/")
        self._transport = Transport(self.url, key, attempts=attempts)

    def upload_model(
        self,
        path: str | Path,
        *,
        name: str | None = None,
        role: str | None = None,
        format: str | None = None,  # noqa: A002 - the name in the API
        input_shape: Sequence[int] | None = None,
        classes: Sequence[str] | None = None,
        preprocessing: Preprocessing | None = None,
        output: str | None = None,
        threshold: float | None = None,
        decision: str | None = None,
    ) -> Model:
        """Upload a network; the same bytes with the same settings are the same model.

        Args:
            path: an ONNX or TorchScript file; or, as text, a reference to one that the service may follow,
                such as ``hf://org/repo@revision/file`` or ``models:/name@alias``.
            name: shown in lists; the file's name by default.
            role: ``classifier`` (the default), ``regressor``, ``generator`` or ``encoder``.
            format: ``onnx``, ``torchscript`` or ``pt2``; found out by default.
            input_shape: shape of one sample, for files that do not say it.
            classes: names of the classes.
            preprocessing: what happens to a stored item before the network sees it.
            output: name or position of the output to use; the first by default.
            threshold: of a classifier with one output: label 1 where it is greater.
            decision: ``max`` (the default) or ``min``: which score decides.
        """
        source = path if isinstance(path, str) and is_reference(path) else Path(path)
        request = model_request(
            source, name=name, role=role, format=format, input_shape=input_shape, classes=classes,
            preprocessing=preprocessing, output=output, threshold=threshold, decision=decision,
        )  # fmt: skip
        return decode(Model, self._transport.send(request))

    def upload_dataset(self, path: str | Path, *, name: str | None = None) -> Dataset:
        """Upload inputs and labels.

        Args:
            path: ``.npz`` with ``images`` and ``labels``, ``.npy``, or ``.zip`` of images.
            name: shown in lists; the file's name by default.
        """
        return decode(Dataset, self._transport.send(dataset_request(Path(path), name=name)))

    def model(self, id: str) -> Model:  # noqa: A002
        """Return a model by its id."""
        return self._upload(Model, id)

    def dataset(self, id: str) -> Dataset:  # noqa: A002
        """Return a data set by its id."""
        return self._upload(Dataset, id)

    def wait_ready(self, upload: Kind, *, timeout_s: float | None = None) -> Kind:
        """Wait until an upload is inspected.

        Raises:
            UploadRejected: it cannot be used; the error names everything at fault.
            WaitTimeout: inspection did not end in time.
        """
        deadline = time.monotonic() + timeout_s if timeout_s is not None else float("inf")
        while upload.status == "uploaded":
            left = deadline - time.monotonic()
            if left <= 0:
                raise WaitTimeout(f"{upload.id} is not inspected after {timeout_s:g} s")
            upload = self._upload(type(upload), upload.id, wait_s=min(LOOK_S, left))
        if upload.status == "rejected":
            raise UploadRejected(upload.id, upload.data.get("rejection") or {})
        return upload

    def start(self, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> Job:
        """Post a job of any kind; ``body`` is the document of the API."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        answer = self._transport.send(Request("POST", "/v1/jobs", body=body, headers=headers))
        return Job(self._transport, answer.json(), answer.headers.get("etag", ""))

    def job(self, id: str) -> Job:  # noqa: A002
        """Return a job by its id."""
        answer = self._transport.send(Request("GET", f"/v1/jobs/{id}"))
        return Job(self._transport, answer.json(), answer.headers.get("etag", ""))

    def resume(self, id: str) -> Job:  # noqa: A002
        """Go on with a segment certification that was interrupted, see ``Job.resume``, and return it."""
        return self.job(id).resume()

    def jobs(self, **filters: str) -> Iterator[Job]:
        """Yield jobs from the newest to the oldest.

        Args:
            filters: ``status``, ``kind``, ``model_id`` or ``tag`` (``name`` or ``name:value``).
        """
        for data in pages(self._transport, "/v1/jobs", filters):
            yield Job(self._transport, data)

    def capabilities(self) -> Document:
        """Return what the service can do, and its limits."""
        return dict(self._transport.send(Request("GET", "/v1/capabilities")).json())

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _upload(self, kind: type[Kind], id: str, *, wait_s: float = 0.0) -> Kind:  # noqa: A002
        query = {"wait": round(wait_s, 3)} if wait_s else {}
        request = Request("GET", f"{kind.collection}/{id}", query=query, patience_s=wait_s)
        return decode(kind, self._transport.send(request))
