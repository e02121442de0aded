"""Growing networks and generators: their sizes, and the exponent that is fitted."""

from __future__ import annotations

import math

import pytest
import torch

from experiments.study import growth
from glocert.graph.run import run


def test_an_exponent_that_was_planted_is_fitted():
    rows = [
        {"width": width, "depth": depth, "pieces": 3 * width**power}
        for depth, power in ((1, 0.5), (2, 1.5))
        for width in (4, 8, 32)
    ]
    found = growth.exponents(rows)
    assert [row["stated"] for row in found] == [2, 4]
    assert [row["exponent"] for row in found] == [pytest.approx(0.5), pytest.approx(1.5)]


def test_a_row_counts_its_relus_and_states_the_worst_case(monkeypatch):
    monkeypatch.setattr(growth, "WIDTHS", (16,))
    monkeypatch.setattr(growth, "DEPTHS", (3,))
    (row,) = growth.of_networks(1)
    assert (row["relus"], row["layers"], row["widest"]) == (48, 3, 16)
    assert row["log10_of_the_statement"] == pytest.approx(math.log10((16**2) ** 3))
    assert row["pieces"] <= 17**3


@pytest.mark.parametrize("doublings", growth.DOUBLINGS)
def test_generators_make_images_that_are_seldom_clamped(doublings):
    graph = growth.generator(4, doublings)
    assert graph.output_shape == (1, 32, 32)
    assert sum(node.operator == "Relu" for node in graph.nodes) == doublings
    images = run(graph, torch.randn(20, growth.DIMENSION, dtype=torch.float64))
    assert ((images > 0) & (images < 1)).double().mean() > 0.8
    assert images.std(0).mean() > 0.05
