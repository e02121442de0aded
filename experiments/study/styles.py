"""Style networks that the study trains: from pairs, or by cycles between two sets of pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from experiments.study.kept import kept
from glocert.generators.training.families import learner
from glocert.generators.training.training import Training
from glocert.graph.ir import Graph
from glocert.spec_generator import Continuity, Recipe

_HELD_OUT = 64


@dataclass(frozen=True, slots=True, eq=False)
class Style:
    """A trained style.

    Attributes:
        painter: row of a picture and a strength -> picture.
        log: what its epochs did.
    """

    painter: Graph
    log: Sequence[dict[str, Any]]


def style(
    name: str,
    images: Tensor,
    folder: Path,
    *,
    epochs: int,
    mutation: Mapping[str, Any] | None = None,
    targets: Tensor | None = None,
) -> Style:
    """Train a style, or read what the same call made before; the last pictures are held out.

    Args:
        name: of the files.
        images: without the style, float32, shape (N, C, H, W), in [0, 1].
        folder: where the files are kept.
        epochs: over the pictures.
        mutation: that full strength makes, as JSON; or
        targets: pictures with the style, which belong to none of the others.
    """
    recipe = Recipe(
        family="style", architecture="residual", width=8, batch=32, epochs=epochs, rate=1e-3, last_rate=1e-4,
        cycle=5.0, critic_steps=2, mutation=mutation,
        continuity=Continuity(up=0.1, low=0.1, interpolation=0.1),
    )  # fmt: skip
    log = folder / f"{name}-{epochs}.json"

    def make() -> bytes:
        run_ = Training.start(learner(recipe, tuple(images.shape[1:]), targets))
        for epoch in run_.epochs(images[:-_HELD_OUT], images[-_HELD_OUT:]):
            print(f"{name} {epoch.number} {epoch.parts} {epoch.psnr} {epoch.seconds:.1f} s", flush=True)
        log.write_text(json.dumps([epoch.to_json() for epoch in run_.log]))
        return run_.learner.graphs()[0].to_bytes()

    folder.mkdir(parents=True, exist_ok=True)
    painter = Graph.from_bytes(kept(folder / f"{name}-{epochs}.safetensors", make))
    return Style(painter, json.loads(log.read_text()))
