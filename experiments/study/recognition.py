"""Face recognition under orientation, hair, eyes and nose, quantitative; the form of GCert's own table.

``python -m experiments.study.recognition``: faces that are drawn stand in for photographs, and a network that
tells people apart for one that compares two pictures. Directions are mean differences of encoded pairs; those
of hair, eyes and nose are made local.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.study import classifiers, faces
from experiments.study.asking import Classifier
from experiments.study.generators import Generator, Way, certified
from experiments.study.logs import keep, options
from glocert.errors import NoDirection
from glocert.generators.decoder import Decoder
from glocert.generators.directions.local import INSIDE, OUTSIDE, localised
from glocert.generators.jacobian import forms
from glocert.generators.measures import measure
from glocert.paths.latent import Move, latent_path
from glocert.paths.segment import Segment
from glocert.spec_generator import Continuity, Recipe

PEOPLE, LOOKS, PAIRS = 10, 300, 128
ATTRIBUTES: dict[str, tuple[str, float, float, str | None]] = {
    "orientation": ("orientation", 0.0, 0.8, None),
    "hair": ("hair", 0.0, 1.0, "hair"),
    "eyes": ("eyes", 1.0, 0.0, "eyes"),
    "glasses": ("glasses", 0.0, 1.0, "eyes"),
    "nose": ("nose", 0.0, 1.0, "nose"),
}
"""Row -> attribute of a look, from, to, region; without a region the mutation is global."""
PUBLISHED = {"orientation": (97.6, 100.0), "hair": (95.0, 98.1), "eyes": (60.3, 69.7), "nose": (90.3, 95.2)}
"""Lower and upper mean bounds of the paper, percent, on photographs and with other networks."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, train, ask, keep; return 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faces", type=int, default=6000, help="for the generator")
    parser.add_argument("--epochs", type=int, default=40, help="of the generator")
    parser.add_argument("--images", type=int, default=40, help="of each row")
    chosen = options(parser, arguments, data=False)
    random = np.random.default_rng(0)
    people = faces.People.drawn(PEOPLE, random)
    images, labels = _known(people, LOOKS, random)
    test_images, test_labels = _known(people, max(1, chosen.images // PEOPLE), random)
    graph = classifiers.trained(
        "people", lambda: classifiers.faces(PEOPLE), images, labels, folder=chosen.out, epochs=6
    )
    accuracy = Classifier(graph, tuple(images.shape[1:])).accuracy(test_images.numpy(), test_labels.numpy())
    many = _pictures(faces.People.drawn(chosen.faces, random), faces.Look.drawn(chosen.faces, random))
    recipe = Recipe(
        latent_dim=48,
        width=32,
        batch=64,
        rate=2e-3,
        epochs=chosen.epochs,
        continuity=Continuity(up=0.05, low=0.05),
    )
    name = f"faces-{chosen.faces}-{chosen.epochs}-{recipe.latent_dim}"
    generator = Generator.trained(name, recipe, torch.cat([images, many]), chosen.out)
    rows, independency = [], []
    for title in ATTRIBUTES:
        given, way, numbers = _way(generator, title, random)
        independency.append({"attribute": title, **numbers, **_leaks(generator, given, way, test_images)})
        found = certified(generator, graph, test_images, test_labels, way)
        rows.append({"attribute": title, "published": PUBLISHED.get(title), **numbers, **found.to_json()})
        print(rows[-1], flush=True)
    keep(
        "recognition",
        {
            "accuracy": accuracy,
            "psnr": generator.log[-1]["psnr"],
            "faces": chosen.faces,
            "epochs": chosen.epochs,
            "rows": rows,
            "independency": independency,
        },
    )
    return 0


def _pictures(people: faces.People, look: faces.Look) -> Tensor:
    images = torch.from_numpy(faces.pictures(people, look)).permute(0, 3, 1, 2)
    return images.float().div(255).contiguous()


def _known(people: faces.People, looks: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Draw so many looks of every person, people in turn."""
    labels = np.tile(np.arange(PEOPLE), looks)
    return _pictures(people[labels], faces.Look.drawn(len(labels), random)), torch.from_numpy(labels)


def _way(generator: Generator, title: str, random: np.random.Generator) -> tuple[Way, Way, dict[str, Any]]:
    """Return a direction as the pairs give it, and as it is used, with what is known of it."""
    attribute, start, stop, region = ATTRIBUTES[title]
    people, look = faces.People.drawn(PAIRS, random), faces.Look.drawn(PAIRS, random)
    if attribute != "glasses":
        look = look.having(glasses=0.0)
    before = _pictures(people, look.having(**{attribute: start}))
    found = generator.way(before, _pictures(people, look.having(**{attribute: stop})))
    numbers: dict[str, Any] = {"cosine": found.cosine, "extent": found.extent}
    if region is None:
        given = Way(found.vector.numpy(), found.extent)
        return given, given, numbers
    mask = _mask(region)
    given = Way(found.vector.numpy(), found.extent, mask)
    seen = forms(Decoder(generator.picture), generator.codes(before[:32]), {INSIDE: mask, OUTSIDE: ~mask})
    try:
        kept = localised(seen, found.vector)
    except NoDirection:
        return given, given, numbers | {"retention": 0.0}
    return given, replace(given, vector=kept.vector.numpy()), numbers | {"retention": kept.retention}


def _mask(region: str) -> np.ndarray[Any, Any]:
    row, column, rows, columns = faces.region(region)
    mask = np.zeros((1, faces.SIDE, faces.SIDE), dtype=np.bool_)
    mask[:, row : row + rows, column : column + columns] = True
    return np.broadcast_to(mask, (3, faces.SIDE, faces.SIDE))


def _leaks(generator: Generator, given: Way, way: Way, images: Tensor) -> dict[str, float | None]:
    """Return the exact leakage along segments, before and after a direction was made local."""
    if way.mask is None:
        return {"leakage_before": None, "leakage_after": None}
    codes = generator.codes(images[:16]).numpy()
    found: dict[str, float | None] = {}
    for name, one in (("leakage_before", given), ("leakage_after", way)):
        paths = [latent_path(code, [Move(one.vector, 0.0, one.extent)]) for code in codes]
        leaks = [
            measure(generator.picture, path, one.mask).leakage for path in paths if isinstance(path, Segment)
        ]
        found[name] = float(np.median([leak for leak in leaks if leak is not None]))
    return found


if __name__ == "__main__":
    sys.exit(main())
