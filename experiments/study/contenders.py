"""The kinds of mutations that the study puts side by side, on pictures of 32 x 32 pixels in colour."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import Tensor

from experiments.study import filters
from experiments.study.generators import Generator, Way
from experiments.study.geometric import MUTATIONS
from experiments.study.kinds import Kind, explicit, latent, rendered, styled
from experiments.study.styles import style
from glocert.generators.decoder import Decoder
from glocert.generators.directions.local import INSIDE, OUTSIDE, local_directions
from glocert.generators.directions.overall import global_directions
from glocert.generators.jacobian import EVERYWHERE, forms
from glocert.generators.training.style import painted
from glocert.spec import Mutation
from glocert.spec_generator import Continuity, Recipe

SHAPE = (3, 32, 32)
CODE, WIDTH, MIDDLE = 64, 16, (10, 10, 12, 12)
"""Of the generator; and the region of the local directions: first row, first column, rows, columns."""
EXTENT = 3.0
"""Of a latent direction, in deviations of the codes."""


def contenders(learnt: Tensor, folder: Path, epochs: int) -> Iterator[Kind]:
    """Yield every kind; a style or a generator learns when its turn comes.

    Args:
        learnt: pictures to learn from, float32, shape (N, 3, 32, 32), in [0, 1].
        folder: where the networks are kept.
        epochs: of each.
    """
    for title, mutation in MUTATIONS.items():
        yield explicit("geometric", title, mutation)
    yield explicit("weather", "fog to 0.6", Mutation("fog", 0.0, 0.6))
    yield explicit("weather", "haze to 0.6", Mutation("haze", 0.0, 0.6))
    yield explicit("weather", "darkness to -70/255", Mutation("brightness", 0.0, -70 / 255))
    for name, filtering in {"rain": filters.rain, "snow": filters.snow}.items():
        yield rendered("weather", f"{name}, rendered", filtering)
    for name, filtering in {"ink": filters.ink, "mosaic": filters.mosaic}.items():
        yield rendered("style", f"{name}, rendered", filtering)
    yield from _latents(learnt, folder, epochs)
    yield _cycled(learnt, folder, epochs)
    yield _paired(learnt[: len(learnt) // 4], folder, epochs)


def _paired(learnt: Tensor, folder: Path, epochs: int) -> Kind:
    mutation = {"type": "fog", "from": 0.0, "to": 0.6}
    found = style("families-fog", learnt, folder, epochs=epochs, mutation=mutation)

    def foggy(images: Tensor) -> Tensor:
        return painted(images, mutation, 1.0)

    return styled("weather", "fog, a style network from pairs", found.painter, foggy)


def _cycled(learnt: Tensor, folder: Path, epochs: int) -> Kind:
    """Learn from half of the pictures, and from the other half behind the filter: none is in both."""
    half = len(learnt) // 2
    inked = filters.ink(learnt[half:])
    found = style("families-ink", learnt[:half], folder, epochs=epochs, targets=inked)
    return styled("style", "ink, a style network by cycles", found.painter, filters.ink)


def _latents(learnt: Tensor, folder: Path, epochs: int) -> Iterator[Kind]:
    recipe = Recipe(
        latent_dim=CODE, width=WIDTH, batch=64, rate=2e-3, last_rate=2e-4, epochs=epochs,
        continuity=Continuity(up=0.1, low=0.1, interpolation=0.1),
    )  # fmt: skip
    generator = Generator.trained(f"families-cifar-{epochs}", recipe, learnt, folder)
    row, column, height, width = MIDDLE
    mask = np.zeros(SHAPE, dtype=np.bool_)
    mask[:, row : row + height, column : column + width] = True
    codes = generator.codes(learnt[:32])
    seen = forms(Decoder(generator.picture), codes, {INSIDE: mask, OUTSIDE: ~mask})
    local = local_directions(seen, 2, method="ratio").vectors
    for number, vector in enumerate(local, 1):
        way = Way(vector.numpy(), EXTENT, mask)
        yield latent("local", f"middle 12 x 12, direction {number}", generator, way)
    for number, vector in enumerate(global_directions(seen.of[EVERYWHERE], 2).vectors, 1):
        yield latent("global", f"direction {number}", generator, Way(vector.numpy(), EXTENT))
