"""The files of a job ``direction-mining``, opened: the generator, its prior, and codes to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.certification.case import Source
from glocert.errors import InvalidSpec
from glocert.generators.decoder import Decoder
from glocert.generators.encoding import Encoder
from glocert.generators.prior import Prior
from glocert.graph.ir import Graph
from glocert.paths.generated import picturing
from glocert.paths.items import Float32, Items
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.spec_latent import EncodingSpec

_IMAGE = 3
_BLOCK_BYTES = 2**24
"""Blocks of this size stay in the cache: twice as fast as larger ones."""


@dataclass(frozen=True, slots=True)
class MiningCase:
    """Where the parts of a job are.

    Attributes:
        generator: code -> image.
        card: what is known of the generator; ``prior`` and ``image`` are looked at.
        encoder: image -> code; ``None`` where codes are looked for.
        inputs: an ``.npy`` file, first axis = item; ``None`` where codes are drawn.
        labels: of the items, or ``None``.
    """

    generator: Source
    card: Mapping[str, Any]
    encoder: Source | None = None
    inputs: Path | None = None
    labels: Path | None = None


class Quarry:
    """Generator, prior and items.

    Args:
        case: the files.
        block_bytes: what one block of activations may take.

    Attributes:
        decoder: the generator.
        prior: of its codes.
        domain: least and largest value of an image.

    Raises:
        InvalidSpec: generator, encoder and data do not fit.
    """

    def __init__(self, case: MiningCase, block_bytes: int) -> None:
        self._case = case
        generator = case.generator.read()
        self.prior = Prior.of(case.card)
        self._items = _items(case, generator)
        shape = _image_shape(case, generator, self._items)
        self._picture = picturing(generator, shape, case.generator.preprocessing)
        self.decoder = Decoder(self._picture, min(block_bytes, _BLOCK_BYTES))
        self.domain = case.generator.preprocessing.lower, case.generator.preprocessing.upper

    @property
    def has_items(self) -> bool:
        """Whether codes can be those of inputs."""
        return self._items is not None

    def drawn(self, count: int, random: np.random.Generator) -> Tensor:
        """Return codes of the prior, float64, shape (count, dimension)."""
        return torch.from_numpy(self.prior.sample(count, self.decoder.dimension, random))

    def items(self, indices: Sequence[int]) -> list[Float32]:
        """Return images of the data set."""
        assert self._items is not None
        return [self._items[index] for index in indices]

    def labels(self, indices: Sequence[int]) -> NDArray[np.int64]:
        """Return labels of the data set.

        Raises:
            InvalidSpec: it has none.
        """
        if self._case.labels is None:
            raise InvalidSpec("the data set has no labels")
        stored = np.load(self._case.labels, mmap_mode="r", allow_pickle=False)
        return np.array(stored[list(indices)], dtype=np.int64)

    def codes(self, images: Sequence[Float32], steps: int, seed: int) -> tuple[Tensor, float]:
        """Return the codes of images, float64, shape (n, dimension), and their mean PSNR in decibels.

        Args:
            images: of the domain.
            steps: of refining; 0 takes what the encoder says.
            seed: of what is drawn on the way.

        Raises:
            InvalidSpec: the encoder does not fit.
        """
        proposes = self._proposing()
        # what an encoder says is taken as it is: other starts are of use where they are refined only
        spec = EncodingSpec(steps=steps, seed=seed)
        if proposes is not None and steps == 0:
            spec = replace(spec, restarts=1)
        encoder = Encoder(self._picture, proposes, self.prior, self.domain, spec)
        found = [encoder.encode(image) for image in images]
        codes = torch.from_numpy(np.stack([one.code for one in found]))
        if not torch.isfinite(codes).all():
            raise InvalidSpec("the encoder returns NaN or infinity")
        return codes, float(np.mean([one.psnr for one in found]))

    def _proposing(self) -> Graph | None:
        source = self._case.encoder
        if source is None:
            return None
        encoder = prepend_preprocessing(source.read(), self.decoder.shape, source.preprocessing)
        if prod(encoder.output_shape) != self.decoder.dimension:
            raise InvalidSpec(
                f"the encoder returns {prod(encoder.output_shape)} numbers, the generator takes "
                f"{self.decoder.dimension}"
            )
        return encoder


def _items(case: MiningCase, generator: Graph) -> Items | None:
    if case.inputs is None:
        return None
    stored = np.load(case.inputs, mmap_mode="r", allow_pickle=False)
    return Items(stored, generator.output_shape, case.generator.preprocessing)


def _image_shape(case: MiningCase, generator: Graph, items: Items | None) -> tuple[int, ...]:
    """Return the shape of an image: as the data, the card or the generator itself has it, in this order."""
    if items is not None:
        return items.shape
    told = case.card.get("image")
    if told:
        return tuple(map(int, told))
    shape = generator.output_shape
    if len(shape) == _IMAGE and case.generator.preprocessing.layout == "NHWC":
        return (shape[2], *shape[:2])
    if len(shape) == _IMAGE - 1:
        return (1, *shape)
    return shape
