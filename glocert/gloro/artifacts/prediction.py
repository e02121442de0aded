"""Answers of a wrapped ONNX file, a batch at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocert.errors import InvalidSpec, UnverifiedArtifact
from glocert.gloro.artifacts.decision import BOTTOM
from glocert.gloro.artifacts.slack import REACH
from glocert.gloro.artifacts.trial import Floats, session
from glocert.gloro.artifacts.verification import verify
from glocert.graph.wrapped import EPSILON, INPUT, OUTPUTS

ONNX = "wrapped.onnx"
BATCH = 256
"""Most inputs of one forward pass."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is answered about one input.

    Attributes:
        label: the class; ``None`` is bottom.
        certified: whether there is a class.
        margin: by how much the best score leads; ``None`` where a number is not finite.
        radius: no input that is closer has another label; l2, raw input units.
        inside: whether the input lies in the domain; one that does not is clamped to it, as the network does.
        best: the class of the highest score, certified or not; ``None`` where a number is not finite.
    """

    label: int | None
    certified: bool
    margin: float | None
    radius: float
    inside: bool
    best: int | None

    def to_json(self) -> dict[str, Any]:
        """Return the row as the API shows it."""
        row = asdict(self)
        del row["best"]
        return {"class": row.pop("label"), **row}


class Predictor:
    """A verified ONNX file, opened in onnxruntime; safe to use from several threads."""

    def __init__(self, path: Path, *, epsilon: float | None = None, threads: int = 1) -> None:
        """Verify a file and open it.

        Args:
            path: the ONNX file, or the folder that holds one and its manifest.
            epsilon: radius to certify; that of the file by default.
            threads: of one forward pass.

        Raises:
            UnverifiedArtifact: the file does not verify.
            InvalidSpec: epsilon is no radius.
        """
        path = path if path.is_file() else path / ONNX
        self.manifest = verify(path.parent, names=frozenset({path.name}))
        (self.file,) = [entry for entry in self.manifest["files"] if entry["name"] == path.name]
        self.epsilon = float(self.manifest[EPSILON] if epsilon is None else epsilon)
        if self.file["format"] != "onnx" or not 0 <= self.epsilon <= REACH:
            raise InvalidSpec("give the ONNX file of an artifact, and a radius that is not negative")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != self.file["sha256"]:
            raise UnverifiedArtifact("the file was changed while it was read")
        self._given = None if epsilon is None else epsilon_above(self.epsilon)
        self._session = session(data, threads)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(self.manifest["input"]["shape"])

    def items(self, array: NDArray[np.generic]) -> Floats:
        """Return inputs of the domain, one per row.

        Args:
            array: shape (N, *shape), or that of a single input; floats in raw units, or uint8, which are
                divided by 255 where the model's preprocessing says so.

        Raises:
            InvalidSpec: another shape or type.
        """
        if array.shape == self.shape:
            array = array[None]
        if array.shape[1:] != self.shape or array.ndim != len(self.shape) + 1:
            raise InvalidSpec(
                f"inputs must have the shape (N, {', '.join(map(str, self.shape))}), not {array.shape}"
            )
        if array.dtype == np.uint8:
            scale = self.manifest["model"]["preprocessing"]["scale"]
            return array.astype(np.float32) / np.float32(255 if scale else 1)
        if array.dtype.kind != "f":
            raise InvalidSpec(f"inputs must be floats or uint8, not {array.dtype}")
        with np.errstate(over="ignore"):
            return array.astype(np.float32)

    def predict(self, items: Floats) -> Iterator[Prediction]:
        """Yield one answer per input, in their order.

        Args:
            items: what ``items`` returned.
        """
        for first in range(0, len(items), BATCH):
            yield from self._batch(items[first : first + BATCH])

    def _batch(self, items: Floats) -> Iterator[Prediction]:
        feeds = {INPUT: items} | ({} if self._given is None else {EPSILON: self._given})
        logits, label, certified, radius = self._session.run(list(OUTPUTS), feeds)
        lower, upper = self.manifest["input"]["domain"]
        rest = tuple(range(1, items.ndim))
        within = (items >= np.float32(lower)) & (items <= np.float32(upper))
        inside = np.atleast_1d(within.all(axis=rest))
        best = logits[:, :-1].argmax(axis=1)
        two = np.partition(logits[:, :-1].astype(np.float64), -2, axis=1)[:, -2:]
        for row in range(len(items)):
            finite = bool(np.isfinite(two[row]).all())
            yield Prediction(
                None if label[row] == BOTTOM else int(label[row]),
                bool(certified[row]),
                float(two[row, 1] - two[row, 0]) if finite else None,
                float(radius[row]),
                bool(inside[row]),
                int(best[row]) if finite else None,
            )


def predict_batch(
    artifact: Path, items: NDArray[np.generic], *, epsilon: float | None = None
) -> list[dict[str, Any]]:
    """Verify an artifact and return one row per item: ``class`` or null, certified, margin, radius, inside.

    Args:
        artifact: the ONNX file, beside its manifest, or their folder.
        items: see ``Predictor.items``.
        epsilon: radius to certify; that of the file by default.

    Raises:
        UnverifiedArtifact: the file does not verify.
        InvalidSpec: the items do not fit, or epsilon is no radius.
    """
    predictor = Predictor(artifact, epsilon=epsilon)
    return [prediction.to_json() for prediction in predictor.predict(predictor.items(items))]


def epsilon_above(epsilon: float) -> NDArray[np.float32]:
    """Return the smallest float32 number that is not below a radius."""
    near = np.array(epsilon, np.float32)
    return near if float(near) >= epsilon else np.array(np.nextafter(near, np.float32(np.inf)))
