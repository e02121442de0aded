"""The units of work of a job ``gloro-prediction``: items of a data set answered by a wrapped ONNX file."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocert.errors import InvalidSpec
from glocert.gloro.artifacts.prediction import BATCH, Prediction, Predictor, epsilon_above
from glocert.paths.items import Items
from glocert.spec import Preprocessing


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is answered.

    Attributes:
        artifact: folder that holds ``wrapped.onnx`` and its manifest.
        inputs: an ``.npy`` file, uint8 or float32, first axis = item.
        labels: an ``.npy`` file of int64, one per item; ``None`` for unlabelled data.
        indices: items to answer.
        epsilons: radii to certify; ``None``: that of the file.
    """

    artifact: Path
    inputs: Path
    labels: Path | None
    indices: Sequence[int]
    epsilons: Sequence[float] | None


def predict(wanted: Wanted, out: Path) -> None:
    """Answer items in one forward pass each, and write their arrays, one row per item.

    What decides about a radius is compared as the file itself compares it, so every answer is that of
    ``Predictor`` for the same radius, bit for bit.

    Args:
        wanted: what is answered.
        out: an ``.npz`` file.

    Raises:
        UnverifiedArtifact: the file does not verify.
        InvalidSpec: the items do not fit, or an epsilon is no radius.
    """
    given = None if wanted.epsilons is None else [float(epsilon) for epsilon in wanted.epsilons]
    predictor = Predictor(wanted.artifact, epsilon=None if given is None else min(given))
    items = _items(predictor, wanted.inputs)
    began, answers = time.monotonic(), list[Prediction]()
    for first in range(0, len(wanted.indices), BATCH):
        batch = np.stack([items[index] for index in wanted.indices[first : first + BATCH]])
        answers += predictor.predict(batch.reshape(-1, *predictor.shape))
    seconds = time.monotonic() - began
    radius = np.array([answer.radius for answer in answers])
    best = np.array([-1 if answer.best is None else answer.best for answer in answers], np.int64)
    if given is None:
        certified = np.array([[answer.certified] for answer in answers])
    else:
        certified = radius[:, None] > np.array([float(epsilon_above(epsilon)) for epsilon in given])
    np.savez(
        out,
        index=np.array(wanted.indices, np.int64),
        epsilons=np.array([predictor.epsilon] if given is None else given),
        answer=np.where(certified, best[:, None], -1),
        certified=certified,
        best=best,
        margin=np.array([np.nan if answer.margin is None else answer.margin for answer in answers]),
        radius=radius,
        inside=np.array([answer.inside for answer in answers]),
        label=_labels(wanted),
        seconds=np.array([seconds]),
    )


def _items(predictor: Predictor, inputs: Path) -> Items:
    """Return the items of a data set in the domain of the wrapped network: channels first."""
    preprocessing = Preprocessing.from_json(predictor.manifest["model"]["preprocessing"])
    stored = np.load(inputs, mmap_mode="r", allow_pickle=False)
    items = Items(stored, predictor.shape, replace(preprocessing, layout="NCHW"))
    if math.prod(items.shape) != math.prod(predictor.shape):
        raise InvalidSpec(f"items of shape {items.shape} do not fit an input of shape {predictor.shape}")
    return items


def _labels(wanted: Wanted) -> NDArray[np.int64]:
    if wanted.labels is None:
        return np.full(len(wanted.indices), -1, np.int64)
    labels = np.load(wanted.labels, mmap_mode="r", allow_pickle=False)
    return np.asarray(labels[list(wanted.indices)], np.int64)
