"""W2, W3: no certified point is flipped, neither by attacks nor by rounding; too small a bound is found out.

Ordinarily a few points of each network are attacked briefly. ``GLOCERT_TEST_ATTACKS=full`` attacks 500 points
of each with all steps and restarts; ``python -m experiments.attack_certificates`` prints the counts.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from experiments.attack_certificates import NETWORKS, PLANTED, linear, main, opened, planted
from experiments.attacks.campaign import Effort, campaign
from experiments.attacks.gradient import adapt, descend
from experiments.attacks.points import Points, certified, distance
from experiments.images import samples
from glocert.gloro.architectures import build
from glocert.gloro.recipe import Recipe
from glocert.gloro.samples import Samples
from glocert.gloro.training import Training
from glocert.graph.ir import Graph

FULL = os.environ.get("GLOCERT_TEST_ATTACKS") == "full"
EFFORT = Effort() if FULL else Effort(steps=12, restarts=1, rivals=2, trials=2, queries=30)
POINTS = 500 if FULL else 60


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
    flips = campaign(
        linear(0), points, images, Effort(steps=150, restarts=1, rivals=2, trials=2, queries=300)
    )
    for name in ("projected gradient", "APGD, targeted ratio", "FAB, targeted", "rounding, onnxruntime"):
        assert flips[name] > 0.9 * len(points), (name, flips)
    assert flips["boundary walk"] > 0.5 * len(points), flips
    assert flips["random windows"] > 0.9 * len(points), flips


def test_radii_that_are_a_twentieth_too_large_are_found_out_and_exact_ones_are_not() -> None:
    effort = Effort(steps=60, restarts=1, rivals=3, trials=2, queries=200)
    true, false = (planted(effort, 100, factor) for factor in (1.0, PLANTED))
    assert true["found"] == dict.fromkeys(true["found"], 0)
    for name in ("projected gradient", "APGD, targeted ratio", "FAB, targeted", "rounding, onnxruntime"):
        assert false["found"][name] > 0.95 * false["points"], false
    assert false["found"]["APGD, cross-entropy"] > 0.5 * false["points"]
    assert false["found"]["random windows"] > 0.05 * false["points"]


def test_a_campaign_goes_on_where_it_was_and_ends_with_the_same_counts(
    shared_data: Path, tmp_path: Path
) -> None:
    def run(log: str, *more: str) -> tuple[int, dict[str, Any]]:
        effort = ("--steps", "3", "--restarts", "1", "--rivals", "1", "--trials", "1", "--queries", "3")
        names = ("mnist_tiny_20", "mnist_tiny_20+backward")
        given = ("--data", str(shared_data), "--points", "20", "--log", str(tmp_path / log), *effort)
        code = main([*names, *given, "--threads", "1", *more])
        return code, json.loads((tmp_path / log).read_text())

    codes = [run("cut.json", "--seconds", "0")[0] for _ in range(14)]
    assert set(codes) == {3}
    (code, cut), (_, whole) = run("cut.json"), run("whole.json")
    assert (code, len(cut["rows"]), cut["points"], cut["flips"]) == (0, 2, 40, 0)
    for first, second in zip(cut["rows"], whole["rows"], strict=True):
        assert first["complete"]
        assert (first["flips"], first["pieces"]) == (second["flips"], second["pieces"])


def test_a_certificate_that_forgets_rounding_is_found_out() -> None:
    """Without the error term the rounding search flips points of linear networks."""
    images = torch.randn(400, 12, generator=torch.Generator().manual_seed(0)) + 30
    flips = {}
    for rounding in (True, False):
        points = certified(linear(0), images, rounding=rounding)
        assert len(points) > 300
        flips[rounding] = campaign(
            linear(0), points, images, Effort(steps=5, restarts=1, rivals=1, trials=8, queries=5)
        )
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
