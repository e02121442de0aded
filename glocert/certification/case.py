"""The files of a job, opened: the network behind its preprocessing, and the items with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocert.errors import InvalidSpec
from glocert.graph.ir import Graph
from glocert.paths.items import Float32, Items
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.spec import Preprocessing


@dataclass(frozen=True, slots=True)
class Case:
    """Where the parts of a job are.

    Attributes:
        graph: what ``Graph.to_bytes`` wrote.
        inputs: an ``.npy`` file, uint8 or float32, first axis = item.
        labels: an ``.npy`` file of int64, one per item; ``None`` for unlabelled data.
        preprocessing: how an item becomes the network's input.
        latent: generator and encoder, for mutations through them.
    """

    graph: Path
    inputs: Path
    labels: Path | None
    preprocessing: Preprocessing
    latent: LatentCase | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Another network of a job.

    Attributes:
        graph: what ``Graph.to_bytes`` wrote.
        preprocessing: what lies between an image and what the network knows.
    """

    graph: Path
    preprocessing: Preprocessing

    def read(self) -> Graph:
        """Open it."""
        return Graph.from_bytes(self.graph.read_bytes())


@dataclass(frozen=True, slots=True)
class LatentCase:
    """Where the networks of a mutation through a generator are.

    Attributes:
        generator: code -> image.
        encoder: image -> code; ``None`` where codes are looked for.
    """

    generator: Source
    encoder: Source | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A case in memory.

    Attributes:
        network: takes images of the domain; clamp and preprocessing are its first nodes.
        items: images of the domain, on demand.
        labels: int64, or ``None``.
    """

    network: Graph
    items: Items
    labels: NDArray[np.int64] | None

    @property
    def classes(self) -> int:
        """How many scores the network returns."""
        return int(np.prod(self.network.output_shape))

    def item(self, index: int) -> Float32:
        """Return one image of the domain, before the clamp."""
        return self.items[index]

    def label(self, index: int) -> int | None:
        """Return the label of the data set.

        Raises:
            InvalidSpec: the network has no such class.
        """
        if self.labels is None:
            return None
        label = int(self.labels[index])
        if not 0 <= label < self.classes:
            raise InvalidSpec(f"label {label} is out of range 0..{self.classes - 1} (row {index})")
        return label

    def inside_domain(self, item: Float32) -> bool:
        """Whether the clamp leaves the item as it is."""
        domain = self.items.preprocessing
        return bool((item >= domain.lower).all() and (item <= domain.upper).all())


def load(case: Case, indices: Sequence[int]) -> Subject:
    """Open the files of a case.

    Raises:
        InvalidSpec: items and network do not fit, or an index is outside the data set.
    """
    graph = Graph.from_bytes(case.graph.read_bytes())
    stored = np.load(case.inputs, mmap_mode="r", allow_pickle=False)
    labels = None if case.labels is None else np.load(case.labels, mmap_mode="r", allow_pickle=False)
    items = Items(stored, graph.input_shape, case.preprocessing)
    if labels is not None and len(labels) != len(items):
        raise InvalidSpec(f"the data set has {len(items)} items but {len(labels)} labels")
    for index in indices:
        if not 0 <= index < len(items):
            raise InvalidSpec(f"input {index} does not exist: the data set has {len(items)} items")
    return Subject(prepend_preprocessing(graph, items.shape, case.preprocessing), items, labels)
