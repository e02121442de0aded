"""The job ``generator-training``: from the file of a data set to a generator, its encoder and their card.

The folder of the run also holds its checkpoint: the same call with the same folder goes on where the last one
was stopped, and ends with the same networks.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glocert.certification.gloro_lesson import images_of
from glocert.errors import InvalidSpec
from glocert.generators.training.card import card, measured
from glocert.generators.training.families import learner
from glocert.generators.training.learner import Learner
from glocert.generators.training.pictures import losses, sheet
from glocert.generators.training.training import Epoch, Training
from glocert.graph.export import to_onnx
from glocert.paths.items import arrangement
from glocert.spec import Preprocessing
from glocert.spec_generator import Recipe

GENERATOR, ENCODER, CARD, LOG = "generator.onnx", "encoder.onnx", "card.json", "training.json"
SHEET, CURVE, CHECKPOINT = "samples.png", "losses.svg", "checkpoint"
SHOWN = (SHEET, CURVE)
"""Files that are there while it runs, too."""
FILES = (GENERATOR, ENCODER, CARD, LOG, *SHOWN)
"""What a finished run leaves in its folder for the user."""
LEAST_DB = 20.0
"""An input that is rebuilt worse than this is usually skipped by a latent mutation."""
MOST_INDEX = 10.0
"""Largest gain over the median one, or the median over the smallest, above which a generator is no path."""
_SHOWN_S = 5.0
Progress = Generator[Epoch, None, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Source:
    """What a generator learns from.

    Attributes:
        inputs: an ``.npy`` file, uint8 or float32, first axis = item.
        targets: likewise, of a style that is another data set.
        share: of the items that is held out.
        known: what the card says of the data besides, such as its id.
    """

    inputs: Path
    targets: Path | None = None
    share: float = 0.1
    known: Mapping[str, Any] = field(default_factory=dict)


def train(
    source: Source, recipe: Mapping[str, Any], out: Path, *, device: str = "cpu", told: int = 0
) -> Progress:
    """Train to the end, or go on with what an earlier call began in the same folder.

    Whoever closes the generator cancels the run; what the checkpoint holds is kept.

    Args:
        source: files to learn from.
        recipe: as ``Recipe.to_json`` writes it.
        out: existing folder, for the checkpoint and for ``FILES``.
        device: where to compute, as torch calls it.
        told: epochs that were yielded before.

    Yields:
        Every epoch, as it ends; first those of a checkpoint that nobody was told of.

    Returns:
        The summary: ``docs/methods/generators.md`` describes its members; ``card`` is the models' card.

    Raises:
        InvalidSpec: data and request do not fit.
        TrainingDiverged: a loss is no number any more.
        ValueError: the folder's checkpoint belongs to another run.
    """
    subject, images, held_out = _opened(source, recipe)
    run = Training.start(subject.to(device))
    if (out / CHECKPOINT).exists():
        run.load(out / CHECKPOINT)
        late = run.log[told:]
        if late:
            _show(run, held_out, out)
        yield from late
    shown_at = 0.0
    for epoch in run.epochs(images, held_out):
        run.save(out / CHECKPOINT)
        if run.ended or time.monotonic() > shown_at:
            _show(run, held_out, out)
            shown_at = time.monotonic() + _SHOWN_S
        yield epoch
    return _finish(run, source, len(images), held_out, out)


def _opened(source: Source, recipe: Mapping[str, Any]) -> tuple[Learner, Tensor, Tensor]:
    """Return a learner, what it learns from and what is held out, both at least two images."""
    try:
        asked = Recipe.from_json(recipe)
        images = _read(source.inputs)
        targets = None if source.targets is None else _read(source.targets)
        if targets is not None and targets.shape[1:] != images.shape[1:]:
            raise InvalidSpec(f"images of {tuple(images.shape[1:])} cannot take the style of others")
        subject = learner(asked, tuple(images.shape[1:]), targets)
    except ValueError as error:
        raise InvalidSpec(f"the generator cannot be trained: {error}") from error
    held = max(2, round(source.share * len(images)))
    if len(images) < held + 2:
        raise InvalidSpec(f"{len(images)} images are too few: two are learned from, and two are held out")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(asked.seed))
    return subject, images[order[held:].sort().values], images[order[:held].sort().values]


def _read(path: Path) -> Tensor:
    stored = np.load(path, allow_pickle=False)
    shape = arrangement(stored.shape[1:], (0,), "NCHW").shape
    if not len(stored):
        raise InvalidSpec("there is nothing to learn from: the data set is empty")
    return images_of(stored, shape, Preprocessing())


@torch.no_grad()
def _show(run: Training, held_out: Tensor, out: Path) -> None:
    draw = torch.Generator().manual_seed(run.learner.recipe.seed)
    few = run.variants(held_out[:8].to(run.device), 1)
    sheet(run.learner.sheet(few, draw)).save(out / SHEET)
    (out / CURVE).write_text(losses(run.log))


def _finish(run: Training, source: Source, count: int, held_out: Tensor, out: Path) -> dict[str, Any]:
    """Write the files and return the summary."""
    for graph, name in zip(run.learner.graphs(), (GENERATOR, ENCODER), strict=True):
        (out / name).write_bytes(to_onnx(graph))
    found = measured(run.learner, run.variants(held_out.to(run.device), 1))
    data = {
        **source.known,
        "inputs_sha256": _digest(source.inputs),
        "images": count,
        "held_out": len(held_out),
    }
    described = card(run, found, data, SHEET)
    (out / CARD).write_text(json.dumps(described, indent=1))
    summary = {
        **found,
        "family": run.learner.recipe.family,
        "recipe": run.learner.recipe.to_json(),
        "trained_on": count,
        "epochs": len(run.log),
        "seconds_per_epoch": sum(epoch.seconds for epoch in run.log) / max(1, len(run.log)),
        "device": str(run.device),
        "warnings": _warnings(found),
    }
    log = {"summary": summary, "epochs": [epoch.to_json() for epoch in run.log]}
    (out / LOG).write_text(json.dumps(log, indent=1))
    if not (out / SHEET).exists():  # it had ended when the worker was lost
        _show(run, held_out, out)
    return summary | {"card": described}


def _warnings(found: Mapping[str, Any]) -> list[str]:
    warnings, ratio = [], found["reconstruction"]["psnr_db"]["mean"]
    if ratio < LEAST_DB:
        warnings.append(
            f"Images are rebuilt at {ratio:.1f} dB on average; below {LEAST_DB:g} dB a latent mutation skips "
            "an input. More epochs, a larger latent_dim or a larger width help."
        )
    if found["continuity"]["index"] > MOST_INDEX:
        warnings.append(
            f"The gain of the generator varies {found['continuity']['index']:.1f} times about its median: "
            "paths may jump or stall. Larger weights of continuity or a smaller continuity.bound help."
        )
    return warnings


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
