"""Uploaded models and data sets as the service describes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from glocert_client.errors import ClientError
from glocert_client.exchange import Answer, Request

REFERENCES = ("https://", "hf://", "s3://", "models:/")
FETCH_S = 300.0
"""how long the service may take to fetch what a reference means"""


@dataclass(frozen=True, slots=True)
class Upload:
    """What the service says about one upload.

    Attributes:
        id: opaque id.
        status: ``uploaded`` (inspection still to come), ``ready`` or ``rejected``.
        data: the whole document.
        known: whether the service had the same upload already.
    """

    id: str
    status: str
    data: Mapping[str, Any]
    known: bool = False

    collection: ClassVar[str]


Kind = TypeVar("Kind", bound=Upload)


def id_of(upload: Upload | str) -> str:
    """Return the id of an upload that is given as itself or by its id."""
    return upload if isinstance(upload, str) else upload.id


@dataclass(frozen=True, slots=True)
class Model(Upload):
    """An uploaded neural network."""

    collection: ClassVar[str] = "/v1/models"


@dataclass(frozen=True, slots=True)
class Dataset(Upload):
    """Uploaded inputs, with labels or without."""

    collection: ClassVar[str] = "/v1/datasets"


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a stored item becomes the network's input; it is part of what is certified.

    Attributes:
        mean: subtracted per channel, after scaling to [0, 1]; one value serves all channels.
        std: divisor per channel.
        layout: ``NCHW`` or ``NHWC``, as the network expects it.
        scale: whether integer items are divided by 255.
        domain: smallest and largest value of an item after scaling; paths are clamped to it.
    """

    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    layout: str | None = None
    scale: bool | None = None
    domain: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the members that were given; the service fills in the others."""
        lists = {"mean": self.mean, "std": self.std, "domain": self.domain}
        given: dict[str, Any] = {name: list(value) for name, value in lists.items() if value is not None}
        plain = {"layout": self.layout, "scale": self.scale}
        return given | {name: value for name, value in plain.items() if value is not None}


def is_reference(text: str) -> bool:
    """Return whether a text names a model in a registry, such as ``hf://org/repo@rev/file``, and no file."""
    return text.startswith(REFERENCES)


def model_request(
    source: Path | str,
    *,
    name: str | None,
    role: str | None,
    format: str | None,  # noqa: A002 - the name in the API
    input_shape: Sequence[int] | None,
    classes: Sequence[str] | None,
    preprocessing: Preprocessing | None,
    output: str | None = None,
    threshold: float | None = None,
    decision: str | None = None,
) -> Request:
    """Build the upload of a file, or the request to follow a reference; None is left to the service."""
    plain = {"name": name, "role": role, "format": format, "output": output, "threshold": threshold,
             "decision": decision}  # fmt: skip
    structured = {
        "input_shape": list(input_shape) if input_shape else None,
        "classes": list(classes) if classes else None,
        "preprocessing": (preprocessing.to_json() if preprocessing else None) or None,
    }
    if isinstance(source, str):
        members = {"uri": source, **plain, **structured}
        body = {member: value for member, value in members.items() if value is not None}
        return Request("POST", Model.collection, body=body, patience_s=FETCH_S)
    texts = {member: json.dumps(value) for member, value in structured.items() if value is not None}
    return Request("POST", Model.collection, form=plain | texts, file=readable(source))


def dataset_request(path: Path, *, name: str | None) -> Request:
    """Build the upload of a data set."""
    return Request("POST", Dataset.collection, form={"name": name}, file=readable(path))


def readable(path: Path) -> Path:
    """Return ``path``.

    Raises:
        ClientError: there is no such file.
    """
    if not path.is_file():
        raise ClientError(f"there is no file {path}")
    return path


def decode(kind: type[Kind], answer: Answer) -> Kind:
    """Read a model or a data set from an answer; 200 to an upload means that it was there already."""
    data = answer.json()
    return kind(str(data["id"]), str(data["status"]), data, answer.status == 200)
