"""Latent rotation beside true rotation: ``python -m experiments.study.turning``, see ``--help``.

An autoencoder learns digits turned by up to 30 degrees either way, and that turning is a straight way between
codes. A test digit and the same digit turned by 30 degrees are encoded: the segment between the codes is the
latent rotation. It is compared with the true one picture by picture (angle of the rectangle around the
digit, decibels) and verdict by verdict. Only digits that the gates let pass count: made to 20 dB, label
kept, at both ends.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.images import samples
from experiments.study.asking import PLAIN, Classifier, Outcome, asked
from experiments.study.courses import Course, agreement
from experiments.study.generators import Generator
from experiments.study.logs import keep, options
from glocert.engine import prepare
from glocert.generators.quality import psnr
from glocert.generators.training.augmentation import mutated
from glocert.graph.compose import composed
from glocert.graph.onnx import read_onnx
from glocert.paths.generated import imaging
from glocert.paths.items import Items
from glocert.paths.latent import Move, latent_path
from glocert.paths.request import path
from glocert.pictures import rows
from glocert.report import SegmentReport
from glocert.spec import Analysis, Mutation
from glocert.spec_generator import Continuity, Recipe

SHAPE, ANGLE, STEPS, GATE = (1, 28, 28), 30.0, 11, 20.0
"""Image, degrees, pictures of a course, and decibels that a digit must be made to."""
TOLERANCES = (0.0, 0.5, 1.0)
"""Degrees that an angle may go back in one step: pixels are coarse."""
RECIPE = Recipe(
    architecture="skip", codes="scaled", latent_dim=48, width=16, batch=64, rate=3e-3, last_rate=3e-5,
    straight=1.0, augment={"rotation": (-ANGLE, ANGLE)},
    continuity=Continuity(bound=1.02, up=0.05, low=0.05, interpolation=0.0, ramp=0.15),
)  # fmt: skip
PICTURE = Path(__file__).parents[2] / "docs" / "images" / "study-turning.png"
SHOWN = 3
Answers = dict[str, list[tuple[SegmentReport, float]]]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Digits that pass the gates, and what the generator makes of turning them.

    Attributes:
        labels: int64, shape (N,).
        starts: codes of the digits, float64, shape (N, d).
        stops: codes of the digits turned, same shape.
        true: pictures of the true rotation, shape (N, STEPS, height, width).
        latent: pictures of the latent one, same shape.
    """

    labels: Tensor
    starts: Tensor
    stops: Tensor
    true: Tensor
    latent: Tensor


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, follow, ask, keep; return 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--classifier", type=Path, required=True, help="ONNX, of MNIST digits in [0, 1]")
    parser.add_argument("--images", type=int, default=100, help="test images")
    parser.add_argument("--epochs", type=int, default=24, help="of the generator")
    chosen = options(parser, arguments)
    classifier = Classifier(read_onnx(chosen.classifier.read_bytes()).graph, SHAPE)
    test = samples(chosen.data / "mnist_test.npz")
    straight = {}
    for name, weight in (("straight", RECIPE.straight), ("free", 0.0)):
        recipe = replace(RECIPE, epochs=chosen.epochs, straight=weight)
        learnt = samples(chosen.data / "mnist_train_large.npz").images
        generator = Generator.trained(f"turning-{name}-{chosen.epochs}", recipe, learnt, chosen.out)
        pairs = _encoded(generator, classifier, test.images[: chosen.images], test.classes[: chosen.images])
        straight[name] = {"psnr": generator.log[-1]["psnr"], **_followed(pairs)}
        print(name, straight[name], flush=True)
        if name == "straight":
            _draw(pairs)
            verdicts = _verdicts(_answers(generator, classifier, pairs))
    about = {name: getattr(chosen, name) for name in ("images", "epochs")}
    about |= {"angle": ANGLE, "gate": GATE, "classifier": chosen.classifier.name}
    keep("turning", {**about, "ways": straight, "verdicts": verdicts})
    return 0


def _turned(images: Tensor, angle: float) -> Tensor:
    return mutated(images, "rotation", torch.full((len(images),), angle))


