"""What a ``gloro-training`` job is given, opened: samples to learn from and a network that can learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from glocert.errors import InvalidSpec
from glocert.gloro.architectures import build
from glocert.gloro.finetune import fine_tuning, own_answers
from glocert.gloro.finetune import recipe as fine_tuning_recipe
from glocert.gloro.network import Learner
from glocert.gloro.recipe import Recipe
from glocert.gloro.samples import Samples, split
from glocert.gloro.trainable import folded
from glocert.graph.ir import Graph
from glocert.paths.items import arrangement
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.spec import Preprocessing


@dataclass(frozen=True, slots=True)
class Lesson:
    """Where the parts of a training job are.

    Attributes:
        inputs: an ``.npy`` file, uint8 or float32, first axis = item.
        labels: an ``.npy`` file of int64, or ``None``: only fine-tuning can do without.
        preprocessing: of the uploaded network; for a new one, mean and deviation become its first layer.
        graph: what ``Graph.to_bytes`` wrote, of the network to fine-tune; ``None`` trains a new one.
        validation: inputs and labels that are never trained on; ``None`` holds out a share of the others.
    """

    inputs: Path
    labels: Path | None
    preprocessing: Preprocessing
    graph: Path | None = None
    validation: tuple[Path, Path | None] | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is trained, and how.

    Attributes:
        recipe: everything about the run.
        architecture: of a new network.
        activation: ``minmax`` or ``relu``, of a new network.
        normalised: whether the rows of its last matrix have length one; ``None`` as the architecture has it.
        depth: linear residual blocks of a LiResNet.
        width: its channels.
        classes: scores of a new network; ``None`` counts the labels.
        share: held out for validation where no validation data is given.
    """

    recipe: Recipe
    architecture: str = "2c2f"
    activation: str = "minmax"
    normalised: bool | None = None
    depth: int = 4
    width: int = 64
    classes: int | None = None
    share: float = 0.1

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, fine_tune: bool = False) -> Wanted:
        """Read members of both the recipe and this class; absent ones take their defaults.

        Args:
            data: e.g. ``{"architecture": "2c2f", "epsilon": 0.3, "loss": "emma", "epochs": 100}``.
            fine_tune: whether absent members of the recipe are those for fine-tuning.

        Raises:
            InvalidSpec: an unknown member, or a value out of its range.
        """
        mine = {field.name for field in fields(cls)} - {"recipe"}
        own = {name: value for name, value in data.items() if name in mine}
        rest = {name: value for name, value in data.items() if name not in mine}
        try:
            if fine_tune:
                return cls(fine_tuning_recipe(rest.pop("epsilon", 0.3), **rest), **own)
            return cls(Recipe.from_json(rest), **own)
        except (TypeError, ValueError) as error:
            raise InvalidSpec(f"the training cannot be set up: {error}") from error


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """A lesson in memory.

    Attributes:
        learner: takes images of the domain, raw units.
        data: to learn from.
        validation: never trained on.
        base: the uploaded network, normalisations folded, without preprocessing; ``None`` for a new one.
    """

    learner: Learner
    data: Samples
    validation: Samples
    base: Graph | None


def opened(lesson: Lesson, wanted: Wanted) -> Course:
    """Open the files and make the network.

    Raises:
        InvalidSpec: data, network and request do not fit.
        UnsupportedOperators: a node of the uploaded network cannot be trained.
    """
    stored = np.load(lesson.inputs, mmap_mode="r", allow_pickle=False)
    if lesson.graph is None:
        shape = arrangement(stored.shape[1:], (0,), lesson.preprocessing.layout).shape
        return _new(lesson, wanted, stored, shape)
    base = folded(Graph.from_bytes(lesson.graph.read_bytes()))
    item = arrangement(stored.shape[1:], base.input_shape, lesson.preprocessing.layout).shape
    whole = prepend_preprocessing(base, item, lesson.preprocessing)
    learner = fine_tuning(whole, wanted.recipe.seed)
    classes = int(np.prod(base.output_shape))
    samples = _samples(lesson.inputs, lesson.labels, lesson.preprocessing, base.input_shape, classes, whole)
    return Course(learner, *_held_out(lesson, wanted, samples, base.input_shape, classes, whole), base)


def _new(lesson: Lesson, wanted: Wanted, stored: NDArray[Any], shape: tuple[int, ...]) -> Course:
    if lesson.labels is None:
        raise InvalidSpec("a new network learns from labels, and the data set has none")
    if len(shape) != 3:
        raise InvalidSpec(f"the architectures take images, and items of shape {stored.shape[1:]} are none")
    labels = np.load(lesson.labels, mmap_mode="r", allow_pickle=False)
    classes = wanted.classes or int(labels.max(initial=0)) + 1
    samples = _samples(lesson.inputs, lesson.labels, lesson.preprocessing, shape, classes, None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(wanted.recipe.seed)
        try:
            learner = build(
                wanted.architecture,
                shape,
                classes,
                mean=lesson.preprocessing.mean,
                std=lesson.preprocessing.std,
                activation=wanted.activation,
                normalised=wanted.normalised,
                depth=wanted.depth,
                width=wanted.width,
            )
        except ValueError as error:
            raise InvalidSpec(str(error)) from error
    return Course(learner, *_held_out(lesson, wanted, samples, shape, classes, None), None)


def _held_out(
    lesson: Lesson,
    wanted: Wanted,
    samples: Samples,
    shape: tuple[int, ...],
    classes: int,
    whole: Graph | None,
) -> tuple[Samples, Samples]:
    if lesson.validation is not None:
        inputs, labels = lesson.validation
        return samples, _samples(inputs, labels, lesson.preprocessing, shape, classes, whole)
    try:
        return split(samples, wanted.share, wanted.recipe.seed)
    except ValueError as error:
        raise InvalidSpec(str(error)) from error


def _samples(
    inputs: Path,
    labels: Path | None,
    preprocessing: Preprocessing,
    shape: tuple[int, ...],
    classes: int,
    whole: Graph | None,
) -> Samples:
    """Read images of the domain with their labels, or with the answers of the network that is fine-tuned."""
    stored = np.load(inputs, allow_pickle=False)
    if not len(stored):
        raise InvalidSpec("there is nothing to learn from: the data set is empty")
    images = images_of(stored, shape, preprocessing)
    if labels is None:
        if whole is None:
            raise InvalidSpec("a new network is measured by labels, and the validation data has none")
        return own_answers(whole, images)
    wanted = torch.from_numpy(np.load(labels, allow_pickle=False).astype(np.int64))
    if len(wanted) != len(images):
        raise InvalidSpec(f"the data set has {len(images)} items but {len(wanted)} labels")
    if int(wanted.min()) < 0 or int(wanted.max()) >= classes:
        raise InvalidSpec(f"labels go from {int(wanted.min())} to {int(wanted.max())}, not 0..{classes - 1}")
    return Samples(images, wanted)


def images_of(stored: NDArray[Any], shape: tuple[int, ...], preprocessing: Preprocessing) -> torch.Tensor:
    """Bring all items to the image domain at once, clamped to it."""
    how = arrangement(stored.shape[1:], shape, preprocessing.layout)
    values = stored.astype(np.float32)
    if preprocessing.scale and np.issubdtype(stored.dtype, np.integer):
        values /= np.float32(255)
    arranged = values.reshape(-1, *how.stored).transpose(0, *(axis + 1 for axis in how.perm))
    images = torch.from_numpy(np.ascontiguousarray(arranged))
    return images.clamp_(preprocessing.lower, preprocessing.upper)
