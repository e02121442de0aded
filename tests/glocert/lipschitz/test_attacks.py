"""W2, W3: no certified point is flipped, neither by attacks nor by rounding; too small a bound is found out.

Ordinarily a few points of each network are attacked briefly. ``GLOCERT_TEST_ATTACKS=full`` attacks 500 points
of each with all steps and restarts; ``python -m experiments.attack_certificates`` prints the counts.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from experiments.attack_certificates import NETWORKS, opened
from experiments.attacks.campaign import Effort, campaign
from experiments.attacks.gradient import adapt, descend
from experiments.attacks.points import Points, certified, distance
from experiments.images import samples
from glocert.gloro.architectures import build
from glocert.gloro.recipe import Recipe
from glocert.gloro.samples import Samples
from glocert.gloro.training import Training
from glocert.graph.ir import Graph, Node

FULL = os.environ.get("GLOCERT_TEST_ATTACKS") == "full"
EFFORT = Effort() if FULL else Effort(steps=12, restarts=1, rivals=2, trials=2)
POINTS = 500 if FULL else 60


def linear(seed: int, inputs: int = 12, classes: int = 4) -> Graph:
    """A linear classifier: its radii are exact, so there is nothing between certified and flipped."""
    chance = np.random.default_rng(seed)
    parameters = {
        "w": chance.normal(size=(classes, inputs)).astype(np.float32),
        "b": chance.normal(size=classes).astype(np.float32),
    }
    node = Node("head", "Gemm", ("x", "w", "b"), "y")
    return Graph("x", "y", (node,), parameters, {"x": (inputs,), "y": (classes,)})


def trained() -> tuple[Graph, Tensor]:
    """A small convolutional network that was trained for its bound on lit rows."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (400,), generator=generator)
    images = torch.rand(400, 1, 8, 8, generator=generator) * 0.2
    for row in range(2):
        images[torch.arange(400), 0, labels * 3 + row] += 0.7
    torch.manual_seed(0)
    network = build("2c2f", (1, 8, 8), 3)
    run = Training.start(network, Recipe(epsilon=0.3, epochs=8, batch=32))
    list(run.epochs(Samples(images[:350], labels[:350]), Samples(images[350:], labels[350:])))
    return network.graph(), images


def survivors(graph: Graph, images: Tensor, *, shrink: float = 1.0) -> tuple[Points, dict[str, int]]:
    points = certified(graph, images, shrink=shrink)
    points = points[torch.arange(min(POINTS, len(points)))]
    return points, campaign(graph, points, images, EFFORT)


@pytest.mark.parametrize("name", NETWORKS)
def test_w2_w3_no_certified_point_of_a_real_network_flips(name: str, shared_data: Path) -> None:
    images = samples(shared_data / "datasets" / "mnist_test.npz").images[: 4 * POINTS]
    points, flips = survivors(opened(shared_data, name), images)
    assert len(points) == POINTS
    assert flips == dict.fromkeys(flips, 0)


def test_w2_w3_no_certified_point_of_a_trained_network_flips() -> None:
    points, flips = survivors(*trained())
    assert len(points) > 50
    assert flips == dict.fromkeys(flips, 0)


@pytest.mark.parametrize("seed", range(3))
def test_w3_linear_networks_do_not_flip_by_rounding(seed: int) -> None:
    """Their certified radius ends where the label does, so rounding is all that is left."""
    images = torch.randn(POINTS, 12, generator=torch.Generator().manual_seed(seed))
    points, flips = survivors(linear(seed), images)
    assert len(points) > POINTS / 2
    assert flips == dict.fromkeys(flips, 0)


def test_constants_that_are_a_fifth_too_small_are_found_out() -> None:
    images = torch.randn(POINTS, 12, generator=torch.Generator().manual_seed(0))
    points = certified(linear(0), images, shrink=0.8)
    flips = campaign(linear(0), points, images, Effort(steps=150, restarts=1, rivals=2, trials=2))
    for name in ("projected gradient", "APGD, targeted ratio", "rounding, onnxruntime"):
        assert flips[name] > 0.9 * len(points), (name, flips)
    assert flips["boundary walk"] > 0.5 * len(points), flips


def test_a_certificate_that_forgets_rounding_is_found_out() -> None:
    """Without the error term the rounding search flips points of linear networks."""
    images = torch.randn(400, 12, generator=torch.Generator().manual_seed(0)) + 30
    flips = {}
    for rounding in (True, False):
        points = certified(linear(0), images, rounding=rounding)
        assert len(points) > 300
        flips[rounding] = campaign(linear(0), points, images, Effort(steps=5, restarts=1, rivals=1, trials=8))
    assert sum(flips[True].values()) == 0
    assert sum(count for name, count in flips[False].items() if name.startswith("rounding")) > 0


def test_attacks_stay_inside_their_balls() -> None:
    images = torch.randn(40, 12, generator=torch.Generator().manual_seed(1))
    points = certified(linear(1), images)
    generator = torch.Generator().manual_seed(0)
    for attack in (descend, adapt):
        moved = attack(points, points.rival(0), generator, steps=10)
        assert bool((distance(points.images, moved) <= points.radius).all())
        assert bool((distance(points.images, moved) > 0).all())
    outside = points.images + 1.0 * points.radius.float()[:, None]
    assert not bool(points.flipped(outside).any())
