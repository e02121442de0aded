"""T3, T4: a run continues where it ended, and learns to be certified."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from glocert.gloro.architectures import build
from glocert.gloro.layers import Dense, MinMax
from glocert.gloro.network import GloroNet, to_graph
from glocert.gloro.outcome import outcome
from glocert.gloro.recipe import Recipe
from glocert.gloro.samples import Samples, split
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


def test_a_warm_up_learns_labels_alone() -> None:
    recipe = Recipe(epsilon=0.1, epochs=4, warmup=2, weight=1.0, ramp=0.5)
    assert [recipe.radius_at(share) > 0.002 for share in (0.0, 0.5, 0.75)] == [False, False, True]
    assert [recipe.weight_at(share) for share in (0.25, 0.5, 0.75, 1.0)] == [0.0, 0.0, 0.5, 1.0]
    losses = []
    for other in (recipe, Recipe(epsilon=0.5, epochs=4, warmup=2, loss="emma")):
        run = Training.start(small(), other)
        losses.append([epoch.loss for epoch in run.epochs(moons(64, 0), moons(10, 1))])
    assert losses[0][:2] == losses[1][:2]
    assert losses[0][2] != losses[1][2]


def test_gradients_are_cut_to_the_length_that_was_asked_for() -> None:
    moved = []
    for clip in (0.0, 1e-12):
        network = small()
        run = Training.start(network, Recipe(epochs=1, clip=clip, rate=1e-3, loss="ce"))
        before = network.head.weight.detach().clone()
        list(run.epochs(moons(64, 0), moons(10, 1)))
        moved.append(float((network.head.weight.detach() - before).norm()))
    assert moved[1] < moved[0] / 100


def test_soft_labels_that_are_certain_train_as_labels_do() -> None:
    data, validation = moons(200, 0), moons(50, 1)
    certain = Samples(data.images, torch.nn.functional.one_hot(data.labels, 2).float())
    assert torch.equal(certain.classes, data.classes)
    for loss in ("ce", "trades-kl", "emma"):
        losses = []
        for samples in (data, certain):
            run = Training.start(small(), Recipe(epsilon=0.1, epochs=2, batch=64, loss=loss))
            losses.append([epoch.loss for epoch in run.epochs(samples, validation)])
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_what_is_held_out_is_not_trained_on() -> None:
    samples = Samples(torch.arange(50.0)[:, None], torch.arange(50))
    data, held = split(samples, 0.2, 3)
    assert (len(data), len(held)) == (40, 10)
    assert sorted([*data.labels.tolist(), *held.labels.tolist()]) == list(range(50))
    assert torch.equal(split(samples, 0.2, 3)[1].labels, held.labels)
    assert not torch.equal(split(samples, 0.2, 4)[1].labels, held.labels)
    for share, count in ((0.0, 50), (1.0, 50), (0.5, 1)):
        with pytest.raises(ValueError, match=r"held out|cannot be split"):
            split(samples[torch.arange(count)], share, 0)
    with pytest.raises(ValueError, match="3 images have 2 labels"):
        Samples(torch.zeros(3, 1), torch.zeros(2))


@pytest.mark.parametrize(
    "wrong",
    [{"epsilon": 0}, {"rate": float("nan")}, {"ramp": 2}, {"weight": -1}, {"warmup": 100}, {"loss": "l2"}],
)
def test_a_recipe_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)) + r"|warm-up"):
        Recipe(**wrong)  # type: ignore[arg-type]


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    Training.start(small(), Recipe()).save(tmp_path / "checkpoint")
    with pytest.raises(ValueError, match="another network"):
        Training.start(GloroNet([Dense((2,), 3)]), Recipe()).load(tmp_path / "checkpoint")


@pytest.mark.gpu
def test_a_run_on_a_gpu_learns_as_one_on_the_cpu_does() -> None:
    found = []
    for device in ("cpu", "cuda"):
        run = Training.start(small().to(device), Recipe(epsilon=0.1, epochs=12, batch=128, rate=5e-3))
        found.append([epoch.loss for epoch in run.epochs(moons(600, 0), moons(200, 1))])
    assert found[1] == pytest.approx(found[0], rel=0.05)


@pytest.mark.timeout(1200)
def test_t5_five_hundred_digits_are_enough_for_a_certificate(shared_data: Path) -> None:
    sets = []
    for name in ("mnist_train", "mnist_test"):
        with np.load(shared_data / "datasets" / f"{name}.npz") as archive:
            images = torch.from_numpy(archive["images"]).float().div(255)[:, None]
            sets.append(Samples(images, torch.from_numpy(archive["labels"]).long()))
    torch.manual_seed(0)
    recipe = Recipe(epsilon=0.3, overshoot=1.5, weight=1.5, epochs=100, batch=64, shift=2, iterations=2)
    run = Training.start(build("2c2f", (1, 28, 28), 10), recipe)
    list(run.epochs(sets[0], Samples(sets[0].images[:10], sets[0].labels[:10])))
    found = outcome(run.network.graph(), sets[1], 0.3)
    assert found.vra(0.3) >= 0.74
    assert found.accuracy >= 0.85
