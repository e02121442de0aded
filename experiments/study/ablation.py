"""Continuity with and without each regulariser, measured and seen.

``python -m experiments.study.ablation``: autoencoders of rectangles that are moved and stretched, and of
rectangles that are also turned. Along segments between the codes of two pictures that differ by one mutation,
the smallest rectangle around what is seen is followed: a translation moves its centre and nothing else.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.study import rectangles
from experiments.study.generators import Generator
from experiments.study.logs import keep, options
from experiments.study.rectangles import Rectangle
from glocert.generators.measures import measure
from glocert.generators.profile import SAMPLES, everywhere, profile
from glocert.graph.run import run
from glocert.paths.segment import Segment
from glocert.spec_generator import Continuity, Recipe

VARIANTS = {
    "none": Continuity(up=0.0, low=0.0, interpolation=0.0),
    "interpolation only": Continuity(up=0.0, low=0.0),
    "upper side only": Continuity(low=0.0, interpolation=0.0),
    "lower side only": Continuity(up=0.0, interpolation=0.0),
    "all": Continuity(),
}
"""Regularisers that are on -> the terms."""
STEPS, CODE, WIDTH = 33, 8, 8
_STILL = 0.25
"""Pixels by which a centre may go back, and still goes forward."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, train, measure, keep; return 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=40)
    chosen = options(parser, arguments, data=False)
    random = np.random.default_rng(0)
    images = _tensor(rectangles.drawn(chosen.images, random))
    rows = []
    for title, terms in VARIANTS.items():
        recipe = Recipe(latent_dim=CODE, width=WIDTH, epochs=chosen.epochs, continuity=terms)
        name = f"rectangles-{title.replace(' ', '-')}-{chosen.images}-{chosen.epochs}"
        generator = Generator.trained(name, recipe, images, chosen.out)
        rows.append({"terms": title, "psnr": generator.log[-1]["psnr"], **_seen(generator, chosen.pairs)})
        print(rows[-1], flush=True)
    keep("ablation", {"images": chosen.images, "epochs": chosen.epochs, "pairs": chosen.pairs, "rows": rows})
    return 0


def _tensor(pictures: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pictures).float().div(255)[:, None]


def _seen(generator: Generator, pairs: int) -> dict[str, Any]:
    """Measure a generator over its prior, and along paths of one mutation."""
    draw = torch.Generator().manual_seed(0)
    codes = torch.randn(SAMPLES, CODE, generator=draw)
    found = profile(lambda some: run(generator.picture, some).clamp(0, 1), everywhere(codes, draw), draw)
    continuity = {name: found[name] for name in ("upper", "lower", "residual", "singular_values")}
    return {**continuity, "translation": _translated(generator, pairs), "scaling": _scaled(generator, pairs)}


def _translated(generator: Generator, pairs: int) -> dict[str, float]:
    """Follow pictures that move by 12 pixels: the centre goes, area and aspect stay."""
    return _followed(generator, _pairs(pairs, moved=True), lambda one: one.x)


def _scaled(generator: Generator, pairs: int) -> dict[str, float]:
    """Follow pictures that grow by half along both axes: the area goes, the centre stays."""
    return _followed(generator, _pairs(pairs, moved=False), lambda one: one.area**0.5)


def _pairs(count: int, *, moved: bool) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(1)
    y = random.uniform(12.0, 20.0, count)
    side, other = random.uniform(9.0, 14.0, count), random.uniform(9.0, 14.0, count)
    still = np.zeros(count)
    starts = rectangles.pictures(np.full(count, 10.0 if moved else 16.0), y, side, other, still)
    grown = 1.0 if moved else 1.5
    stops = rectangles.pictures(
        np.full(count, 22.0 if moved else 16.0), y, grown * side, grown * other, still
    )
    return _tensor(starts), _tensor(stops)


def _followed(generator: Generator, ends: tuple[Tensor, Tensor], goes: Any) -> dict[str, float]:
    starts, stops = (generator.codes(part).numpy() for part in ends)
    rows = [_path(generator, start, stop, goes) for start, stop in zip(starts, stops, strict=True)]
    names = ("forward", "area", "aspect", "jump_index", "stall", "straightness")
    return {name: float(np.mean([row[name] for row in rows])) for name in names}


def _path(generator: Generator, start: Any, stop: Any, goes: Any) -> dict[str, float]:
    """Return whether what should go goes forward all the way, and by how much the rest changes at most."""
    shares = torch.linspace(0, 1, STEPS, dtype=torch.float64)[:, None]
    images = generator.images(torch.from_numpy(start) + shares * torch.from_numpy(stop - start))
    found = [rectangles.enclosing(image[0].numpy()) for image in images]
    measures = measure(generator.picture, Segment(start, stop, np.zeros_like(start)))
    whole: list[Rectangle] = [one for one in found if one is not None]
    forward = len(whole) == STEPS and bool((np.diff([goes(one) for one in whole]) > -_STILL).all())
    return {
        "forward": float(forward),
        "area": _spread([one.area for one in whole]),
        "aspect": _spread([one.aspect for one in whole]),
        "jump_index": measures.jump_index or 0.0,
        "stall": measures.stall,
        "straightness": measures.straightness or 0.0,
    }


def _spread(values: Sequence[float]) -> float:
    """Return the largest deviation from the median, as a share of it; 1 where nothing was seen."""
    if not values:
        return 1.0
    middle = float(np.median(values))
    return float(np.max(np.abs(np.asarray(values) - middle))) / middle


if __name__ == "__main__":
    sys.exit(main())
