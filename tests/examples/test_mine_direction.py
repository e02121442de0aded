"""The shipped direction is of the shipped generator, is what its script finds, and makes digits lean."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from examples import mine_direction
from examples.train_digits import HELD_BACK, digits, pixels
from glocert.generators.directions.pairs import AGREEING
from glocert.graph.onnx import read_onnx
from glocert.graph.run import run
from tests.embedded import ROOT

DIGITS = ROOT / "examples/digits"


@pytest.fixture(scope="module")
def shipped() -> dict[str, Any]:
    return json.loads((DIGITS / mine_direction.FILE).read_text())


def test_the_script_finds_it_again(shipped: dict[str, Any]) -> None:
    found = mine_direction.mine(DIGITS)
    assert found.keys() == shipped.keys()
    np.testing.assert_allclose(found["vector"], shipped["vector"], atol=1e-6)
    for name in ("extent", "cosine"):
        assert found[name] == pytest.approx(shipped[name], rel=1e-6)
    assert (found["mutation"], found["pairs"]) == (shipped["mutation"], shipped["pairs"])


def test_it_is_of_the_shipped_generator(shipped: dict[str, Any]) -> None:
    data = (DIGITS / "generator.onnx").read_bytes()
    assert shipped["generator_sha256"] == hashlib.sha256(data).hexdigest()
    assert np.linalg.norm(shipped["vector"]) == pytest.approx(1.0, abs=1e-12)
    assert shipped["cosine"] >= AGREEING
    assert shipped["scale"]["per_latent"] * shipped["extent"] == pytest.approx(0.3)


def slants(images: Tensor) -> Tensor:
    """Return how far rows move to the right per row upwards, by the second moments of the ink."""
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    ink = images[:, 0] / images.sum((1, 2, 3))[:, None, None]
    down = rows - (ink * rows).sum((1, 2), keepdim=True)
    right = columns - (ink * columns).sum((1, 2), keepdim=True)
    return -(ink * down * right).sum((1, 2)) / (ink * down.square()).sum((1, 2))


def test_digits_that_were_held_back_lean_to_the_right_along_it(shipped: dict[str, Any]) -> None:
    generator, encoder = (
        read_onnx((DIGITS / f"{name}.onnx").read_bytes()).graph for name in ("generator", "encoder")
    )
    codes = run(encoder, pixels(digits().images[:HELD_BACK])).flatten(1)
    step = shipped["extent"] * torch.tensor(shipped["vector"], dtype=torch.float32)
    before, after = (run(generator, at).clamp(0, 1) for at in (codes, codes + step))
    change = slants(after) - slants(before)
    assert float(change.min()) > 0
    assert 0.15 < float(change.mean()) < 0.3
