"""Generators that the study trains, and what it asks of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.study.asking import PLAIN, Outcome, asked
from experiments.study.kept import kept
from glocert.engine import prepare
from glocert.generators.decoder import Decoder
from glocert.generators.directions.pairs import Difference, difference
from glocert.generators.measures import Measures, measure
from glocert.generators.training.families import learner
from glocert.generators.training.training import Training
from glocert.graph.compose import composed
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.paths.generated import imaging, picturing
from glocert.paths.latent import Move, latent_path
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.paths.segment import Segment
from glocert.spec import Analysis
from glocert.spec_generator import Recipe

Floats = NDArray[np.float64]
_HELD_OUT = 256


@dataclass(frozen=True, slots=True, eq=False)
class Generator:
    """A decoder with its encoder.

    Attributes:
        picture: code -> image of the domain, before the clamp.
        encoder: image -> code.
        log: what its epochs did.
    """

    picture: Graph
    encoder: Graph
    log: Sequence[dict[str, Any]]

    @classmethod
    def trained(cls, name: str, recipe: Recipe, images: Tensor, folder: Path) -> Generator:
        """Train, or read what the same call made before; the last images are held out.

        Args:
            name: of the files.
            recipe: of an autoencoder.
            images: float32, shape (N, C, H, W), in [0, 1].
            folder: where the files are kept.
        """
        shape = tuple(images.shape[1:])

        def make() -> bytes:
            run_ = Training.start(learner(recipe, shape))
            for epoch in run_.epochs(images[:-_HELD_OUT], images[-_HELD_OUT:]):
                print(f"{name} {epoch.number} {epoch.parts} {epoch.psnr} {epoch.seconds:.1f} s", flush=True)
            decoder, encoder = run_.learner.graphs()
            (folder / f"{name}-encoder.safetensors").write_bytes(encoder.to_bytes())
            (folder / f"{name}.json").write_text(json.dumps([epoch.to_json() for epoch in run_.log]))
            return decoder.to_bytes()

        folder.mkdir(parents=True, exist_ok=True)
        decoder = Graph.from_bytes(kept(folder / f"{name}-decoder.safetensors", make))
        encoder = Graph.from_bytes((folder / f"{name}-encoder.safetensors").read_bytes())
        log = json.loads((folder / f"{name}.json").read_text())
        return cls(picturing(decoder, shape, PLAIN), encoder, log)

    def codes(self, images: Tensor) -> Tensor:
        """Return codes, float64, shape (N, d), of images, shape (N, C, H, W)."""
        with torch.no_grad():
            parts = [run(self.encoder, part.double()) for part in torch.split(images, 256)]
        return torch.cat(parts).flatten(1)

    def images(self, codes: Tensor) -> Tensor:
        """Return images of codes, float64, clamped to [0, 1]."""
        return Decoder(self.picture).images(codes).clamp(0, 1)

    def way(self, before: Tensor, after: Tensor) -> Difference:
        """Return the mean direction from images to their mutants."""
        return difference(self.codes(before), self.codes(after))


@dataclass(frozen=True, slots=True)
class Way:
    """A direction with its extent; the vector has length one.

    Attributes:
        vector: float64, shape (d,).
        extent: in latent units.
        mask: bool, of an image's shape or one that broadcasts to it, where the mutation is meant to act.
    """

    vector: Floats
    extent: float
    mask: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class Certified:
    """What came of latent paths.

    Attributes:
        outcome: of the engine.
        measures: of every path.
        kept: share of the images whose reconstruction has their own label.
    """

    outcome: Outcome
    measures: Sequence[Measures]
    kept: float

    def to_json(self) -> dict[str, Any]:
        """Return plain data, medians of the measures."""

        def median(name: str) -> float | None:
            found = [getattr(one, name) for one in self.measures if getattr(one, name) is not None]
            return float(np.median(found)) if found else None

        names = ("jump_index", "stall", "straightness", "leakage")
        return {**self.outcome.to_json(), "kept": self.kept} | {name: median(name) for name in names}


def certified(
    generator: Generator,
    classifier: Graph,
    images: Tensor,
    labels: Tensor,
    way: Way,
    analysis: Analysis = Analysis.QUANTITATIVE,
    gap: float = 1e-3,
) -> Certified:
    """Ask whether what is said of ``G(z)`` is said of ``G(z + s v)``, s from 0 to the extent.

    As in the paper, the image that the generator makes of a code is the original: its label is the answer of
    the network, right or wrong.

    Args:
        generator: G with its encoder.
        classifier: takes images in [0, 1] without further preprocessing.
        images: float32, shape (N, C, H, W).
        labels: int64, shape (N,).
        way: direction and extent.
        analysis: of the engine.
        gap: of the robust mass.
    """
    front, _ = imaging(generator.picture, residual=False)
    network = prepend_preprocessing(classifier, generator.picture.output_shape, PLAIN)
    whole = composed(front, network)
    codes = generator.codes(images)
    with torch.no_grad():
        answers = run(whole, codes).argmax(1)
    move = Move(way.vector, 0.0, way.extent)
    paths = [
        (latent_path(code.numpy(), [move]), int(answer)) for code, answer in zip(codes, answers, strict=True)
    ]
    outcome = Outcome.of(asked(prepare(whole), paths, analysis, gap))
    kept_labels = float((answers == labels).double().mean())
    return Certified(outcome, list(_measured(generator, paths, way)), kept_labels)


def _measured(generator: Generator, paths: Sequence[tuple[Any, int]], way: Way) -> Iterator[Measures]:
    for path, _ in paths:
        assert isinstance(path, Segment)
        yield measure(generator.picture, path, way.mask)
