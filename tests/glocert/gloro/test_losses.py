"""T1, T2: losses with ⊥ and the gradient through the constants."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from glocert.gloro.architectures import build
from glocert.gloro.losses import LOSSES, trades_kl
from glocert.lipschitz.radius import bottom


def drawn(seed: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Return scores, labels and a table of constants."""
    torch.manual_seed(seed)
    table = torch.rand(5, 5, dtype=torch.float64)
    table = (table + table.T).fill_diagonal_(0.0)
    return torch.randn(20, 5, dtype=torch.float64) * scale, torch.randint(0, 5, (20,)), table


@pytest.mark.parametrize("seed", range(3))
def test_t1_the_closed_form_is_the_divergence(seed: int) -> None:
    scores, labels, table = drawn(seed)
    lowest = bottom(scores, table, 0.3)
    plain = torch.softmax(scores, 1)
    extended = torch.softmax(torch.cat([scores, lowest[:, None]], 1), 1)[:, :-1]
    divergence = (plain * (plain.log() - extended.log())).sum(1).mean()
    cross = torch.nn.functional.cross_entropy(scores, labels)
    expected = cross + 1.7 * divergence
    assert torch.allclose(trades_kl(scores, labels, table, 0.3, 1.7), expected, rtol=1e-10)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_t1_gradients_are_finite_at_extreme_scores(name: str) -> None:
    scores, labels, table = drawn(0, scale=50.0)
    scores.requires_grad_()
    table.requires_grad_()
    LOSSES[name](scores, labels, table, 0.5, 1.0).backward()
    assert scores.grad is not None
    assert table.grad is not None
    assert bool(torch.isfinite(scores.grad).all())
    assert bool(torch.isfinite(table.grad).all())


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_larger_constant_costs_more(name: str) -> None:
    scores, labels, table = drawn(1)
    small = LOSSES[name](scores, labels, table, 0.3, 1.0)
    large = LOSSES[name](scores, labels, 2 * table, 0.3, 1.0)
    assert float(large) > float(small)


def test_t2_the_gradient_of_the_constants_is_right() -> None:
    torch.manual_seed(0)
    network = build("2c2f", (1, 8, 8), 3).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_()  # no two singular values are equal, so that there is a gradient
    network.pairs(500)
    table = network.pairs(0)
    table[0, 1].backward()
    weight = network.layers[0].weight
    assert isinstance(weight, torch.nn.Parameter)
    assert weight.grad is not None
    direction = torch.randn_like(weight)
    slope = float((weight.grad * direction).sum())
    step = 1e-5
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            weight += sign * step * direction
            ends.append(float(network.pairs(500)[0, 1]))
            weight -= sign * step * direction
    assert abs(slope - (ends[0] - ends[1]) / (2 * step)) <= 1e-4 * abs(slope)
