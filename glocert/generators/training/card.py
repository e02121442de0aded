"""The card of a trained generator: what it learned from, how, and how good it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from glocert import __version__
from glocert.generators.profile import SAMPLES, profile, reconstruction
from glocert.generators.training.learner import Learner
from glocert.generators.training.training import Training
from glocert.graph.run import run as execute

FORMAT = "glocert-generator-card/1"
_BLOCK = 512
_MEASURED = 2**33
"""Distance between the seeds of a run and of its measures."""


@torch.no_grad()
def measured(learner: Learner, images: Tensor) -> dict[str, Any]:
    """Return ``reconstruction`` and ``continuity`` of a learner that has settled.

    Both are of the stored networks: images go through the inert graphs in float32.

    Args:
        learner: trained.
        images: that were held out, on the learner's device.
    """
    learner.eval()
    draw = torch.Generator().manual_seed(learner.recipe.seed + _MEASURED)
    parts = torch.split(images, _BLOCK)
    wanted, rebuilt = (torch.cat(list(map(of, parts))) for of in (learner.wanted, learner.rebuilt))
    generator = learner.graphs()[0]
    where = learner.measured(images, SAMPLES, draw)
    return {
        "reconstruction": reconstruction(wanted, rebuilt),
        "continuity": profile(lambda codes: execute(generator, codes), where, draw),
    }


def card(run: Training, found: Mapping[str, Any], data: Mapping[str, Any], sheet: str) -> dict[str, Any]:
    """Return the card of a run that has ended, as plain data.

    Args:
        run: the run.
        found: what ``measured`` says.
        data: of the images: how many, their digest, their id where there is one.
        sheet: name of the picture with samples.
    """
    learner, recipe = run.learner, run.learner.recipe
    (dimension,) = learner.code_shape
    return {
        "format": FORMAT,
        "glocert": __version__,
        "family": recipe.family,
        "architecture": recipe.architecture,
        "image": list(learner.shape),
        "latent_dim": dimension,
        "prior": learner.prior,
        "spreads": None if learner.spreads is None else learner.spreads.tolist(),
        "codes": learner.about_codes,
        "data": dict(data),
        "augmentation": {"extents": recipe.ranges.extents(), "ends_only": recipe.endpoints},
        "mutation": None if recipe.mutation is None else dict(recipe.mutation),
        "recipe": recipe.to_json(),
        "epochs": len(run.log),
        "reconstruction": found["reconstruction"],
        "continuity": found["continuity"],
        "sample_sheet": sheet,
    }
