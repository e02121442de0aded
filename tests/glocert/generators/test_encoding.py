from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from glocert.generators.encoding import Encoder
from glocert.generators.prior import Prior
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.paths.generated import picturing
from glocert.spec import Preprocessing
from glocert.spec_latent import EncodingSpec, Gates, LatentSpec
from tests.glocert.segments.networks import Draft

IMAGE = (1, 4, 4)
NORMAL = Prior("normal")


def generator(seed: int) -> Graph:
    rng = np.random.default_rng(seed)
    draft = Draft(3)
    hidden = draft.same(
        "LeakyRelu", draft.gemm("x", rng.standard_normal((12, 3)).astype(np.float32)), alpha=0.2
    )
    weight = (rng.standard_normal((16, 12)) * 0.1).astype(np.float32)
    made = draft.gemm(hidden, weight, np.full(16, 0.5, np.float32))
    return picturing(draft.graph(made), IMAGE, Preprocessing())


def image_of(picture: Graph, code: np.ndarray) -> np.ndarray:
    made = run(picture, torch.from_numpy(code[None]))[0].clamp(0, 1)
    return made.numpy().astype(np.float32)


def encoder(picture: Graph, proposes: Graph | None = None, prior: Prior = NORMAL, **spec: float) -> Encoder:
    return Encoder(picture, proposes, prior, (0.0, 1.0), EncodingSpec(**spec))


@pytest.mark.parametrize("seed", range(4))
def test_an_image_that_the_generator_made_is_found_again(seed):
    picture = generator(seed)
    target = image_of(picture, np.random.default_rng(seed).standard_normal(3))
    found = encoder(picture, samples=64, restarts=2, prior_weight=0.0).encode(target)
    assert found.psnr > 40
    assert found.ssim > 0.99
    assert found.image == pytest.approx(target, abs=0.05)
    assert found.code.shape == (3,)


@pytest.mark.parametrize("seed", range(4))
def test_refining_helps_and_never_harms(seed):
    picture = generator(seed)
    target = image_of(picture, np.random.default_rng(seed + 9).standard_normal(3))
    raw, better = (encoder(picture, samples=8, steps=steps).encode(target) for steps in (0, 300))
    assert raw.steps == 0
    assert better.psnr > raw.psnr


def test_the_same_seed_gives_the_same_code_and_another_one_may_not():
    picture = generator(0)
    target = np.random.default_rng(3).uniform(size=IMAGE).astype(np.float32)
    one, two, other = (encoder(picture, steps=30, seed=seed).encode(target) for seed in (1, 1, 2))
    assert one.code.tobytes() == two.code.tobytes() != other.code.tobytes()


def test_an_encoder_proposes_and_is_believed_without_steps():
    picture = generator(1)
    draft = Draft(*IMAGE)
    rng = np.random.default_rng(0)
    proposes = draft.graph(draft.gemm(draft.flat("x"), rng.standard_normal((3, 16)).astype(np.float32) * 0.1))
    target = rng.uniform(size=IMAGE).astype(np.float32)
    found = encoder(picture, proposes, steps=0, restarts=1).encode(target)
    expected = run(proposes, torch.from_numpy(target[None]).double())[0].numpy()
    assert (found.code == expected).all()


def test_nothing_is_refined_where_nothing_is_missing():
    """As of a style: the code is the image, and the generator gives it back."""
    draft = Draft(16)
    picture = draft.graph(draft.reshape("x", *IMAGE))
    draft = Draft(*IMAGE)
    target = np.random.default_rng(0).uniform(size=IMAGE).astype(np.float32)
    found = encoder(picture, draft.graph(draft.flat("x")), Prior("uniform")).encode(target)
    assert (found.psnr, found.steps) == (100.0, 1)
    assert (found.code == target.ravel()).all()


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_codes_stay_inside_the_prior(kind):
    draft = Draft(2)
    picture = draft.graph(draft.gemm("x", np.eye(2, dtype=np.float32)))
    found = Encoder(picture, None, Prior(kind), (-9.0, 9.0), EncodingSpec(prior_weight=0.0)).encode(
        np.array([6.0, -6.0], np.float32)
    )
    limit = 1.0 if kind == "uniform" else np.sqrt(2) + 3
    size = np.abs(found.code).max() if kind == "uniform" else np.linalg.norm(found.code)
    assert size == pytest.approx(limit)
    assert found.ssim is None


def test_noise_is_not_representable_and_says_so_by_its_numbers():
    target = (np.random.default_rng(0).uniform(size=IMAGE) > 0.5).astype(np.float32)
    assert encoder(generator(2)).encode(target).psnr < 20


def test_edges_pull_towards_the_shape_of_an_image():
    """Brightness or a stripe, not both: one has the right mean, the other one the right differences."""
    draft = Draft(1)
    plain, stripe = np.ones(16), np.tile([0.0, 1.0], 8)
    hidden = draft.relu(draft.gemm("x", [[1.0], [-1.0]]))
    picture = draft.graph(draft.reshape(draft.gemm(hidden, np.stack([plain, stripe], 1)), *IMAGE))
    target = (0.4 + 0.3 * stripe).reshape(IMAGE).astype(np.float32)
    spec = {"prior_weight": 0.0, "samples": 16, "restarts": 16, "steps": 200}
    level, shape = (encoder(picture, edges=edges, **spec).encode(target).code[0] for edges in (0.0, 10.0))
    assert level == pytest.approx(0.55, abs=0.02)
    assert -0.7 < shape < -0.3


def test_requests_read_their_options():
    data = {"direction": [0.6, 0.8], "anchor": "generated", "prior": "uniform", "gates": {"psnr": 12.0},
            "scale": {"unit": "degrees", "per_latent": 12.5}, "encoding": {"steps": 7}}  # fmt: skip
    spec = LatentSpec.from_json(json.loads(json.dumps(data)))
    assert spec.direction == (0.6, 0.8)
    assert spec.gates == Gates(psnr=12.0)
    assert spec.encoding == EncodingSpec(steps=7)
    assert (spec.unit, spec.per_latent, spec.anchor, spec.prior) == ("degrees", 12.5, "generated", "uniform")
    assert LatentSpec.from_json({"direction": [1]}) == LatentSpec((1.0,))
