"""Figures of a network on samples: linear networks, for which every radius is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.gloro.outcome import outcome
from glocert.gloro.samples import Samples
from glocert.graph.ir import Graph, Node


def axis() -> Graph:
    """Scores ``x`` and ``-x`` of one number: the radius of x is ``|x|``."""
    parameters = {"w": np.array([[1.0], [-1.0]], np.float32)}
    node = Node("head", "Gemm", ("x", "w"), "y")
    return Graph("x", "y", (node,), parameters, {"x": (1,), "y": (2,)})


def test_shares_and_radii_are_those_of_the_line() -> None:
    images = torch.tensor([[0.5], [0.25], [-0.5], [-0.125], [0.0]])
    found = outcome(axis(), Samples(images, torch.tensor([0, 0, 1, 0, 0])), 0.2)
    assert found.right.tolist() == [True, True, True, False, True]
    np.testing.assert_allclose(found.real, [0.5, 0.25, 0.5, 0.125, 0.0], rtol=1e-9, atol=1e-9)
    assert bool((found.real <= images.double().abs()[:, 0]).all())
    assert found.accuracy == 0.8
    assert (found.vra(0.2), found.rejected(0.2), found.wrong(0.1)) == pytest.approx((0.6, 0.4, 0.2))
    assert found.vra(0.3) == pytest.approx(0.4)
    assert found.median == pytest.approx(0.25)


def test_what_holds_for_float32_is_less_and_no_further_than_was_charged() -> None:
    images = torch.linspace(-5, 5, 41)[:, None]
    found = outcome(axis(), Samples(images, (images[:, 0] < 0).long()), 0.2)
    assert bool((found.float32 <= found.real).all())
    assert float(found.float32.max()) == pytest.approx(0.8)
    near = found.real < 0.7
    assert bool((found.float32[near & (found.real > 0)] < found.real[near & (found.real > 0)]).all())


def test_nothing_right_has_no_radius() -> None:
    found = outcome(axis(), Samples(torch.ones(3, 1), torch.ones(3, dtype=torch.int64)), 0.1)
    assert (found.accuracy, found.median, found.vra(0.1), found.wrong(0.1)) == (0.0, 0.0, 0.0, 1.0)
