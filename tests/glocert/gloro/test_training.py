"""T3, T4: a run continues where it ended, and learns to be certified."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from glocert.gloro.augmentation import shifted
from glocert.gloro.layers import Dense, MinMax
from glocert.gloro.network import GloroNet, to_graph
from glocert.gloro.recipe import Recipe
from glocert.gloro.samples import Samples
from glocert.gloro.training import Training
from glocert.lipschitz.network import bound
from glocert.lipschitz.radius import radii


def moons(count: int, seed: int) -> Samples:
    """Return two interleaved half circles with a little noise, and which is which."""
    generator = torch.Generator().manual_seed(seed)
    angle = torch.rand(count, generator=generator) * math.pi
    label = torch.randint(0, 2, (count,), generator=generator)
    x = torch.where(label == 0, torch.cos(angle), 1 - torch.cos(angle))
    y = torch.where(label == 0, torch.sin(angle), 0.5 - torch.sin(angle))
    noise = torch.randn(count, 2, generator=generator) * 0.05
    return Samples(torch.stack([x, y], 1) + noise, label)


def small() -> GloroNet:
    torch.manual_seed(0)
    return GloroNet([Dense((2,), 64), MinMax((64,)), Dense((64,), 64), MinMax((64,)), Dense((64,), 2)])


def test_t4_two_moons_are_certified() -> None:
    recipe = Recipe(epsilon=0.1, overshoot=1.1, weight=2.0, epochs=60, batch=128, rate=5e-3)
    network = small()
    run = Training.start(network, recipe)
    validation = moons(500, 1)
    epochs = list(run.epochs(moons(1500, 0), validation))
    assert epochs[-1].accuracy > 0.95
    proven = bound(to_graph(network, (2,)))
    with torch.no_grad():
        found = radii(network(validation.images).double(), proven.pairs, 1e-4)
    right = found.label == validation.labels
    assert float((right & found.certified(0.1)).double().mean()) > 0.75


def test_t3_a_run_continues_where_it_ended(tmp_path: Path) -> None:
    recipe = Recipe(epsilon=0.1, epochs=12, batch=64)  # iterations begin anew after ten
    data, validation = moons(300, 0), moons(100, 1)
    whole = Training.start(small(), recipe)
    expected = [epoch.loss for epoch in whole.epochs(data, validation)]
    first = Training.start(small(), recipe)
    losses = []
    for epoch in first.epochs(data, validation):
        losses.append(epoch.loss)
        if epoch.number == 2:
            first.save(tmp_path / "checkpoint")
            break
    second = Training.start(small(), recipe)
    second.load(tmp_path / "checkpoint")
    losses += [epoch.loss for epoch in second.epochs(data, validation)]
    assert losses == expected
    for mine, theirs in zip(
        whole.network.state_dict().values(), second.network.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, theirs)


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    Training.start(small(), Recipe(epochs=4)).save(tmp_path / "checkpoint")
    with pytest.raises(ValueError, match="another recipe"):
        Training.start(small(), Recipe(epochs=5)).load(tmp_path / "checkpoint")


def test_the_schedules_begin_and_end_where_they_should() -> None:
    recipe = Recipe(epsilon=0.5, overshoot=1.2, ramp=0.5, rate=1e-3, last_rate=1e-6, weight=2.0)
    assert recipe.radius_at(0.0) == pytest.approx(0.006, rel=1e-6)
    assert recipe.radius_at(0.5) == pytest.approx(0.6)
    assert recipe.radius_at(1.0) == pytest.approx(0.6)
    assert recipe.rate_at(0.4) == 1e-3
    assert recipe.rate_at(1.0) == pytest.approx(1e-6)
    assert [recipe.weight_at(share) for share in (0.0, 0.5, 1.0)] == [0.0, 1.0, 2.0]
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_shifted_images_keep_their_pixels() -> None:
    images = torch.zeros(200, 1, 5, 5)
    images[:, 0, 2, 2] = 1.0
    moved = shifted(images, 2, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape
    assert torch.equal(moved.flatten(1).sum(1), torch.ones(200))
    assert len({tuple(row.nonzero().flatten().tolist()) for row in moved.flatten(1)}) == 25
