"""Which mutations a generator has, by what it learned from: augmentation, its ends alone, resolution.

``python -m experiments.study.enabled --data FOLDER``: small autoencoders of digits, each with images varied
by one mutation, over its whole range or at both ends only; digits and drawn faces at several resolutions.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.images import samples
from experiments.study import faces
from experiments.study.explained import (
    explained,
    halfway,
    mutants,
    reached,
    rebuilding,
    resized,
    velocities,
)
from experiments.study.generators import Generator
from experiments.study.logs import keep, options
from glocert.generators.directions.velocity import Motion, motion
from glocert.spec import Mutation
from glocert.spec_generator import Recipe

EXTENTS: Mapping[str, tuple[Motion, float]] = {
    "rotation": (motion(Mutation("rotation", 0.0, 1.0)), 30.0),
    "translation": (motion(Mutation("translation", 0.0, 1.0, {"x": 1.0, "y": 0.0})), 4.0),
    "scaling": (motion(Mutation("scaling", 1.0, 2.0)), 0.3),
    "brightness": (motion(Mutation("brightness", 0.0, 1.0)), 0.3),
}
"""Mutation -> how it goes, and how far from neutral the augmentation reaches, to both sides."""
PLAIN, ENDS, WHOLE = "as they are", "at both ends", "over the range"
FALLEN = 3.0
"""dB below the plain digits of the plain generator: the least at which a mutant counts as rebuilt."""
CODE, WIDTH, JACOBIANS = 32, 12, 48
ATTRIBUTES = ("orientation", "hair", "eyes", "nose", "glasses")
LONGER = 3
"""As many epochs for faces, of which small features are learned last, as for digits."""
_AROUND = 0.2
"""Half-width of the difference that is an attribute's velocity."""
_SIDES = {"digits": (14, 28), "faces": (8, 16, 32)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, measure, keep; return 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=5000, help="to learn from")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--tests", type=int, default=200, help="digits that are measured")
    chosen = options(parser, arguments)
    learnt = samples(chosen.data / "mnist_train_large.npz").images[: chosen.images]
    test = samples(chosen.data / "mnist_test.npz").images[: chosen.tests]
    train = _trainer(chosen)
    digits = list(_digits(train, learnt, test))
    resolution = [*_small_digits(train, learnt, test), *_small_faces(train, chosen.images)]
    keep(
        "enabled",
        {
            "images": chosen.images, "epochs": chosen.epochs, "tests": chosen.tests,
            "extents": {name: extent for name, (_, extent) in EXTENTS.items()},
            "fallen": FALLEN, "longer": LONGER,
            "rows": digits, "resolution": resolution,
        },
    )  # fmt: skip
    return 0


Train = Callable[..., Generator]


def _trainer(chosen: argparse.Namespace) -> Train:
    """Return what trains an autoencoder of images, in the same way whatever they are."""

    def train(name: str, images: Tensor, times: int = 1, **recipe: Any) -> Generator:
        epochs = times * chosen.epochs
        whole = Recipe(
            latent_dim=CODE, width=WIDTH, batch=64, rate=2e-3, last_rate=2e-4, epochs=epochs, **recipe
        )
        return Generator.trained(f"enabled-{name}-{len(images)}-{epochs}", whole, images, chosen.out)

    return train


def ranges(name: str) -> tuple[float, float]:
    """Return the range of an augmentation."""
    way, extent = EXTENTS[name]
    return way.neutral - extent, way.neutral + extent


def _digits(train: Train, learnt: Tensor, test: Tensor) -> list[dict[str, Any]]:
    """Measure every mutation in generators of every augmentation; the plain one first."""
    plain = train("plain", learnt)
    floor = rebuilding(plain, test) - FALLEN
    rows = [_row("none", PLAIN, plain, test, floor)]
    for name in EXTENTS:
        for title, ends in ((ENDS, True), (WHOLE, False)):
            generator = train(
                f"{name}{'-ends' if ends else ''}", learnt, augment={name: ranges(name)}, endpoints=ends
            )
            rows.append(_row(name, title, generator, test, floor))
    return rows


def _row(augmented: str, how: str, generator: Generator, test: Tensor, floor: float) -> dict[str, Any]:
    found = {
        name: {
            "explained": share(generator, way, test, 0.0),
            "explained_halfway": share(generator, way, test, extent / 2),
            "reached": reached(generator, way, test, extent, floor),
            **halfway(generator, way, test, extent),
        }
        for name, (way, extent) in EXTENTS.items()
    }
    row = {"augmented": augmented, "how": how, "psnr": rebuilding(generator, test), "mutations": found}
    print(row, flush=True)
    return row


def share(generator: Generator, way: Motion, test: Tensor, change: float) -> float:
    """Return the share of a mutation that a generator explains at digits mutated by ``change``."""
    some = test[:JACOBIANS]
    codes = generator.codes(_fitting(generator, mutants(way, some, change)))
    return explained(generator, codes, velocities(way, some, change))


def _fitting(generator: Generator, images: Tensor) -> Tensor:
    return resized(images, generator.picture.output_shape[-1])


def _small_digits(train: Train, learnt: Tensor, test: Tensor) -> list[dict[str, Any]]:
    rows = []
    for side in _SIDES["digits"]:
        whole = side == learnt.shape[-1]
        generator = train("plain" if whole else f"plain-{side}", resized(learnt, side))
        own = resized(test[:JACOBIANS].double(), side)
        shares = {}
        for name, (way, _) in EXTENTS.items():
            seen = velocities(way, test[:JACOBIANS], 0.0)
            codes = generator.codes(own)
            shares[name] = _both(generator, codes, seen)
        rows.append({"data": "digits", "side": side, "psnr": generator.log[-1]["psnr"], "shares": shares})
        print(rows[-1], flush=True)
    return rows


def _both(generator: Generator, codes: Tensor, seen: Tensor) -> dict[str, float]:
    """Return the share of a mutation as the generator's resolution shows it, and as the finest one does."""
    own = _fitting(generator, seen)
    return {"own": explained(generator, codes, own), "finest": explained(generator, codes, seen)}


def _small_faces(train: Train, count: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(0)
    learnt = _pictures(faces.People.drawn(count, random), faces.Look.drawn(count, random))
    people, look = faces.People.drawn(JACOBIANS, random), faces.Look.drawn(JACOBIANS, random)
    rows = []
    for side in _SIDES["faces"]:
        generator = train(f"faces-{side}", resized(learnt, side), LONGER)
        shares = {}
        for name in ATTRIBUTES:
            middle = 0.0 if name == "orientation" else 0.5
            before, at, after = (
                _pictures(people, look.having(**{name: middle + step})).double()
                for step in (-_AROUND, 0.0, _AROUND)
            )
            codes = generator.codes(resized(at, side))
            shares[name] = _both(generator, codes, (after - before) / (2 * _AROUND))
        rows.append({"data": "faces", "side": side, "psnr": generator.log[-1]["psnr"], "shares": shares})
        print(rows[-1], flush=True)
    return rows


def _pictures(people: faces.People, look: faces.Look) -> Tensor:
    images = torch.from_numpy(faces.pictures(people, look)).permute(0, 3, 1, 2)
    return images.float().div(255).contiguous()


if __name__ == "__main__":
    sys.exit(main())
