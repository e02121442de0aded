"""Train the small generator of digits that the demo goes through, with its encoder, and write both as ONNX.

``python -m examples.train_generator [FOLDER]`` from the repository's root writes ``generator.onnx``,
``encoder.onnx``, their card, a picture of samples and a direction (see ``examples.mine_direction``) into
``examples/digits``. It learns from the same digits
as the classifier, as they are and turned by 20 degrees either way: continuity fills the gap. The 360 that the
classifier has not seen are held back.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from examples import mine_direction
from examples.train_digits import HELD_BACK, digits, pixels
from glocert.generators.training.card import card, measured
from glocert.generators.training.families import learner
from glocert.generators.training.pictures import sheet
from glocert.generators.training.training import Training
from glocert.graph.export import to_onnx
from glocert.spec_generator import Continuity, Recipe

SHEET = "generator.png"
RECIPE = Recipe(
    architecture="fc", latent_dim=20, width=192, epochs=60, batch=64, rate=2e-3, last_rate=2e-5,
    augment={"rotation": (-20.0, 20.0)}, endpoints=True,
    continuity=Continuity(bound=1.02, up=0.005, low=0.005, interpolation=0.0, ramp=0.3),
)  # fmt: skip


def train(recipe: Recipe = RECIPE) -> Training:
    """Train on everything that is not held back."""
    torch.set_num_threads(1)
    images = pixels(digits().images)
    run = Training.start(learner(recipe, tuple(images.shape[1:])))
    for _ in run.epochs(images[HELD_BACK:], images[:HELD_BACK]):
        pass
    return run


def write(folder: Path, run: Training) -> float:
    """Write the files; return the mean signal-to-noise ratio of held-back digits in dB."""
    folder.mkdir(parents=True, exist_ok=True)
    for graph, name in zip(run.learner.graphs(), ("generator", "encoder"), strict=True):
        (folder / f"{name}.onnx").write_bytes(to_onnx(graph))
    held = run.variants(pixels(digits().images[:HELD_BACK]), 1)
    found = measured(run.learner, held)
    data = {"name": "scikit-learn's digits", "images": 1797 - HELD_BACK, "held_out": HELD_BACK}
    (folder / "card.json").write_text(json.dumps(card(run, found, data, SHEET), indent=1) + "\n")
    with torch.no_grad():
        rows = run.learner.sheet(held[:10], torch.Generator().manual_seed(run.learner.recipe.seed))
    sheet(rows).save(folder / SHEET)
    mine_direction.write(folder)
    return float(found["reconstruction"]["psnr_db"]["mean"])


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "digits"
    print(f"held-back digits are rebuilt at {write(where, train()):.1f} dB; files in {where}")
