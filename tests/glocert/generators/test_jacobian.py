"""Jacobians by forward mode: against reverse mode, against matrices, in pieces (A34, A39)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.errors import InvalidSpec
from glocert.generators.decoder import Decoder
from glocert.generators.jacobian import EVERYWHERE, around, by_reverse_mode, forms, jacobians, moved
from tests.glocert.generators.decoders import linear, relu_net
from tests.glocert.segments.networks import Draft, Wild, mlp


def codes_of(rng: np.random.Generator, count: int, size: int) -> torch.Tensor:
    return torch.from_numpy(rng.standard_normal((count, size)))


def assert_modes_agree(decoder: Decoder, code: torch.Tensor) -> None:
    (forward,) = jacobians(decoder, code[None])
    backward = by_reverse_mode(decoder, code)
    assert (forward - backward).abs().max() <= 1e-9 * max(1.0, float(backward.abs().max()))


@pytest.mark.parametrize("seed", range(12))
def test_forward_and_reverse_mode_agree_on_networks_of_every_operator(seed: int) -> None:
    rng = np.random.default_rng(seed)
    decoder = Decoder(Wild(rng).build(8))
    assert_modes_agree(decoder, codes_of(rng, 1, decoder.dimension)[0])


@pytest.mark.parametrize(
    "operator", ["Sigmoid", "Tanh", "Exp", "Softplus", "Silu", "Mish", "Erf", "HardSwish"]
)
def test_smooth_nodes_have_slopes_both_ways(operator: str) -> None:
    rng = np.random.default_rng(5)
    draft = Draft(4)
    hidden = draft.same(operator, draft.gemm("x", rng.standard_normal((6, 4))))
    decoder = Decoder(draft.graph(draft.gemm(hidden, rng.standard_normal((9, 6)))))
    assert_modes_agree(decoder, codes_of(rng, 1, 4)[0])


def test_the_jacobian_of_a_matrix_is_the_matrix() -> None:
    weight = np.random.default_rng(0).standard_normal((12, 4))
    decoder = linear(weight, (1, 3, 4))
    (found,) = jacobians(decoder, torch.zeros(1, 4, dtype=torch.float64))
    np.testing.assert_allclose(found.numpy(), weight.T, atol=1e-15)
    vector = torch.tensor([0.6, 0.0, -0.8, 0.0], dtype=torch.float64)
    change = moved(decoder, torch.zeros(1, 4, dtype=torch.float64), vector)
    np.testing.assert_allclose(change[0].numpy(), weight @ vector.numpy(), atol=1e-14)


def test_forms_of_masks_add_up_and_do_not_depend_on_blocks() -> None:
    rng = np.random.default_rng(1)
    graph = mlp(rng, 5, 17, 24)
    codes = codes_of(rng, 7, 5)
    mask = rng.random(24) < 0.3
    whole = forms(Decoder(graph), codes, {"in": mask, "out": ~mask})
    single = forms(Decoder(graph, block_bytes=1), codes, {"in": mask, "out": ~mask})
    for name, matrix in whole.of.items():
        np.testing.assert_allclose(matrix.numpy(), single.of[name].numpy(), rtol=1e-13, atol=1e-13)
    assert whole.sizes == {EVERYWHERE: 24, "in": int(mask.sum()), "out": 24 - int(mask.sum())}
    parts = sum(whole.sizes[name] * whole.of[name] for name in ("in", "out"))
    np.testing.assert_allclose(parts.numpy(), 24 * whole.of[EVERYWHERE].numpy(), atol=1e-12)
    slopes = torch.stack([one @ one.T for one in jacobians(Decoder(graph), codes)]).mean(0) / 24
    np.testing.assert_allclose(whole.of[EVERYWHERE].numpy(), slopes.numpy(), atol=1e-13)


def test_a_form_says_how_much_a_small_step_changes() -> None:
    rng = np.random.default_rng(2)
    decoder = relu_net(rng, 6, 40, (1, 4, 5))
    code, step = codes_of(rng, 1, 6), 1e-6 * torch.from_numpy(rng.standard_normal(6))
    form = forms(decoder, code).of[EVERYWHERE]
    change = (decoder.images(code + step) - decoder.images(code)).square().mean()
    assert float(change) == pytest.approx(float(step @ form @ step), rel=1e-6)


def test_an_image_that_does_not_depend_on_the_code_has_no_slope() -> None:
    draft = Draft(3)
    still = draft.same("Sign", draft.gemm("x", np.ones((4, 3)), np.full(4, 9.0)))
    seen = forms(Decoder(draft.graph(still)), torch.zeros(2, 3, dtype=torch.float64))
    assert float(seen.of[EVERYWHERE].abs().max()) == 0.0


def test_slopes_that_are_not_finite_are_refused() -> None:
    draft = Draft(2)
    root = draft.same("Sqrt", draft.gemm("x", np.eye(2)))
    decoder = Decoder(draft.graph(root))
    with pytest.raises(InvalidSpec, match="NaN or infinity"):
        forms(decoder, torch.zeros(1, 2, dtype=torch.float64))
    with pytest.raises(InvalidSpec, match="NaN or infinity"):
        decoder.images(-torch.ones(1, 2, dtype=torch.float64))


@pytest.mark.parametrize("dimension", [1, 2, 9])
def test_points_around_a_code_stay_in_the_ball(dimension: int) -> None:
    rng = np.random.default_rng(3)
    codes = codes_of(rng, 3, dimension)
    near = around(codes, 0.25, 16, rng)
    assert near.shape == (48, dimension)
    assert torch.equal(near[:3], codes)
    distances = (near.view(16, 3, dimension) - codes).norm(dim=2)
    assert 0.1 < float(distances.max()) <= 0.25 * (1 + 1e-12)
