"""The service as a Python object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from glocert_client.connection import Connection
from glocert_client.exchange import Request
from glocert_client.job import Document, Job, pages
from glocert_client.uploads import Dataset, Model, id_of


class Client(Connection):
    """What one can ask of a service: a method for every kind of job.

    Example:
        ::

            with Client("http://127.0.0.1:8321") as client:
                model = client.wait_ready(client.upload_model("model.onnx"))
                data = client.wait_ready(client.upload_dataset("data.npz"))
                job = client.certify(model, data, {"type": "brightness", "from": 0.0, "to": 0.2})
                print(job.wait().summary)
    """

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
