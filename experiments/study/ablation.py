"""Continuity with and without each regulariser, measured and seen.

``python -m experiments.study.ablation``: autoencoders of rectangles that are moved and stretched, and of
rectangles that are turned and stretched. Along segments between the codes of two pictures that differ by one
mutation, the smallest rectangle around what is seen is followed: a translation moves its centre and nothing
else, a rotation turns it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
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

BAND = Continuity(bound=1.05, up=0.05, low=0.05, interpolation=0.1)
VARIANTS = {
    "none": replace(BAND, up=0.0, low=0.0, interpolation=0.0),
    "interpolation only": replace(BAND, up=0.0, low=0.0),
    "upper side only": replace(BAND, low=0.0, interpolation=0.0),
    "lower side only": replace(BAND, up=0.0, interpolation=0.0),
    "all": BAND,
}
"""Regularisers that are on -> the terms."""
TURNED = ("none", "all")
"""Those that rectangles are turned with."""
RECIPE = Recipe(architecture="fc", latent_dim=8, width=256, batch=64, rate=2e-3, codes="scaled")
STEPS = 33
_STILL = 0.25
"""Pixels, or degrees, by which something may go back, and still goes forward."""
Follow = Callable[[Sequence[Rectangle]], NDArray[np.float64]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, train, measure, keep; return 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=40)
    chosen = options(parser, arguments, data=False)
    moved = _tensor(rectangles.drawn(chosen.images, np.random.default_rng(0)))
    turned = _tensor(rectangles.drawn(chosen.images, np.random.default_rng(0), turned=True, moved=0))
    rows = [_row("moved", moved, title, "scaled", chosen) for title in VARIANTS]
    rows.append(_row("moved", moved, "all", "white", chosen))
    spun = [_row("turned", turned, title, "scaled", chosen) for title in TURNED]
    said = {name: getattr(chosen, name) for name in ("images", "epochs", "pairs")}
    keep("ablation", {**said, "recipe": RECIPE.to_json(), "band": BAND.bound, "rows": rows, "turned": spun})
    return 0


def _row(name: str, images: Tensor, terms: str, codes: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Train with some terms, and return what is measured and seen."""
    recipe = replace(RECIPE, epochs=chosen.epochs, continuity=VARIANTS[terms], codes=codes)
    file = f"{name}-{terms.replace(' ', '-')}-{codes}-{chosen.images}-{chosen.epochs}"
    generator = Generator.trained(file, recipe, images, chosen.out)
    row = {"terms": terms, "codes": codes, "psnr": generator.log[-1]["psnr"]} | _measured(generator, images)
    if name == "turned":
        row["rotation"] = _followed(generator, _turned(chosen.pairs), _angles)
    else:
        row["translation"] = _followed(generator, _moved(chosen.pairs), _columns)
        row["scaling"] = _followed(generator, _grown(chosen.pairs), _sizes)
    print(row, flush=True)
    return row


def _tensor(pictures: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pictures).float().div(255)[:, None]


def _measured(generator: Generator, images: Tensor) -> dict[str, Any]:
    """Measure a generator over its prior: normal codes with the spreads of those of the images."""
    draw = torch.Generator().manual_seed(0)
    spreads = generator.codes(images).std(0)
    codes = (torch.randn(SAMPLES, len(spreads), generator=draw) * spreads).float()
    found = profile(lambda some: run(generator.picture, some).clamp(0, 1), everywhere(codes, draw), draw)
    names = ("scale", "upper", "lower", "residual", "singular_values")
    return {"spreads": spreads.tolist()} | {name: found[name] for name in names}


def _moved(count: int) -> tuple[Tensor, Tensor]:
    """Return pictures, and the same moved to the right by 12 pixels."""
    y, width, height, still = _shapes(count)
    left, right = np.full(count, 10.0), np.full(count, 22.0)
    return _drawn(left, y, width, height, still), _drawn(right, y, width, height, still)


def _grown(count: int) -> tuple[Tensor, Tensor]:
    """Return pictures, and the same grown by half along both axes."""
    y, width, height, still = _shapes(count)
    middle = np.full(count, 16.0)
    return _drawn(middle, y, width, height, still), _drawn(middle, y, 1.5 * width, 1.5 * height, still)


def _turned(count: int) -> tuple[Tensor, Tensor]:
    """Return pictures of rectangles that are no squares, and the same turned by 30 degrees."""
    random = np.random.default_rng(1)
    middle, angle = np.full(count, 16.0), random.uniform(-60.0, 30.0, count)
    width, height = random.uniform(18.0, 22.0, count), random.uniform(9.0, 12.0, count)
    before, after = (_drawn(middle, middle, width, height, angle + by) for by in (0.0, 30.0))
    return before, after


def _shapes(count: int) -> tuple[NDArray[np.float64], ...]:
    """Return rows of the centre, widths, heights, and angles of zero."""
    random = np.random.default_rng(1)
    y = random.uniform(12.0, 20.0, count)
    width, height = random.uniform(9.0, 14.0, count), random.uniform(9.0, 14.0, count)
    return y, width, height, np.zeros(count)


def _drawn(*places: NDArray[np.float64]) -> Tensor:
    return _tensor(rectangles.pictures(*places))


def _columns(found: Sequence[Rectangle]) -> NDArray[np.float64]:
    return np.array([one.x for one in found])


def _sizes(found: Sequence[Rectangle]) -> NDArray[np.float64]:
    return np.sqrt([one.area for one in found])


def _angles(found: Sequence[Rectangle]) -> NDArray[np.float64]:
    return rectangles.unwrapped([one.angle for one in found])


def _followed(generator: Generator, ends: tuple[Tensor, Tensor], goes: Follow) -> dict[str, float]:
    """Return means over pairs of what is seen and measured along their segments."""
    starts, stops = (generator.codes(part).numpy() for part in ends)
    rows = [_path(generator, start, stop, goes) for start, stop in zip(starts, stops, strict=True)]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _path(generator: Generator, start: Any, stop: Any, goes: Follow) -> dict[str, float]:
    """Return whether what should go goes forward all the way, and by how much the rest changes at most."""
    shares = torch.linspace(0, 1, STEPS, dtype=torch.float64)[:, None]
    images = generator.images(torch.from_numpy(start) + shares * torch.from_numpy(stop - start))
    found = [rectangles.enclosing(image[0].numpy()) for image in images]
    measures = measure(generator.picture, Segment(start, stop, np.zeros_like(start)))
    whole: list[Rectangle] = [one for one in found if one is not None]
    steps = np.diff(goes(whole)) if len(whole) == STEPS else np.array([-np.inf])
    return {
        "forward": float((steps > -_STILL).all()),
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
