"""The job ``gloro-training``: from the files of a data set to a network with a proven bound.

A network of a named architecture is trained from nothing, or an uploaded one is fine-tuned. Both end alike:
an inert graph, an ONNX file, the log of all epochs, and figures in which every constant is proven. The folder
of the run also holds its checkpoint: the same call with the same folder goes on where the last one was
stopped, and ends with the same network.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from glocert.certification.gloro_lesson import Lesson, Wanted, opened
from glocert.gloro.outcome import Outcome, outcome
from glocert.gloro.samples import Samples
from glocert.gloro.trainable import TrainableGraph, trained
from glocert.gloro.training import SETTLING, Epoch, Training
from glocert.graph.export import to_onnx
from glocert.graph.ir import Graph

GRAPH, MODEL, LOG, CHECKPOINT = "graph.safetensors", "model.onnx", "training.json", "checkpoint"
FILES = (GRAPH, MODEL, LOG)
"""What a finished run leaves in its folder for the user."""
LOOSE = 1.05
"""Proven over estimated constant above which training has optimised the wrong number."""
_SAMPLE = 1000
Progress = Generator[Epoch, None, dict[str, Any]]


def train(lesson: Lesson, wanted: Wanted, out: Path, *, device: str = "cpu", told: int = 0) -> Progress:
    """Train to the end, or go on with what an earlier call began in the same folder.

    Whoever closes the generator cancels the run; what the checkpoint holds is kept.

    Args:
        lesson: files to learn from.
        wanted: what to train, and how.
        out: existing folder, for the checkpoint and for ``FILES``.
        device: where to compute, as torch calls it.
        told: epochs that were yielded before.

    Yields:
        Every epoch, as it ends; first those of a checkpoint that nobody was told of.

    Returns:
        The summary: ``docs/methods/gloro.md`` describes its members.

    Raises:
        InvalidSpec: data, network and request do not fit.
        UnsupportedOperators: a node of the uploaded network cannot be trained; all are named.
        ValueError: the folder's checkpoint belongs to another run.
    """
    course = opened(lesson, wanted)
    before = None
    if course.base is not None:
        before = outcome(course.learner.graph(), _few(course.validation), wanted.recipe.epsilon)
    course.learner.to(device)
    run = Training.start(course.learner, wanted.recipe)
    if (out / CHECKPOINT).exists():
        run.load(out / CHECKPOINT)
        yield from run.log[told:]
    for epoch in run.epochs(course.data, course.validation):
        run.save(out / CHECKPOINT)
        yield epoch
    return _finish(_Ended(run, course.base, before), course.validation, len(course.data), out)


@dataclass(frozen=True, slots=True)
class _Ended:
    run: Training
    base: Graph | None
    before: Outcome | None

    @property
    def graph(self) -> Graph:
        """The network as a user takes it away: an uploaded one without the preprocessing around it."""
        learner = self.run.network
        if self.base is None:
            return learner.graph()
        assert isinstance(learner, TrainableGraph)
        return trained(self.base, learner)


def _finish(ended: _Ended, validation: Samples, count: int, out: Path) -> dict[str, Any]:
    """Write the files and return the summary."""
    run, graph = ended.run, ended.graph
    (out / GRAPH).write_bytes(graph.to_bytes())
    (out / MODEL).write_bytes(to_onnx(graph))
    epsilon = run.recipe.epsilon
    with torch.no_grad():
        estimated = float(run.network.pairs(SETTLING).max())
    after = outcome(run.network.graph(), validation, epsilon)
    ratio = float(after.proven.pairs.max()) / max(estimated, 1e-30)
    summary = {
        "recipe": run.recipe.to_json(),
        "trained_on": count,
        "epochs": run.done,
        "seconds_per_epoch": _seconds(run.log),
        "device": str(run.device),
        "certified_over_estimated": ratio,
        "validation": after.to_json([epsilon]),
        "before": None if ended.before is None else ended.before.to_json([epsilon]),
        "warnings": _warnings(ratio, after, ended.before),
    }
    log = {"summary": summary, "epochs": [epoch.to_json() for epoch in run.log]}
    (out / LOG).write_text(json.dumps(log, indent=1))
    return summary


def _warnings(ratio: float, after: Outcome, before: Outcome | None) -> list[str]:
    warnings = []
    if ratio > LOOSE:
        warnings.append(
            f"The proven constants are {ratio:.3f} times those that were trained with: more power iterations "
            "per step would make training see what is certified."
        )
    classes = len(after.proven.pairs)
    if after.accuracy < 1.5 / classes:
        warnings.append(
            f"The accuracy of {after.accuracy:.1%} is near chance: are labels and preprocessing right?"
        )
    if before is not None and after.accuracy < before.accuracy - 0.03:
        warnings.append(
            f"Fine-tuning cost {before.accuracy - after.accuracy:.1%} of accuracy: a smaller radius, a "
            "smaller weight or more epochs would cost less."
        )
    return warnings


def _seconds(log: list[Epoch]) -> float:
    """Return the mean time of an epoch; the first one is dropped where there are others."""
    counted = log[1:] or log
    return sum(epoch.seconds for epoch in counted) / max(1, len(counted))


def _few(samples: Samples) -> Samples:
    return samples[torch.arange(min(_SAMPLE, len(samples)))]
