"""Questions about the shared models that benchmarks ask of every engine: the same paths, the same labels."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.curve import prepared
from benchmarks.service import ROOT
from glocert.graph.ir import Graph
from glocert.graph.onnx import read_onnx
from glocert.graph.run import run
from glocert.paths.items import Items
from glocert.paths.mutations import segment
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.paths.segment import Segment
from glocert.spec import Mutation, Preprocessing

SHARED = Path(os.environ.get("GLOCERT_SHARED_DATA", ROOT.parent / "shared" / "data"))
CLASSIFIERS = (
    "mnist_tiny_20", "mnist_fc_3layer", "mnist_spectral_mlp_b", "mnist_fc_256x2", "mnist_fc_256x4",
    "mnist_fc_256x6", "mnist_relu_6_100", "acasxu_1_1", "mnist_conv_small", "mnist_cnn_small", "mnist_a_adv",
    "mnist_keras_nhwc", "mnist_avgpool", "mnist_lenet_maxpool", "fashion_cnn_two_outputs",
    "cifar_conv_small_pgd", "cifar_cnn_a_adv", "cifar_resnet2b", "cifar_resnet3b2",
)  # fmt: skip
"""Every piecewise linear classifier of the shared data, each once; small ones first."""
FEATURES = 0.5
"""networks without labelled data get inputs between minus and plus this"""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One path through one network, and the class that should win on it.

    Attributes:
        network: name in the manifest.
        kind: which path.
        graph: the network, with its preprocessing where the path is one of images.
        segment: the path.
        label: what the network says at its start.
    """

    network: str
    kind: str
    graph: Graph
    segment: Segment
    label: int


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A model of the shared data with its test set.

    Attributes:
        name: in the manifest.
        graph: as it was imported.
        entry: of the manifest.
        images: uint8, or None where there are none.
        labels: of the images.
    """

    name: str
    graph: Graph
    entry: Mapping[str, Any]
    images: NDArray[np.uint8] | None
    labels: NDArray[np.int64]

    @property
    def convolutional(self) -> bool:
        """Whether it has a convolution."""
        return any(node.operator == "Conv" for node in self.graph.nodes)

    @property
    def preprocessing(self) -> Preprocessing:
        """The manifest's recipe, as a job would say it."""
        if self.images is None:
            return Preprocessing(lower=-1.0, upper=1.0)
        recipe = self.entry["preprocess_spec"]
        mean, std = (tuple(map(float, np.atleast_1d(recipe.get(key, ())))) for key in ("mean", "std"))
        return Preprocessing(mean=mean, std=std, layout=recipe.get("layout", "NCHW"))

    @property
    def items(self) -> Items:
        """The test set as paths see it."""
        stored = self.images
        if stored is None:
            shape = (64, int(np.prod(self.graph.input_shape)))
            drawn = np.random.default_rng(0).uniform(-FEATURES, FEATURES, shape).astype(np.float32)
            return Items(drawn, self.graph.input_shape, self.preprocessing)
        return Items(stored, self.graph.input_shape, self.preprocessing)


def network(name: str, data: Path = SHARED) -> Network:
    """Read one model and its test set."""
    entries = {entry["name"]: entry for entry in json.loads((data / "manifest.json").read_text())["models"]}
    entry = entries[name]
    graph = read_onnx((data / "models" / entry["files"]["onnx"]).read_bytes()).graph
    test = next((key for key in entry.get("accuracy") or {} if key.endswith("_test")), None)
    if test is None:
        return Network(name, graph, entry, None, np.zeros(64, np.int64))
    stored = np.load(data / "datasets" / f"{test}.npz")
    return Network(name, graph, entry, stored["images"], stored["labels"])


def chords(model: Network, count: int) -> Iterator[Question]:
    """Yield chords from the first items, each to the next one of another class, as the network takes them."""
    for start in range(count):
        if model.images is None:
            ends = np.random.default_rng(start).uniform(-FEATURES, FEATURES, (2, *model.graph.input_shape))
        else:
            later = np.flatnonzero(model.labels[start:] != model.labels[start])
            chosen = (start, start + int(later[0]))
            ends = np.stack([prepared(model.images[i], model.entry, model.graph) for i in chosen])
        path = Segment(ends[0], ends[1], np.zeros(model.graph.input_shape))
        yield Question(model.name, f"chord {start + 1}", model.graph, path, label_of(model.graph, ends[0]))


def whole(model: Network) -> Graph:
    """Return the network with clamp and preprocessing in front, as a job certifies it."""
    return prepend_preprocessing(model.graph, model.items.shape, model.preprocessing)


def mutated(model: Network, mutation: Mutation, item: int, graph: Graph | None = None) -> Question:
    """Return a mutation of one item through ``whole(model)``, which may be given."""
    graph = graph or whole(model)
    path = segment(mutation, model.items[item], items=model.items)
    return Question(model.name, mutation.type, graph, path, label_of(graph, path.start))


def label_of(graph: Graph, point: NDArray[np.float64]) -> int:
    """Return the class that wins at one input, in float64."""
    return int(run(graph, torch.from_numpy(point)[None]).flatten().argmax())
