"""Find the direction in which the shipped generator makes digits lean, and write it beside the generator.

``python -m examples.mine_direction [FOLDER]`` from the repository's root reads ``generator.onnx`` and
``encoder.onnx`` of ``examples/digits`` and writes ``leaning.json``: the mean way of the codes of training
digits to those of the same digits slanted by 0.3, found as a job of the mode ``pair`` finds it. The tour
certifies along it. ``examples.train_generator`` writes it as well.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from examples.train_digits import HELD_BACK, digits
from glocert.certification.case import Source
from glocert.certification.mining import finished, run
from glocert.certification.mining_files import MiningCase
from glocert.certification.mining_spec import MiningSpec
from glocert.graph.onnx import read_onnx
from glocert.spec import Mutation, Preprocessing

FILE = "leaning.json"
LEANING = Mutation("shear", 0.0, 0.3)
PAIRS, SAMPLES, BLOCK_BYTES = 400, 32, 2**24


def mine(folder: Path) -> dict[str, Any]:
    """Return the direction of the generator in a folder, and how it was found.

    Returns:
        ``vector`` (of length one), ``extent`` (in latent units: mean length of the ways along it), ``scale``
        (slant per latent unit), ``mutation``, ``pairs``, ``cosine`` (mean, of the ways with the vector), and
        ``generator_sha256``: of the file whose codes these are.
    """
    torch.set_num_threads(1)
    spec = MiningSpec(mode="pair", mutation=LEANING, name="leaning")
    with TemporaryDirectory() as name:
        out = Path(name)
        case = _case(folder, out)
        found = finished(run(case, spec, range(PAIRS), out, samples=SAMPLES, block_bytes=BLOCK_BYTES))
    (direction,) = found["directions"]
    return {
        "mutation": LEANING.to_json(),
        "pairs": found["shared"]["pairs"],
        "cosine": found["shared"]["cosine"],
        "extent": direction["extent"],
        "scale": direction["scale"],
        "vector": direction["vector"],
        "generator_sha256": hashlib.sha256((folder / "generator.onnx").read_bytes()).hexdigest(),
    }


def write(folder: Path) -> Path:
    """Write the direction of the generator in a folder beside it; return the file."""
    path = folder / FILE
    path.write_text(json.dumps(mine(folder), indent=1) + "\n")
    return path


def _case(folder: Path, scratch: Path) -> MiningCase:
    """Lay out the files of a mining: both networks, and digits of the training."""
    plain = Preprocessing()
    for role in ("generator", "encoder"):
        (scratch / role).write_bytes(read_onnx((folder / f"{role}.onnx").read_bytes()).graph.to_bytes())
    np.save(scratch / "inputs.npy", digits().images[HELD_BACK : HELD_BACK + PAIRS].numpy())
    return MiningCase(
        Source(scratch / "generator", plain),
        {"prior": "normal"},
        Source(scratch / "encoder", plain),
        scratch / "inputs.npy",
    )


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "digits"
    print(write(where))
