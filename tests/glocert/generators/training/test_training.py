"""Runs of every family: what comes out is what was trained, and goes on where it ended."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from glocert.errors import TrainingDiverged
from glocert.generators.profile import profile
from glocert.generators.quality import psnr
from glocert.generators.training.augmentation import mutated
from glocert.generators.training.chain import Inward
from glocert.generators.training.families import learner
from glocert.generators.training.frame import moments
from glocert.generators.training.learner import Learner
from glocert.generators.training.training import Training
from glocert.graph.export import to_onnx
from glocert.graph.onnx import read_onnx
from glocert.graph.run import run
from glocert.spec_generator import Continuity, Recipe

SHAPE = (1, 12, 10)
RECIPES = {
    "conv": Recipe(latent_dim=3, width=2, epochs=3, batch=16, augment={"rotation": (-20.0, 20.0)}),
    "fc": Recipe(
        architecture="fc", latent_dim=3, width=16, epochs=3, batch=16,
        continuity=Continuity(estimator="spectral"),
    ),
    "skip": Recipe(
        architecture="skip", latent_dim=3, width=2, epochs=3, batch=16, codes="scaled", straight=0.5,
        augment={"translation": (-2.0, 2.0)},
    ),
    "gan": Recipe(
        family="gan", architecture="dcgan", latent_dim=3, width=2, epochs=2, encoder_epochs=1, batch=16,
        rate=2e-4, continuity=Continuity(estimator="frobenius"), prior="uniform", critic_steps=2,
    ),
    "pairs": Recipe(
        family="style", architecture="residual", width=2, epochs=3, batch=16,
        continuity=Continuity(estimator="jvp"), mutation={"type": "rotation", "from": 0.0, "to": 30.0},
    ),
    "cycle": Recipe(family="style", architecture="residual", width=2, epochs=3, batch=16),
}  # fmt: skip


def bars(count: int, seed: int = 0) -> Tensor:
    """Return images of one bright bar of random place and width each."""
    draw = torch.Generator().manual_seed(seed)
    column = torch.arange(SHAPE[2])
    middle = 2 + 6 * torch.rand(count, 1, generator=draw)
    half = 0.7 + 1.5 * torch.rand(count, 1, generator=draw)
    row = (half + 0.5 - (column - middle).abs()).clamp(0, 1)
    return row[:, None, None, :].expand(count, *SHAPE).contiguous()


def begun(name: str) -> Training:
    targets = bars(30, 5).flip(0) if name == "cycle" else None
    return Training.start(learner(RECIPES[name], SHAPE, targets))


@pytest.mark.parametrize("name", RECIPES)
def test_the_graphs_are_the_modules_and_ordinary_files(name: str):
    trained = begun(name)
    for _ in trained.epochs(bars(48), bars(8, 1)):
        pass
    subject, draw = trained.learner, torch.Generator().manual_seed(2)
    images = bars(6, 3)
    generator, encoder = subject.graphs()
    where = subject.measured(images, 6, draw)
    with torch.no_grad():
        expected = subject.decoded(where.codes)
        torch.testing.assert_close(run(generator, where.codes), expected, atol=2e-6, rtol=1e-5)
    assert 0.0 <= float(expected.min()) <= float(expected.max()) <= 1.0
    assert generator.input_shape == encoder.output_shape == subject.code_shape
    assert generator.output_shape == encoder.input_shape == SHAPE
    codes = run(encoder, images)
    for graph, x in ((generator, codes), (encoder, images)):
        data = to_onnx(graph)
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        (there,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        np.testing.assert_allclose(there, run(graph, x).numpy(), atol=2e-5)
        again = read_onnx(data).graph
        torch.testing.assert_close(run(again, x), run(graph, x), atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_continues_where_it_ended(name: str, tmp_path: Path):
    data, validation = bars(40), bars(8, 1)
    whole = begun(name)
    expected = [(epoch.parts, epoch.psnr) for epoch in whole.epochs(data, validation)]
    first = begun(name)
    for _ in itertools.islice(first.epochs(data, validation), 2):
        first.save(tmp_path / "checkpoint")
    second = begun(name)
    second.load(tmp_path / "checkpoint")
    assert [epoch.number for epoch in second.epochs(data, validation)] == [3]
    assert [(epoch.parts, epoch.psnr) for epoch in second.log] == expected
    for mine, theirs in zip(whole.learner.graphs(), second.learner.graphs(), strict=True):
        assert mine.digest() == theirs.digest()


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path):
    begun("conv").save(tmp_path / "checkpoint")
    with pytest.raises(ValueError, match="another recipe"):
        begun("fc").load(tmp_path / "checkpoint")


def test_a_run_that_has_ended_stays_ended(tmp_path: Path):
    one = begun("fc")
    assert len(list(one.epochs(bars(20), bars(4)))) == 3
    one.save(tmp_path / "checkpoint")
    again = begun("fc")
    again.load(tmp_path / "checkpoint")
    assert list(again.epochs(bars(20), bars(4))) == []
    assert again.learner.graphs()[0].digest() == one.learner.graphs()[0].digest()


def test_codes_of_the_training_images_are_white_and_images_stay():
    subject = learner(RECIPES["fc"], SHAPE)
    images = bars(200)
    before = subject.rebuilt(images)
    subject.settle([images[:150], images[150:]])
    torch.testing.assert_close(subject.rebuilt(images), before, atol=1e-4, rtol=1e-4)
    mean, covariance = moments(run(subject.graphs()[1], images).double())
    torch.testing.assert_close(mean, torch.zeros(3).double(), atol=1e-4, rtol=0)
    torch.testing.assert_close(covariance, torch.eye(3).double(), atol=1e-3, rtol=0)


def test_scaled_codes_keep_the_metric_of_the_encoder():
    recipe = replace(RECIPES["fc"], codes="scaled")
    subject = learner(recipe, SHAPE)
    images = bars(200)
    before, codes = subject.rebuilt(images), subject.encoder(images).double()
    subject.settle([images])
    torch.testing.assert_close(subject.rebuilt(images), before, atol=1e-4, rtol=1e-4)
    after = run(subject.graphs()[1], images).double()
    ratio = torch.pdist(after) / torch.pdist(codes)
    torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio), rtol=1e-3, atol=0)
    covariance = moments(after)[1]
    torch.testing.assert_close(covariance.trace(), torch.tensor(3.0).double(), atol=1e-3, rtol=0)
    assert subject.spreads is not None
    torch.testing.assert_close(covariance, subject.spreads.double().square().diag(), atol=1e-3, rtol=0)
    assert float(subject.spreads[0]) > 1.2 * float(subject.spreads[-1])
    drawn = subject.codes(4000, torch.Generator().manual_seed(0)).double().std(0)
    torch.testing.assert_close(drawn, subject.spreads.double(), rtol=0.05, atol=0)


def test_an_autoencoder_learns_its_images():
    recipe = Recipe(architecture="fc", latent_dim=2, width=64, epochs=40, batch=32, rate=5e-3)
    last = list(Training.start(learner(recipe, SHAPE)).epochs(bars(256), bars(64, 1)))[-1]
    blank = psnr(bars(64, 1), bars(256).mean(0).expand(64, *SHAPE)).mean()
    assert last.psnr is not None
    assert last.psnr > float(blank) + 6


def test_what_is_asked_to_be_straight_becomes_straight():
    """Halfway between the codes of a bar moved to the left and to the right lies the bar in the middle."""

    def missed(straight: float) -> float:
        recipe = Recipe(
            architecture="fc", latent_dim=3, width=64, epochs=40, batch=32, rate=5e-3, straight=straight,
            augment={"translation": (-3.0, 3.0)}, continuity=Continuity(up=0, low=0, interpolation=0),
        )  # fmt: skip
        subject = learner(recipe, SHAPE)
        for _ in Training.start(subject).epochs(bars(256), bars(32, 1)):
            pass
        left, middle, right = (
            mutated(bars(64, 1), "translation", torch.tensor([[shift, 0.0]]).expand(64, 2))
            for shift in (-3.0, 0.0, 3.0)
        )
        with torch.no_grad():
            halfway = (subject.encoder(left) + subject.encoder(right)) / 2
            return float((subject.decoder(halfway) - middle).square().mean())

    assert missed(1.0) < 0.6 * missed(0.0)


def test_the_band_makes_gains_more_even():
    def index(continuity: Continuity) -> float:
        recipe = Recipe(
            architecture="fc", latent_dim=2, width=48, epochs=40, batch=32, rate=5e-3, continuity=continuity
        )
        subject = learner(recipe, SHAPE)
        for _ in Training.start(subject).epochs(bars(256), bars(32, 1)):
            pass
        draw = torch.Generator().manual_seed(0)
        generator = subject.graphs()[0]
        where = subject.measured(bars(8), 1000, draw)
        return float(profile(lambda z: run(generator, z), where, draw)["index"])

    free = index(Continuity(up=0, low=0, interpolation=0))
    assert index(Continuity(bound=1.2, up=0.1, low=0.1, interpolation=0)) < free / 2


def test_patience_keeps_the_best():
    recipe = Recipe(architecture="fc", latent_dim=2, width=16, epochs=60, batch=32, rate=0.02, patience=2)
    one = Training.start(learner(recipe, SHAPE))
    validation = bars(32, 1)
    epochs = list(one.epochs(bars(64), validation))
    assert len(epochs) < 60
    best = max(epoch.psnr or 0.0 for epoch in epochs)
    assert [epoch.psnr == best for epoch in epochs].index(True) == len(epochs) - 3
    rebuilt = one.learner.rebuilt(validation).detach()
    assert float(psnr(validation, rebuilt).mean()) == pytest.approx(best, abs=1e-2)


def test_a_style_without_strength_changes_nothing():
    subject: Learner = begun("pairs").learner
    images = torch.rand(4, *SHAPE)
    generator, encoder = subject.graphs()
    codes = run(encoder, images)
    assert torch.equal(codes, torch.cat([images.flatten(1), torch.zeros(4, 1)], 1))
    assert torch.equal(run(generator, codes), images)
    codes[:, -1] = 1.0
    assert not torch.equal(run(generator, codes), images)


def test_a_style_learns_a_mutation_and_what_lies_between():
    recipe = Recipe(
        family="style", architecture="residual", width=4, epochs=30, batch=16, rate=5e-3,
        mutation={"type": "brightness", "from": 0.0, "to": 0.5},
    )  # fmt: skip
    one = Training.start(learner(recipe, SHAPE))
    last = list(one.epochs(bars(64), bars(16, 1)))[-1]
    assert (last.psnr or 0) > 22
    images = bars(8, 3)
    generator, encoder = one.learner.graphs()
    codes = run(encoder, images)
    codes[:, -1] = 0.5
    assert float(psnr((images + 0.25).clamp(0, 1), run(generator, codes)).mean()) > 20


def test_the_clamp_passes_gradients_that_lead_inside():
    x = torch.tensor([-1.0, -1.0, 0.5, 2.0, 2.0], requires_grad=True)
    y = Inward.apply(x)
    assert y.tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    (slope,) = torch.autograd.grad(y, x, torch.tensor([-1.0, 1.0, 1.0, 1.0, -1.0]))
    assert slope.tolist() == [-1.0, 0.0, 1.0, 1.0, 0.0]


def test_a_loss_that_is_no_number_ends_the_run():
    one = Training.start(learner(RECIPES["fc"], SHAPE))
    images = bars(20)
    images[3] = float("nan")
    with pytest.raises(TrainingDiverged, match="epoch 1"):
        list(one.epochs(images, bars(4)))


@pytest.mark.parametrize(("name", "shape"), [("conv", (1, 6, 9)), ("gan", (1, 12, 4)), ("fc", (20,))])
def test_images_that_do_not_fit_are_refused(name: str, shape: tuple[int, ...]):
    with pytest.raises(ValueError, match=r"too small|none"):
        learner(RECIPES[name], shape)


def test_a_style_finds_a_mutation_that_no_pair_shows():
    recipe = Recipe(
        family="style", architecture="residual", width=4, epochs=30, batch=16, rate=2e-3, last_rate=2e-4,
        cycle=2.0,
    )  # fmt: skip
    brighter = (0.6 * bars(128, 5) + 0.3).clamp(0, 1)
    one = Training.start(learner(recipe, SHAPE, brighter))
    for _ in one.epochs(0.6 * bars(128), 0.6 * bars(16, 1)):
        pass
    images = 0.6 * bars(32, 3)
    generator, encoder = one.learner.graphs()
    codes = run(encoder, images)
    codes[:, -1] = 1.0
    found, wanted = run(generator, codes), images + 0.3
    assert float(psnr(wanted, found).mean()) > float(psnr(wanted, images).mean()) + 6
    assert float(psnr(images, one.learner.rebuilt(images).detach()).mean()) > 15
