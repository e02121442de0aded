"""A33, A34: terms of continuity, against maps whose answers are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from glocert.generators import continuity
from glocert.generators.continuity import Band, Probe
from glocert.generators.profile import everywhere, profile

DRAW = 7


@pytest.fixture
def draw() -> torch.Generator:
    return torch.Generator().manual_seed(DRAW)


@pytest.fixture
def matrix(draw: torch.Generator) -> Tensor:
    return torch.randn(12, 5, generator=draw, dtype=torch.float64)


def codes(draw: torch.Generator, count: int = 64) -> Tensor:
    return torch.randn(count, 5, generator=draw, dtype=torch.float64)


def test_a33_affine_maps_leave_no_residual(draw, matrix):
    z1, z2, share = codes(draw), codes(draw), torch.rand(64, generator=draw, dtype=torch.float64)
    residual = continuity.residual(lambda z: z @ matrix.T + 3.0, z1, z2, share)
    assert float(residual.abs().max()) <= 1e-12
    # of z^2 it is -g (1 - g) (z1 - z2)^2
    bent = continuity.residual(torch.square, z1, z2, share)
    part = (share * (1 - share))[:, None]
    torch.testing.assert_close(bent, -part * (z1 - z2) ** 2)
    assert float(bent.square().mean()) > 1e-3


def test_a33_the_sign_of_the_published_residual_is_wrong(draw, matrix):
    """``g G(z2) - G(z) - (1 - g) G(z1)`` of an affine map is ``-2 (1 - g) G(z1)``; ours is not that."""
    z1, z2, share = codes(draw), codes(draw), torch.rand(64, generator=draw, dtype=torch.float64)

    def affine(z: Tensor) -> Tensor:
        return z @ matrix.T + 3.0

    part = share[:, None]
    wrong = part * affine(z2) - affine(continuity.mixed(z1, z2, share)) - (1 - part) * affine(z1)
    torch.testing.assert_close(wrong, -2 * (1 - part) * affine(z1))
    assert float(wrong.square().mean()) > 1.0


def test_a34_the_gain_of_a_linear_map_is_the_norm_of_its_image(draw, matrix):
    z = codes(draw)
    u = continuity.directions_like(z, draw)
    torch.testing.assert_close(continuity.norms(u), torch.ones(64, dtype=torch.float64))

    def linear(x: Tensor) -> Tensor:
        return x @ matrix.T

    expected = (u @ matrix.T).norm(dim=1)
    steps = torch.rand(64, generator=draw, dtype=torch.float64) + 0.01
    torch.testing.assert_close(continuity.gains(linear, z, u, steps), expected)
    torch.testing.assert_close(continuity.slopes(linear, z, u), expected)
    top, found = continuity.stretches(linear, z, u, rounds=60)
    sigma = torch.linalg.svdvals(matrix)[0]
    torch.testing.assert_close(top, sigma.expand(64), rtol=1e-6, atol=0.0)
    torch.testing.assert_close(continuity.norms(found), torch.ones(64, dtype=torch.float64))


def test_a34_pulled_noise_measures_the_frobenius_norm(draw, matrix):
    count = 4000
    noise = torch.randn(count, 12, generator=draw, dtype=torch.float64)
    pulled = continuity.pulled(lambda x: x @ matrix.T, codes(draw, count), noise)
    squares = pulled.square().sum(1)
    expected = float(matrix.square().sum())
    assert abs(float(squares.mean()) - expected) < 3 * float(squares.std()) / math.sqrt(count)


def test_a_probe_asks_for_all_points_in_one_batch(draw, matrix):
    calls = []

    def counted(z: Tensor) -> Tensor:
        calls.append(len(z))
        return (z @ matrix.T).square()

    z1, z2, start = codes(draw, 8), codes(draw, 8), codes(draw, 6)
    u, steps = continuity.directions_like(start, draw), torch.full((6,), 0.1, dtype=torch.float64)
    share = torch.rand(8, generator=draw, dtype=torch.float64)
    found = continuity.probed(counted, Probe(z1, z2, share, start, u, steps))
    assert calls == [3 * 8 + 2 * 6]
    torch.testing.assert_close(found.residual, continuity.residual(counted, z1, z2, share))
    torch.testing.assert_close(found.gains, continuity.gains(counted, start, u, steps))
    torch.testing.assert_close(found.second, counted(z2))


def test_the_band_charges_what_is_outside_and_no_common_factor():
    band = Band(bound=2.0)
    inside = torch.tensor([0.6, 1.0, 1.7])
    assert [float(term) for term in band.terms(inside, inside)] == [0.0, 0.0]
    gains = torch.tensor([0.1, 1.0, 10.0], requires_grad=True)
    up, low = Band(bound=2.0).terms(gains, gains)
    excess = (math.log(10.0) - math.log(2.0)) ** 2 / 3
    assert float(up.detach()) == pytest.approx(excess)
    assert float(low.detach()) == pytest.approx(excess)
    (slope,) = torch.autograd.grad(up + low, gains)
    assert slope[0] < 0 < slope[2]  # descending raises the small gain and lowers the large one
    assert float((slope * gains.detach()).sum()) == pytest.approx(0.0, abs=1e-6)  # along the common factor


def test_a_generator_that_is_dead_on_one_side_shows(draw):
    """What the published penalty cannot see."""

    def half_dead(z: Tensor) -> Tensor:
        return torch.relu(z[:, :1]) * torch.ones(1, 9, dtype=z.dtype)

    where = everywhere(codes(draw, 1000), draw)
    found = profile(half_dead, where, draw)
    assert found["gain"]["0.05"] < 1e-6
    assert found["index"] > 1e3
    assert found["singular_values"]["smallest"] < 1e-9


def test_the_profile_of_an_isometry_is_one(draw, matrix):
    basis = torch.linalg.qr(matrix).Q
    found = profile(lambda z: 3 * z @ basis.T, everywhere(codes(draw, 1000), draw), draw)
    assert found["index"] == pytest.approx(1.0, abs=1e-9)
    assert found["scale"] == pytest.approx(3.0)
    assert found["residual"] < 1e-12
    assert found["singular_values"] == {
        "samples": 32, "smallest": pytest.approx(3.0), "largest": pytest.approx(3.0),
    }  # fmt: skip
