"""Directions of an autoencoder of MNIST: ``python -m experiments.mnist_directions``.

``--data FOLDER`` holds ``mnist_train_large.npz``: 4,000 of its images, of which 400 are looked at and never
trained on. A small autoencoder learns digits that are turned by up to 20 degrees; then it is asked for
rotations, for the way from 1 to 7, and for what moves the upper half. The figures go to
``experiments/logs/mnist-directions.json``, the picture of one rotation to
``docs/images/direction-rotation.png``. It takes half a minute on one core.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.latency import machine
from experiments.images import samples
from glocert.certification.case import Source
from glocert.certification.mining import finished, run
from glocert.certification.mining_files import MiningCase
from glocert.certification.mining_spec import MiningSpec
from glocert.generators.training.families import learner
from glocert.generators.training.training import Training
from glocert.spec import Preprocessing
from glocert.spec_generator import Recipe

LOG = Path(__file__).parent / "logs" / "mnist-directions.json"
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "direction-rotation.png"
SHAPE, IMAGES, HELD_OUT, LOOKED_AT = (1, 28, 28), 4000, 400, 32
RECIPE = Recipe(
    architecture="fc", latent_dim=16, width=192, epochs=12, batch=64, augment={"rotation": (-20.0, 20.0)}
)
TURN = {"type": "rotation", "from": 0.0, "to": 15.0}
UPPER = {"type": "rectangle", "top": 0, "left": 0, "height": 12, "width": 28}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, ask, keep; return 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found = samples(options.data / "mnist_train_large.npz")
    images, labels = found.images[:IMAGES], found.classes[:IMAGES]
    trained = Training.start(learner(RECIPE, SHAPE))
    psnr = [epoch.psnr for epoch in trained.epochs(images[:-HELD_OUT], images[-HELD_OUT:])][-1]
    with tempfile.TemporaryDirectory() as folder:
        case = _case(trained, images[-HELD_OUT:].numpy(), labels[-HELD_OUT:].numpy(), Path(folder))
        ones = torch.nonzero(labels[-HELD_OUT:] == 1).flatten().tolist()
        asked = _asked(case, ones, Path(folder))
    result = {"machine": machine(), "date": time.strftime("%Y-%m-%d"), "psnr": psnr, "asked": asked}
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text(json.dumps(result, indent=1) + "\n")
    return 0


def _case(trained: Training, images: Any, labels: Any, folder: Path) -> MiningCase:
    for name, graph in zip(("generator", "encoder"), trained.learner.graphs(), strict=True):
        (folder / name).write_bytes(graph.to_bytes())
    np.save(folder / "inputs.npy", images[:, 0])
    np.save(folder / "labels.npy", labels.astype(np.int64))
    plain = Preprocessing()
    return MiningCase(
        Source(folder / "generator", plain), {"prior": "normal"}, Source(folder / "encoder", plain),
        folder / "inputs.npy", folder / "labels.npy",
    )  # fmt: skip


def _asked(case: MiningCase, ones: Sequence[int], folder: Path) -> dict[str, Any]:
    """Ask everything, and keep the picture of the first rotation."""
    turn = {"mode": "derivative", "mutation": TURN}
    asked = {"a one turned": _mined(case, ones[:1], folder, **turn)}
    shutil.copyfile(folder / "direction-0.png", PICTURE)
    way = {
        "mode": "attribute",
        "method": "separator",
        "groups": {"by": "label", "positive": [7], "negative": [1]},
    }
    return asked | {
        "ones turned": _mined(case, ones[:LOOKED_AT], folder, **turn),
        "digits turned": _mined(case, range(LOOKED_AT), folder, **turn),
        "ones and the same turned": _mined(case, ones[:LOOKED_AT], folder, mode="pair", mutation=TURN),
        "from 1 to 7": _mined(case, range(HELD_OUT), folder, **way),
        "upper half": _mined(case, range(LOOKED_AT), folder, mode="local", mask=UPPER, count=3),
        "upper half by ratio": _mined(
            case, range(LOOKED_AT), folder, mode="local", method="ratio", mask=UPPER, count=3
        ),
    }


def _mined(case: MiningCase, indices: Sequence[int], folder: Path, **members: Any) -> dict[str, Any]:
    began = time.perf_counter()
    spec = MiningSpec.from_json(members)
    found = finished(run(case, spec, list(indices), folder, samples=LOOKED_AT, block_bytes=2**24))
    names = ("name", "scale", "extent", "energy", "leakage")
    told = [{name: one[name] for name in names} for one in found["directions"]]
    plain = {name: value for name, value in found["shared"].items() if isinstance(value, float | dict)}
    print(members["mode"], len(indices), json.dumps(plain), flush=True)
    seconds = round(time.perf_counter() - began, 2)
    return {"codes": found["codes"], "directions": told, "shared": plain, "seconds": seconds}


if __name__ == "__main__":
    sys.exit(main())
