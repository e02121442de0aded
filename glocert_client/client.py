"""The service as a Python object."""

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
    id_of,
    is_reference,
    model_request,
)

LOCAL = "http://127.0.0.1:8321"
LOOK_S = 20.0


class Client:
    """One service and one key.

    Requests that may be repeated are repeated when the connection breaks or the service is busy; a job is
    posted with an ``Idempotency-Key`` of the client's own, so that a repetition never makes a second one.

    Args:
        url: address of the service.
        key: bearer key; empty for a service that runs open.
        attempts: how often a repeatable request is sent in all.

    Example:
        ::

            with Client("http://127.0.0.1:8321") as client:
                model = client.wait_ready(client.upload_model("model.onnx"))
                data = client.wait_ready(client.upload_dataset("data.npz"))
                job = client.certify(model, data, {"type": "brightness", "from": 0.0, "to": 0.2})
                print(job.wait().summary)
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

    def certify(
        self,
        model: Model | str,
        dataset: Dataset | str,
        mutation: Mapping[str, Any],
        *,
        limit: int | None = None,
        indices: Sequence[int] | None = None,
        idempotency_key: str | None = None,
        **settings: Any,
    ) -> Job:
        """Start a segment certification.

        Args:
            model: what to certify, or its id.
            dataset: the inputs, or their id.
            mutation: the path, such as ``{"type": "brightness", "from": 0.0, "to": 0.2}``.
            limit: only the first so many inputs.
            indices: only these inputs.
            idempotency_key: the same key with the same body gives the same job; a random one by default.
            settings: other members of the body: ``property``, ``analysis``, ``method``, ``parts``,
                ``arithmetic``, ``margin``, ``gap``, ``law``, ``paired``, ``budget``, ``partition``, ``tags``,
                ``priority``.
        """
        inputs = {"limit": limit, "indices": list(indices) if indices is not None else None}
        body = {
            "kind": "segment-certification",
            "model_id": id_of(model),
            "dataset_id": id_of(dataset),
            "inputs": {name: value for name, value in inputs.items() if value is not None},
            "mutation": dict(mutation),
            **{name: value for name, value in settings.items() if value is not None},
        }
        return self.start(body, idempotency_key=idempotency_key)

    def certify_radius(
        self,
        model: Model | str,
        dataset: Dataset | str,
        epsilons: Sequence[float],
        *,
        limit: int | None = None,
        indices: Sequence[int] | None = None,
        idempotency_key: str | None = None,
        **settings: Any,
    ) -> Job:
        """Start a Lipschitz certification: no input closer than a radius gets another label.

        Args:
            model: what to certify, or its id.
            dataset: the inputs, or their id.
            epsilons: distances, in the unit of the data's domain.
            limit: only the first so many inputs.
            indices: only these inputs.
            idempotency_key: the same key with the same body gives the same job; a random one by default.
            settings: other members of the body: ``norm``, ``method``, ``relaxation``, ``arithmetic``,
                ``budget``, ``tags``, ``priority``.
        """
        inputs = {"limit": limit, "indices": list(indices) if indices is not None else None}
        body = {
            "kind": "lipschitz-certification",
            "model_id": id_of(model),
            "dataset_id": id_of(dataset),
            "inputs": {name: value for name, value in inputs.items() if value is not None},
            "epsilons": list(epsilons),
            **{name: value for name, value in settings.items() if value is not None},
        }
        return self.start(body, idempotency_key=idempotency_key)

    def wrap(
        self, model: Model | str, epsilon: float, *, formats: Sequence[str] | None = None, **settings: Any
    ) -> Job:
        """Start making files that answer a class only where it is certified within ``epsilon``.

        The files are the job's ``artifacts``.

        Args:
            model: what to wrap, or its id.
            epsilon: l2, in the unit of the data's domain.
            formats: some of ``onnx``, ``torchscript`` and ``pt2``; all by default.
            settings: other members of the body: ``budget``, ``tags``, ``priority``.
        """
        members = {"formats": list(formats) if formats is not None else None, **settings}
        body = {"kind": "gloro-wrap", "model_id": id_of(model), "epsilon": epsilon}
        return self.start(body | {name: value for name, value in members.items() if value is not None})

    def predict(
        self,
        source: Model | Job | str,
        dataset: Dataset | str,
        epsilons: Sequence[float] | None = None,
        *,
        limit: int | None = None,
        indices: Sequence[int] | None = None,
        format: str | None = None,  # noqa: A002
        **settings: Any,
    ) -> Job:
        """Start answering a data set with a wrapped network: class or bottom, margin and radius per item.

        The answers are the artifact ``predictions.npz``, ``.csv`` or ``.jsonl`` of the job.

        Args:
            source: a finished job ``gloro-wrap``, or a model, which is wrapped first; or the id of one.
            dataset: the inputs, or their id.
            epsilons: l2, in the unit of the data's domain; that of the wrapped file by default.
            limit: only the first so many inputs.
            indices: only these inputs.
            format: ``npz`` (the default), ``csv`` or ``jsonl``.
            settings: other members of the body: ``budget``, ``tags``, ``priority``.
        """
        name = source if isinstance(source, str) else source.id
        inputs = {"limit": limit, "indices": list(indices) if indices is not None else None}
        members = {
            "wrap_job_id" if name.startswith("job_") else "model_id": name,
            "dataset_id": id_of(dataset),
            "inputs": {key: value for key, value in inputs.items() if value is not None},
            "epsilons": None if epsilons is None else list(epsilons),
            "format": format,
            **settings,
        }
        given = {key: value for key, value in members.items() if value is not None}
        return self.start({"kind": "gloro-prediction", **given})

    def train(
        self,
        dataset: Dataset | str,
        epsilon: float,
        *,
        architecture: str | None = None,
        from_model: Model | str | None = None,
        validation: Dataset | str | None = None,
        **settings: Any,
    ) -> Job:
        """Start training a network for a certified radius; ``summary["model_id"]`` is what it made.

        Args:
            dataset: what to learn from, or its id.
            epsilon: l2, in the unit of the data's domain.
            architecture: ``2c2f`` (the default), ``4c3f``, ``6c2f``, ``8c2f`` or ``liresnet``.
            from_model: a model to train further instead, or its id.
            validation: what figures are measured on; by default a share is held out.
            settings: other members of the body: ``epochs``, ``loss``, ``seed``, ``batch``, ``tags``, …
        """
        members = {
            "architecture": architecture,
            "from_model_id": None if from_model is None else id_of(from_model),
            "validation_dataset_id": None if validation is None else id_of(validation),
            **settings,
        }
        body = {"kind": "gloro-training", "dataset_id": id_of(dataset), "epsilon": epsilon}
        return self.start(body | {name: value for name, value in members.items() if value is not None})

    def mine_directions(
        self,
        generator: Model | str,
        mode: str,
        *,
        dataset: Dataset | str | None = None,
        encoder: Model | str | None = None,
        limit: int | None = None,
        indices: Sequence[int] | None = None,
        **settings: Any,
    ) -> Job:
        """Start looking for directions of a generator; ``summary["directions"]`` is what it found.

        Args:
            generator: a model of the role ``generator``, or its id.
            mode: ``global``, ``local``, ``pair``, ``derivative`` or ``attribute``.
            dataset: inputs whose codes are looked at, or their id; by default codes are drawn.
            encoder: proposes codes of inputs: a model of the role ``encoder``, or its id.
            limit: only the first so many inputs.
            indices: only these inputs.
            settings: other members of the body: ``mask``, ``mutation``, ``groups``, ``count``, ``method``,
                ``extent``, ``name``, ``orthogonal_to``, ``samples``, ``seed``, ``budget``, ``tags``, …
        """
        inputs = {"limit": limit, "indices": list(indices) if indices is not None else None}
        members = {
            "dataset_id": None if dataset is None else id_of(dataset),
            "encoder_id": None if encoder is None else id_of(encoder),
            "inputs": {name: value for name, value in inputs.items() if value is not None} or None,
            **settings,
        }
        body = {"kind": "direction-mining", "generator_id": id_of(generator), "mode": mode}
        return self.start(body | {name: value for name, value in members.items() if value is not None})

    def directions(self, **filters: str) -> Iterator[Document]:
        """Yield directions from the newest to the oldest.

        Args:
            filters: ``generator_id``, ``job_id`` or ``name``.
        """
        return pages(self._transport, "/v1/directions", filters)

    def direction(self, id: str) -> Document:  # noqa: A002
        """Return a direction by its id: vector, extent, energy and measures."""
        return dict(self._transport.send(Request("GET", f"/v1/directions/{id}")).json())

    def direction_preview(self, id: str) -> bytes:  # noqa: A002
        """Return a PNG that shows what a direction does.

        Raises:
            ServiceError: its images cannot be drawn.
        """
        return self._transport.send(Request("GET", f"/v1/directions/{id}/preview.png")).content

    def delete_direction(self, id: str) -> None:  # noqa: A002
        """Delete a direction; certifications along it keep its vector."""
        self._transport.send(Request("DELETE", f"/v1/directions/{id}"))

    def train_generator(
        self,
        dataset: Dataset | str,
        *,
        family: str = "autoencoder",
        target: Mapping[str, Any] | Dataset | str | None = None,
        **settings: Any,
    ) -> Job:
        """Start training a generator; ``summary["generator_id"]`` and ``["encoder_id"]`` are what it made.

        Args:
            dataset: images to learn from, or their id.
            family: ``autoencoder``, ``gan`` or ``style``.
            target: of a style: a mutation such as ``{"type": "rotation", "to": 30}``, a data set or its id.
            settings: other members of the body: ``latent_dim``, ``augment``, ``continuity``, ``epochs``,
                ``architecture``, ``width``, ``patience``, ``seed``, ``name``, ``tags``, …
        """
        body: dict[str, Any] = {
            "kind": "generator-training", "dataset_id": id_of(dataset), "family": family,
        }  # fmt: skip
        if isinstance(target, Mapping):
            body["target"] = {"mutation": dict(target)}
        elif target is not None:
            body["target"] = {"dataset_id": id_of(target)}
        return self.start(body | {name: value for name, value in settings.items() if value is not None})

    def precheck(
        self,
        model: Model | str,
        dataset: Dataset | str,
        *,
        limit: int | None = None,
        mutation: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> Job:
        """Ask whether model, data and preprocessing go together, and what a job would cost.

        The same question gives the same job while it has not failed; its ``summary`` is the answer.

        Args:
            model: what to look at, or its id.
            dataset: the inputs, or their id.
            limit: try preprocessings on the first so many inputs; 200 by default.
            mutation: of the job whose cost is estimated; a small change of brightness by default.
            settings: other members of the body: ``budget``, ``tags``, ``priority``.
        """
        members = {
            "dataset_id": id_of(dataset),
            "inputs": {"limit": limit} if limit is not None else None,
            "mutation": dict(mutation) if mutation is not None else None,
            **settings,
        }
        body = {name: value for name, value in members.items() if value is not None}
        answer = self._transport.send(Request("POST", f"/v1/models/{id_of(model)}/precheck", body=body))
        return Job(self._transport, answer.json(), answer.headers.get("etag", ""))

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