def _encoded(generator: Generator, classifier: Classifier, images: Tensor, labels: Tensor) -> Pairs:
    """Encode digits and the same digits turned; keep those whose both ends pass the gates."""
    turned = _turned(images, ANGLE)
    starts, stops = generator.codes(images), generator.codes(turned)
    good = torch.ones(len(images), dtype=torch.bool)
    for codes, wanted in ((starts, images), (stops, turned)):
        made = generator.images(codes).float()
        said, meant = (torch.from_numpy(classifier.predictions(part.numpy())) for part in (made, wanted))
        good &= (psnr(made, wanted) >= GATE) & (said == meant)
    good &= torch.from_numpy(classifier.predictions(images.numpy())) == labels
    if not bool(good.any()):
        raise SystemExit("No digit passes the gates: the generator needs more epochs.")
    shares = torch.linspace(0, 1, STEPS, dtype=torch.float64)
    true = torch.stack([_turned(images[good], ANGLE * float(share)) for share in shares], 1)
    codes = torch.lerp(starts[good][:, None], stops[good][:, None], shares[:, None])
    latent = generator.images(codes.flatten(0, 1)).unflatten(0, codes.shape[:2])
    return Pairs(labels[good], starts[good], stops[good], true[:, :, 0].double(), latent[:, :, 0])


def _followed(pairs: Pairs) -> dict[str, Any]:
    """Return how both rotations turn, and how far their pictures are from each other."""
    rotations = {"true": pairs.true, "latent": pairs.latent}
    courses = {name: [Course.of_all(row.numpy()) for row in part] for name, part in rotations.items()}
    smallest = {name: [Course.of_smallest(row.numpy()) for row in part] for name, part in rotations.items()}
    apart = psnr(pairs.latent.flatten(0, 1)[:, None], pairs.true.flatten(0, 1)[:, None])
    by_step = apart.view(len(pairs.labels), STEPS).mean(0)
    return {
        "digits": len(pairs.labels),
        "forward": {name: _forward(found) for name, found in courses.items()},
        "forward_smallest": {name: _forward(found) for name, found in smallest.items()},
        "turned": {name: float(np.median([one.turned for one in found])) for name, found in courses.items()},
        "apart_degrees": agreement(courses["true"], courses["latent"]),
        "psnr_by_step": [round(float(one), 2) for one in by_step],
    }


def _forward(courses: Sequence[Course]) -> dict[str, float]:
    """Return the share of courses that turn forward all the way, by tolerance."""
    return {f"{most:g}": float(np.mean([one.forward(most) for one in courses])) for most in TOLERANCES}


def _verdicts(answers: Answers) -> dict[str, Any]:
    """Return what came of both rotations, and how they compare."""
    return {name: Outcome.of(found).to_json() for name, found in answers.items()} | _compared(answers)


def _answers(generator: Generator, classifier: Classifier, pairs: Pairs) -> Answers:
    """Ask about every digit twice: turned by the formula, and along its latent segment."""
    front, _ = imaging(generator.picture, residual=False)
    whole = prepare(composed(front, classifier.graph))
    images = pairs.true[:, 0, None].float().numpy()
    items = Items(images, SHAPE, PLAIN)
    labels = pairs.labels.tolist()
    turning = Mutation("rotation", 0.0, ANGLE)
    true = [(path(turning, image, items=items), label) for image, label in zip(images, labels, strict=True)]
    moves = [
        latent_path(start.numpy(), [_move(start, stop)])
        for start, stop in zip(pairs.starts, pairs.stops, strict=True)
    ]
    return {
        "true": asked(classifier.program, true, Analysis.QUANTITATIVE),
        "latent": asked(whole, list(zip(moves, labels, strict=True)), Analysis.QUANTITATIVE),
    }


def _move(start: Tensor, stop: Tensor) -> Move:
    change = (stop - start).numpy()
    length = float(np.linalg.norm(change))
    return Move(change / length, 0.0, length)


def _compared(answers: Answers) -> dict[str, Any]:
    true, latent = ([report for report, _ in answers[name]] for name in ("true", "latent"))
    counts: dict[str, int] = {}
    for one, other in zip(true, latent, strict=True):
        name = f"{one.verdict.value}/{other.verdict.value}"
        counts[name] = counts.get(name, 0) + 1
    masses = [np.array([report.robust_mass.lower for report in part]) for part in (true, latent)]
    gaps = [r.robust_mass.upper - r.robust_mass.lower for part in (true, latent) for r in part]
    return {
        "both": counts,
        "mass_apart": float(np.abs(masses[0] - masses[1]).mean()),
        "largest_gap": float(max(gaps)),
    }


def _draw(pairs: Pairs) -> None:
    """Keep a picture of some digits of different classes: true above latent."""
    shown: list[tuple[str, list[Any]]] = []
    seen: set[int] = set()
    for place, label in enumerate(pairs.labels.tolist()):
        if label not in seen and len(seen) < SHOWN:
            seen.add(label)
            for name, part in (("true", pairs.true), ("latent", pairs.latent)):
                shown.append((f"{name} rotation, 0 to {ANGLE:g} degrees", list(part[place][:, None].numpy())))
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    rows(shown).save(PICTURE, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
