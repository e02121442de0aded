"""The shipped generator is what its card says, and what its script would make."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import torch

from examples.train_generator import RECIPE
from glocert.generators.quality import psnr
from glocert.graph.onnx import read_onnx
from glocert.graph.run import run
from glocert.spec_generator import Recipe
from tests.embedded import ROOT

DIGITS = ROOT / "examples/digits"
MOST_BYTES = 2_000_000


def test_the_shipped_generator_rebuilds_digits_and_keeps_their_label() -> None:
    networks = {
        name: read_onnx((DIGITS / f"{name}.onnx").read_bytes()).graph for name in ("generator", "encoder")
    }
    assert sum((DIGITS / f"{name}.onnx").stat().st_size for name in networks) < MOST_BYTES
    with np.load(DIGITS / "digits.npz") as archive:
        images = torch.from_numpy(archive["images"]).float()[:, None] / 255
    rebuilt = run(networks["generator"], run(networks["encoder"], images))
    assert float(psnr(images, rebuilt).mean()) > 20
    session = onnxruntime.InferenceSession(DIGITS / "digits.onnx")
    before, after = (
        session.run(None, {session.get_inputs()[0].name: x.numpy()})[0].argmax(1) for x in (images, rebuilt)
    )
    assert (before == after).mean() > 0.93


def test_its_card_is_of_its_recipe() -> None:
    card = json.loads((DIGITS / "card.json").read_text())
    assert Recipe.from_json(card["recipe"]) == RECIPE
    assert (card["prior"], card["image"], card["latent_dim"]) == ("normal", [1, 8, 8], RECIPE.latent_dim)
    assert card["reconstruction"]["psnr_db"]["mean"] > 20
